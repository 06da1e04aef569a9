"""A small data set's weeks, walked through."""

import gzip
import json
from pathlib import Path

import polars as pl
import pytest

from marquee import schema
from marquee.errors import ConfigError
from marquee.monitoring.decision import Decision
from marquee.monitoring.decision import replay as decide_again
from marquee.monitoring.exposure import Exposure
from marquee.monitoring.exposure_lines import exposure_files, read_exposures
from marquee.replay.learner import Judged, Learner, Trained
from marquee.replay.run import COMPUTE, PAGE, STEPS, USERS, VALUES, Replay
from marquee.replay.walk import Walk
from tests.marquee.replay.weeks import DAY_US, WINDOWS, events, replayed

SURGE = "genre_surge@4"
SURGE_US = 49 * DAY_US
"""Its begin: before it events are those of the data set."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("replay") / "out"


@pytest.fixture(scope="module")
def found(folder: Path) -> Replay:
    """Four policies under a surge."""
    return replayed(folder, "never", "timer:14d", "every-window", "drift", shocks=(SURGE,))


def walk(found: Replay, policy: str) -> Walk:
    return next(each for each in found.walks if each.policy == policy)


def test_replay_never_trains_never(found: Replay) -> None:
    never = walk(found, "never")

    assert len(never.steps) == WINDOWS
    assert never.retrains == 0
    assert {step.model for step in never.steps} == {never.steps[0].model}
    assert never.cpu_s == 0


def test_replay_timer_of_two_weeks_trains_every_other_window(found: Replay) -> None:
    timer = walk(found, "timer:14d")

    assert [bool(step.training) for step in timer.steps] == [False, True] * (WINDOWS // 2)
    assert timer.retrains == WINDOWS // 2
    assert timer.cpu_s > 0


def test_replay_every_window_trains_in_each_and_serves_the_new_model_next(found: Replay) -> None:
    every = walk(found, "every-window")

    assert every.retrains == WINDOWS
    for before, after in zip(every.steps, every.steps[1:], strict=False):
        assert (before.model != after.model) == (before.training == "promoted")


def test_replay_policies_meet_the_same_users(found: Replay) -> None:
    keys = [each.quality.select("window", schema.USER_ID) for each in found.walks]

    assert all(each.equals(keys[0]) for each in keys)
    assert keys[0][schema.USER_ID].n_unique() == len(keys[0])  # each has a week of their own


def test_replay_genre_surge_is_seen_within_two_windows(found: Replay) -> None:
    summary = next(each for each in found.values["policies"] if each["policy"] == "drift")

    (seen,) = summary["detections"]
    assert seen["shock"] == "genre_surge@4+3"
    assert seen["after_windows"] in {1, 2}
    assert seen["verdict"] == "retrain"


def test_replay_decisions_are_made_again_from_their_files(found: Replay, folder: Path) -> None:
    files = sorted((folder / "drift" / "decisions").glob("*.json"))

    assert [path.stem for path in files] == [f"{number:03}" for number in range(1, WINDOWS + 1)]
    for path, step in zip(files, walk(found, "drift").steps, strict=True):
        again = decide_again(Decision.read(path))
        assert again.is_same
        assert again.outcome.verdict == step.verdict


def test_replay_exposures_know_nothing_later_than_their_moment(found: Replay, folder: Path) -> None:
    moments = dict(events().group_by(schema.USER_ID).agg(pl.col(schema.TIMESTAMP).dt.epoch("us")).iter_rows())
    shown = [
        entry
        for path in exposure_files(folder / "never" / "exposures")
        for entry in read_exposures(path)
        if isinstance(entry, Exposure) and entry.time_us < SURGE_US
    ]

    assert shown
    for each in shown:
        before = sum(time_us <= each.time_us for time_us in moments[each.user_id])
        assert each.history_events == before
        assert len(each.items) == 10


def test_replay_leaves_a_report_that_fetches_nothing(found: Replay, folder: Path) -> None:
    page = (folder / PAGE).read_text(encoding="utf-8")

    assert "<script" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert page.count("<polyline") == 4
    assert json.loads((folder / VALUES).read_text()) == json.loads(json.dumps(found.values))
    assert set(json.loads((folder / COMPUTE).read_text())["policies"]) == {
        walk.policy for walk in found.walks
    }
    steps = pl.read_parquet(folder / STEPS)
    assert len(steps) == 4 * WINDOWS
    users = pl.read_parquet(folder / USERS).filter(policy="never")
    assert users["ndcg"].mean() == pytest.approx(found.values["policies"][0]["ndcg"]["estimate"])


def test_replay_asked_twice_answers_the_same_bytes(found: Replay, folder: Path, tmp_path: Path) -> None:
    replayed(tmp_path / "again", "drift", shocks=(SURGE,))

    for path in (folder / "drift").rglob("*.*"):
        same = tmp_path / "again" / "drift" / path.relative_to(folder / "drift")
        assert same.read_bytes() == path.read_bytes(), path


def test_replay_null_column_is_blocked_and_trains_nobody(tmp_path: Path) -> None:
    found = replayed(tmp_path, "drift", "timer:21d", shocks=("null_column@3+2",))

    drift, timer = found.walks
    assert [step.verdict for step in drift.steps[2:4]] == ["blocked", "blocked"]
    assert not any(step.training for step in drift.steps if step.verdict == "blocked")
    assert not any(step.verdict == "retrain" for step in drift.steps)
    assert [step.window for step in timer.steps if step.training == "held back"] == [3, 4]
    assert [step.window for step in timer.steps if step.training in {"promoted", "refused"}] == [5, 8]
    blocked = found.values["windows"][2]["gate"]
    assert any("nulls of age" in words for words in blocked)


def test_replay_broken_model_is_replaced_and_recovers(tmp_path: Path) -> None:
    found = replayed(tmp_path, "never", "drift", shocks=("broken_model@3",))

    never, drift = found.walks
    assert all(step.is_broken for step in never.steps[2:])
    order = next(step.window for step in drift.steps if step.training == "promoted" and step.window >= 3)
    assert order <= 4
    assert not drift.steps[order].is_broken  # the window after the promotion
    assert drift.steps[order].ndcg > 2 * never.steps[order].ndcg


def test_replay_tells_the_gate_that_the_lists_got_worse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[int, tuple[bool, bool]] = {}
    real = Learner.judge

    def judge(
        self: Learner, challenger: Trained, champion: Trained | None, *, champion_fails: bool
    ) -> Judged:
        judged = real(self, challenger, champion, champion_fails=champion_fails)
        told[challenger.windows] = champion_fails, any("got worse" in note for note in judged.decision.notes)
        return judged

    monkeypatch.setattr(Learner, "judge", judge)

    drift = replayed(tmp_path, "drift", shocks=("broken_model@3",)).walks[0]

    asked = [step.window for step in drift.steps if step.training in {"promoted", "refused"}]
    decisions = [Decision.read(tmp_path / "drift" / "decisions" / f"{window:03}.json") for window in asked]
    assert told == {
        window: (each.outcome.tier == "A",) * 2 for window, each in zip(asked, decisions, strict=True)
    }
    assert set(told.values()) == {(True, True), (False, False)}


@pytest.mark.parametrize(
    ("policies", "shocks", "named"),
    [
        (("weekly",), (), "--policy = 'weekly'"),
        (("never", "never"), (), "--policy names one twice"),
        (("never",), ("flood@2",), "'flood' is no kind"),
        (("never",), ("genre_surge",), "--shock = 'genre_surge' is no shock"),
        (("never",), ("genre_surge@99",), "has windows 1 to 8"),
        (("never",), ("scale@1970-13-01",), "--shock = 'scale@1970-13-01'"),
    ],
)
def test_replay_wrong_word_is_named(
    tmp_path: Path, policies: tuple[str, ...], shocks: tuple[str, ...], named: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        replayed(tmp_path / "out", *policies, shocks=shocks)

    assert named in caught.value.problem
    assert not (tmp_path / "out").exists()


def test_replay_log_is_packed_without_a_date(found: Replay, folder: Path) -> None:
    first = next((folder / "never" / "exposures").glob("*.gz"))

    assert first.read_bytes()[4:8] == b"\0\0\0\0"  # gzip's time: equal logs, equal bytes
    assert gzip.decompress(first.read_bytes()).count(b"\n") > 0


def test_replay_drift_refreshes_by_growth_and_its_alarms_alone_do_not(tmp_path: Path) -> None:
    found = replayed(tmp_path, "drift:alarms", "drift", "drift:60%")

    alarms, usual, rarely = (
        [step.window for step in each.steps if step.verdict == "refresh"] for each in found.walks
    )
    assert alarms == []
    assert [each["refreshes"] for each in found.values["policies"]] == [0, len(usual), len(rarely)]
    # A week is a quarter of the warm-up: the first window is enough for 11 %, the third for 60 %.
    assert usual[0] == 1
    assert rarely[0] == 3
    assert len(usual) > len(rarely)
    decision = Decision.read(tmp_path / "drift-60" / "decisions" / "003.json")
    assert decision.outcome.reason.startswith("The data has grown by 7")
    assert walk(found, "drift:60%").steps[2].training == "promoted"
