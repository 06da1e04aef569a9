"""`marquee monitor …` as its user meets it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.marquee.monitoring.drift_world import Shock
from tests.marquee.steps.drift_place import ORDINARY, write_warehouse
from tests.small_run import Outcome, Place, run_here

Monitor = Callable[..., Outcome]


def at(root: Path, *, shock: Shock = ORDINARY, gone: str = "") -> Monitor:
    """The command in a place whose ml-100k is a small world; its answers lie in `drift` there."""
    place = Place(root)
    write_warehouse(place.settings.warehouse("ml-100k"), shock=shock, gone=gone)

    def monitor(*arguments: object) -> Outcome:
        return run_here("monitor", "drift", *arguments, "--out", root / "drift", at=place)

    return monitor


def decision(root: Path) -> dict:
    return json.loads((root / "drift" / "decision.json").read_text(encoding="utf-8"))


def test_quiet_week_is_said_in_words_and_left_as_a_file(tmp_path: Path):
    done = at(tmp_path)("--current", "7d")

    assert done.code == 0, done
    assert "verdict  none" in done.out
    assert "genre_psi" in done.out
    assert decision(tmp_path)["outcome"]["verdict"] == "none"


def test_json_is_the_decision(tmp_path: Path):
    done = at(tmp_path)("--current", "7d", "--reference", "8w", "--json")

    assert done.json == decision(tmp_path)
    assert done.json["window"]["window_id"].startswith("ml-100k-")


def test_state_lets_the_second_loud_window_ask_for_a_training(tmp_path: Path):
    monitor = at(tmp_path, shock=Shock(surge="Horror", surge_share=0.5))
    state = tmp_path / "kept" / "state.json"

    first = monitor("--current", "2024-03-18..2024-03-21", "--state", state, "--json").json
    second = monitor("--current", "2024-03-21..2024-03-24", "--state", state, "--json").json

    assert second["state_before"] == first["state_after"]
    assert [first["outcome"]["verdict"], second["outcome"]["verdict"]] == ["surge", "retrain"]


def test_broken_feed_exits_with_1(tmp_path: Path):
    done = at(tmp_path, gone="age")("--current", "7d")

    assert done.code == 1
    assert "blocked" in done.out
    assert "users: nulls of age = 1, should be" in done.out


def test_decision_is_made_again_from_its_file(tmp_path: Path):
    at(tmp_path)("--current", "7d")
    file = tmp_path / "drift" / "decision.json"

    done = run_here("monitor", "replay", file, at=Place(tmp_path))
    changed = decision(tmp_path)
    changed["signals"]["genre_psi"]["statistic"] = 99.0
    file.write_text(json.dumps(changed))
    again = run_here("monitor", "replay", file, "--json", at=Place(tmp_path))

    assert (done.code, done.out.split(",")[0]) == (0, "none")
    assert again.code == 1
    assert (again.json["is_same"], again.json["verdict"]) == (False, "watch")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--current", "yesterday"], "yesterday"),
        (["--reference", "2024-02-30.."], "--reference"),
        (["--dataset", "absent"], "no warehouse"),
        (["--current", "1990-01-01..1990-02-01"], "holds no event"),
        (["--bundle", "absent"], "absent"),
        (["--exposures", "absent"], "absent"),
    ],
)
def test_mistake_is_one_clear_error(arguments: list[str], named: str, tmp_path: Path):
    at(tmp_path)(*arguments).require_error(named)


def with_bundle(trained: Place, kind: str, out: Path) -> Outcome:
    """Nine of a hundred days against the nine before."""
    return run_here(
        "monitor", "drift", "--current", "9d", "--reference", "9d", "--dataset", trained.storage, "--json",
        "--bundle", trained.latest / kind, "--out", out / "drift", "--config", _small(out), at=trained,
    )  # fmt: skip


def test_bundle_that_learned_from_all_is_asked_for_nothing(trained: Place, tmp_path: Path):
    done = with_bundle(trained, "bundle", tmp_path)

    assert done.json["z"]["ndcg_t"] is None
    assert "the bundle learned from a window" in done.json["notes"][0]


def _small(folder: Path) -> Path:
    """A policy for 75 people."""
    path = folder / "small.yaml"
    path.write_text(
        "drift: {policy: {users_to_test: 3, users_to_act: 3, min_pool: 10}}\n"
        "quality: {min_volume_share: 0}\n",
        encoding="utf-8",
    )
    return path
