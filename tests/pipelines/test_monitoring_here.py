"""The monitoring pipeline on this machine, both ways out of it."""

import fcntl
import json
from pathlib import Path
from typing import Any

import pytest

from tests.components.test_detect_drift import knobs
from tests.pipelines.compiled import spec, tasks
from tests.pipelines.local_pipelines import run_local_pipeline, write_values
from tests.small_run import Place


def steps_of(place: Place, threshold: float, **more: str) -> dict[str, Any]:
    """What the steps returned."""
    given = {"current": "20d", "config": knobs(threshold), **more}
    outcome = run_local_pipeline(place, "monitoring", **given)
    assert outcome.code == 0, outcome
    return json.loads(outcome.out.splitlines()[-1])


def test_condition_is_the_one_plain_bool_on_which_the_trigger_depends():
    graph = spec("monitoring")
    (box,) = [task for task in tasks(graph).values() if "condition" in task.get("triggerPolicy", {})]

    assert box["triggerPolicy"]["condition"] == (
        "inputs.parameter_values['pipelinechannel--detect-drift-Output'] == true"
    )
    assert set(graph["components"][box["componentRef"]["name"]]["dag"]["tasks"]) == {"trigger-training"}


def test_quiet_window_triggers_nothing_and_says_how_it_ended(place: Place):
    returned = steps_of(place, 1000.0)

    assert returned["detect-drift"] is False
    assert "trigger-training" not in returned
    assert "SUCCEEDED" in returned["notify"]


def test_drift_calls_the_trigger_which_finds_a_training_at_work(place: Place):
    place.runs.mkdir(parents=True)
    with (place.runs / ".trigger.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        returned = steps_of(place, 0.001, values=str(write_values(place)))

    assert returned["detect-drift"] is True
    assert returned["trigger-training"] == "busy"


@pytest.mark.slow
def test_drift_trains_and_the_run_links_back_to_its_decision(place: Place):
    returned = steps_of(place, 0.001, values=str(write_values(place)))

    assert returned["trigger-training"] == "started"
    order = json.loads((place.latest / "trigger.json").read_text(encoding="utf-8"))
    decision = json.loads((place.latest / "decision.json").read_text(encoding="utf-8"))
    assert order["reason"] == "drift"
    assert decision["outcome"]["verdict"] == "retrain"
    assert (place.latest / "bundle").is_dir()
    assert list(Path(place.runs / "models" / "drift").glob("*.triggered"))
