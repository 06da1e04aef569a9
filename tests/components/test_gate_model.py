import json
from pathlib import Path

import pytest
from kfp import dsl

from components.gate_model import gate_model
from marquee.errors import StepError
from tests.components.artifacts import artifact


def decide(tmp_path: Path, gate: object) -> tuple[object, str]:
    """The component's answer and what it tells people."""
    metrics, decision = (
        artifact(dsl.Metrics, tmp_path / "metrics"),
        artifact(dsl.Markdown, tmp_path / "decision"),
    )
    Path(metrics.path).write_text(json.dumps({"gate": gate, "models": {}}), encoding="utf-8")
    answer = gate_model.python_func(metrics, decision)
    return answer, Path(decision.path).read_text(encoding="utf-8")


def check(*, passed: bool, reason: str = "as good as the champion.") -> dict[str, object]:
    return {"passed": passed, "reason": reason, "observed": 0.5}


def test_gate_that_was_passed_promotes_with_its_reasons(tmp_path: Path):
    answer, text = decide(tmp_path, {"passed": True, "checks": [check(passed=True)], "notes": ["a note."]})

    assert answer is True
    assert text == "**promote**\n\n- as good as the champion.\n- a note.\n"


def test_gate_that_was_not_passed_rejects_with_its_reasons(tmp_path: Path):
    checks = [check(passed=True), check(passed=False, reason="3 queries are few.")]

    answer, text = decide(tmp_path, {"passed": False, "checks": checks})

    assert answer is False
    assert text == "**reject**\n\n- as good as the champion.\n- 3 queries are few.\n"


@pytest.mark.parametrize("checks", [[], [check(passed=True), check(passed=False)]])
def test_gate_that_contradicts_its_checks_promotes_nothing(tmp_path: Path, checks: list[dict[str, object]]):
    answer, _ = decide(tmp_path, {"passed": True, "checks": checks})

    assert answer is False


@pytest.mark.parametrize("gate", [None, {}, {"passed": True}, {"passed": "perhaps", "checks": []}, [1]])
def test_metrics_without_a_verdict_are_refused(tmp_path: Path, gate: object):
    with pytest.raises(StepError, match="holds no verdict of the gate"):
        decide(tmp_path, gate)


def test_metrics_that_are_not_there_are_refused(tmp_path: Path):
    with pytest.raises(StepError, match="holds no verdict of the gate"):
        gate_model.python_func(
            artifact(dsl.Metrics, tmp_path / "absent"), artifact(dsl.Markdown, tmp_path / "decision")
        )
