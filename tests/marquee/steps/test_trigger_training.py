"""The trigger's command is our own; here it is replaced by one that notes how it was called."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from marquee.errors import ConfigError, StepError
from marquee.monitoring.calibration import Null
from marquee.monitoring.decision import WindowFacts, decide_on
from marquee.monitoring.drift_policy import DriftState
from marquee.monitoring.signals import QUALITY, SIGNALS
from marquee.settings import Settings
from marquee.steps import trigger_training as subject
from marquee.steps.task import Task
from marquee.steps.trigger_training import trigger_training

NOW = datetime(2024, 6, 1, tzinfo=UTC)


def write_decision(path: Path, *, quality_t: float = 9.0, known_events: int = 100) -> Path:
    window = WindowFacts(
        window_id="w1", ended_at_us=10**15, bundle_id="b1", users=80, users_in_window=80, reference_users=400,
        pool=450, learned_events=100, known_events=known_events,
    )  # fmt: skip
    raw = np.full(len(SIGNALS), 1.0)
    raw[list(SIGNALS).index(QUALITY)] = quality_t
    null = Null(np.zeros(len(SIGNALS)), np.ones(len(SIGNALS)), 80, 450)
    path.write_bytes(decide_on(window, raw=raw, null=null, state=DriftState()).to_json())
    return path


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with the calls; `exits` beside it says how the next one ends."""
    program = (
        "import json, os, pathlib, sys\n"
        "place = pathlib.Path(sys.argv[1])\n"
        "with (place / 'calls').open('a') as file:\n"
        "    file.write(json.dumps([sys.argv[2:], os.environ.get('_KFP_RUNTIME')]) + '\\n')\n"
        "code = int((place / 'exits').read_text())\n"
        "sys.stderr.write('the reason' if code else '')\n"
        "sys.exit(code)\n"
    )
    real = subject._command
    monkeypatch.setattr(
        subject, "_command", lambda *given: [sys.executable, "-c", program, str(tmp_path), *real(*given)[2:]]
    )
    monkeypatch.setenv("_KFP_RUNTIME", "true")
    (tmp_path / "exits").write_text("0")
    return tmp_path / "calls"


def called(calls: Path) -> list[list[str]]:
    return [json.loads(line)[0] for line in calls.read_text().splitlines()] if calls.exists() else []


def trigger(decision: Path, **settings: str) -> str:
    task = Task(Settings(runs=decision.parent / "runs", **settings), {}, NOW)
    return trigger_training(
        decision, address="s3://place/decision", dataset="ml-100k", source="", values="smoke", task=task
    )


def test_decision_starts_one_training_with_its_cause(calls: Path, tmp_path: Path):
    decision = write_decision(tmp_path / "decision.json")

    assert [trigger(decision), trigger(decision)] == ["started", "started earlier"]

    (arguments,) = called(calls)
    assert arguments[:6] == ["marquee", "pipeline", "trigger", "training", "--reason", "decline"]
    assert arguments[arguments.index("--decision") + 1] == str(decision)
    assert arguments[arguments.index("--values") + 1] == "smoke"
    assert "--cluster" not in arguments


def test_refresh_is_the_reason_of_one(calls: Path, tmp_path: Path):
    trigger(write_decision(tmp_path / "decision.json", quality_t=0.0, known_events=120))

    (arguments,) = called(calls)
    assert arguments[arguments.index("--reason") + 1] == "refresh"


def test_step_s_own_environment_is_kept_from_the_command(calls: Path, tmp_path: Path):
    trigger(write_decision(tmp_path / "decision.json"))

    assert json.loads(calls.read_text())[1] is None


def test_training_on_a_cluster_is_told_the_address(calls: Path, tmp_path: Path):
    trigger(write_decision(tmp_path / "decision.json"), kfp_host="http://kfp")

    (arguments,) = called(calls)
    assert arguments[arguments.index("--decision") + 1] == "s3://place/decision"
    assert arguments[-1] == "--cluster"


def test_gate_s_refusal_is_a_training_that_ran(calls: Path, tmp_path: Path):
    (tmp_path / "exits").write_text("1")

    assert trigger(write_decision(tmp_path / "decision.json")) == "started"


def test_busy_training_gives_the_decision_back(calls: Path, tmp_path: Path):
    decision = write_decision(tmp_path / "decision.json")
    (tmp_path / "exits").write_text("3")

    assert trigger(decision) == "busy"
    (tmp_path / "exits").write_text("0")
    assert trigger(decision) == "started"
    assert len(called(calls)) == 2


def test_training_that_failed_is_told_and_may_be_tried_again(calls: Path, tmp_path: Path):
    decision = write_decision(tmp_path / "decision.json")
    (tmp_path / "exits").write_text("2")

    with pytest.raises(StepError, match="that drift asked for failed: the reason"):
        trigger(decision)
    (tmp_path / "exits").write_text("0")
    assert trigger(decision) == "started"


def test_decision_for_nothing_starts_nothing(calls: Path, tmp_path: Path):
    with pytest.raises(StepError, match="asks for no training"):
        trigger(write_decision(tmp_path / "decision.json", quality_t=0.0))
    with pytest.raises(ConfigError, match="holds no drift decision"):
        trigger(tmp_path / "absent.json")
    assert called(calls) == []
