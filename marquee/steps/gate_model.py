"""The verdict, read from what was measured."""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from marquee.errors import StepError


class _Check(BaseModel):
    model_config = ConfigDict(extra="ignore")

    passed: bool
    reason: str


class _Gate(BaseModel):
    model_config = ConfigDict(extra="ignore")

    passed: bool
    checks: tuple[_Check, ...]
    notes: tuple[str, ...] = ()


class Verdict(BaseModel):
    """Whether the challenger may be registered, and why."""

    model_config = ConfigDict(frozen=True)

    passed: bool
    reasons: tuple[str, ...]

    def as_markdown(self) -> str:
        """For people."""
        head = "**promote**" if self.passed else "**reject**"
        return "\n".join([head, "", *(f"- {reason}" for reason in self.reasons), ""])


def gate_model(metrics: Path) -> Verdict:
    """The gate's verdict in a run's metrics.json; imports nothing heavy.

    Raises:
        StepError: the file is missing or holds no verdict.
    """
    try:
        gate = _Gate.model_validate(json.loads(metrics.read_text(encoding="utf-8"))["gate"])
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise StepError(
            f"{metrics} holds no verdict of the gate: {error}.", remedy="Run the evaluation again."
        ) from error
    # All must hold, whatever the summary says: a file that contradicts itself promotes nothing.
    passed = gate.passed and bool(gate.checks) and all(check.passed for check in gate.checks)
    return Verdict(passed=passed, reasons=(*(check.reason for check in gate.checks), *gate.notes))
