import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.marquee.adapters.prometheus_stub import Scraped, Server, answering
from tests.small_run import Place, run_here

SHORT = """
steps:
  - {percent: 0, minutes: 0, requests: 0}
  - {percent: 10, minutes: 0, requests: 500}
  - {percent: 100, minutes: 0, requests: 500}
min_step: 3
"""


@pytest.fixture
def here(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "canary.yaml"
    file.write_text(SHORT.replace("min_step: 3\n", ""), encoding="utf-8")
    return file


def begin(here: Place, config: Path, folder: Path) -> list[object]:
    where = ["--deployment", folder / "deployment"]
    run_here("canary", "start", "new", *where, "--stable", "old", "--config", config, at=here)
    return where


def test_canary_start_status_and_abort_say_what_holds(here: Place, config: Path, tmp_path: Path):
    where = begin(here, config, tmp_path)
    shown = run_here("canary", "status", *where, "--json", at=here).json
    words = run_here("canary", "status", *where, at=here).out
    ended = run_here("canary", "abort", *where, "--reason", "wrong bundle", "--json", at=here).json

    assert (shown["rollout"]["canary"], shown["rollout"]["champion"]) == ("new", "old")
    assert (shown["deployment"]["canary"], shown["deployment"]["percent"]) == ("new", 0)
    assert "canary new beside champion old" in words
    assert (ended["phase"], ended["log"][-2]["reason"]) == ("rolled_back", "wrong bundle")


def test_canary_step_without_metrics_holds_and_its_decision_replays(
    here: Place, config: Path, tmp_path: Path
):
    where = begin(here, config, tmp_path)
    run_here("canary", "ready", "old", "new", *where, at=here)
    run_here("canary", "step", *where, at=here)
    held = run_here("canary", "step", *where, at=here).out
    record = sorted(tmp_path.rglob("decision-*.json"))
    replayed = run_here("canary", "replay", record[-1], "--json", at=here).json

    assert "stepping 10 %: hold: no metrics store is given" in " ".join(held.split())
    assert len(record) == 2
    assert replayed["recorded"] == replayed["replayed"]


def test_canary_replay_of_a_changed_decision_is_exit_code_1(here: Place, config: Path, tmp_path: Path):
    where = begin(here, config, tmp_path)
    run_here("canary", "step", *where, at=here)
    (file,) = tmp_path.rglob("decision-*.json")
    kept = json.loads(file.read_text(encoding="utf-8"))
    kept["decision"]["verdict"] = "promote"
    file.write_text(json.dumps(kept), encoding="utf-8")

    shown = run_here("canary", "replay", file, at=here)
    assert (shown.code, shown.out.count("hold")) == (1, 1)


def test_canary_run_with_prometheus_rolls_a_failing_bundle_back(here: Place, config: Path, tmp_path: Path):
    """Real time, so the servers' counters are those of an hour that ends in the future."""
    scraped, began = Scraped(), datetime.now(UTC) - timedelta(seconds=40)
    old, new = (Server(name, name, began.timestamp() - 9) for name in ("old", "new"))
    for number in range(300):
        old.answer(900, "ok")
        new.answer(70, "ok")
        new.answer(30, "error")
        for each in (old, new):
            each.scrape(began.timestamp() + number, scraped)
    where = begin(here, config, tmp_path)
    run_here("canary", "ready", "old", "new", *where, at=here)

    with answering(scraped) as url:
        options = [
            *where,
            "--prometheus",
            url,
            "--label",
            "namespace=films",
            "--every",
            "5.2",
            "--checks",
            "5",
        ]
        shown = run_here("canary", "run", *options, "--json", at=here)

    ended = shown.json
    assert (shown.code, ended["phase"]) == (1, "rolled_back")
    assert "surely over 10%" in ended["log"][-2]["reason"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["status"], "holds no deployment"),
        (["step"], "has no rollout"),
        (["start", "new", "--stable", "new"], "champion already"),
        (["run", "--every", "0"], "--every 0"),
        (["step", "--prometheus", "nowhere"], "is no http"),
        (["step", "--prometheus", "http://host", "--label", "a"], "--label = 'a'"),
        (["abort", "--name", "../up"], "can't name a rollout"),
    ],
)
def test_canary_says_what_is_wrong(here: Place, tmp_path: Path, arguments: list[str], words: str):
    command = ["canary", *arguments, "--deployment", tmp_path / "deployment"]

    shown = run_here(*command, at=here)

    assert shown.code == 2
    assert words in shown.err


def test_canary_start_with_a_wrong_key_names_it(here: Place, tmp_path: Path):
    file = tmp_path / "canary.yaml"
    file.write_text(SHORT, encoding="utf-8")

    shown = run_here(
        "canary", "start", "new", "--deployment", tmp_path, "--stable", "old", "--config", file, at=here
    )
    assert shown.code == 2
    assert "min_step" in shown.err
