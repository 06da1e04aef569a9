"""Where a rollout stands, as a plain record that another process can go on with."""

from datetime import datetime
from typing import Final, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from marquee.monitoring.canary_config import CanaryConfig, CanaryStep
from marquee.monitoring.canary_counts import Arm, Observation

SCHEMA_VERSION: Final = 1
LOG_LENGTH: Final = 200

Verdict = Literal["continue", "promote", "roll_back", "hold"]
Phase = Literal["stepping", "promoting", "rolling_back", "promoted", "rolled_back"]


class LogEntry(BaseModel):
    """A verdict, or several equal ones in a row at the same step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: AwareDatetime
    """Of the first."""
    until: AwareDatetime
    """Of the last."""
    times: int
    percent: int
    """The canary's share then."""
    verdict: Verdict | Literal["start", "abort", "observed", "done"]
    reason: str
    """Of the last."""


class CanaryState(BaseModel):
    """One rollout; every change makes another record."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = SCHEMA_VERSION
    """Layout of the record."""
    champion: str = Field(min_length=1)
    """Bundle id of the stable arm."""
    canary: str = Field(min_length=1)
    """Bundle id of the new one."""
    config: CanaryConfig = CanaryConfig()
    started_at: AwareDatetime
    phase: Phase = "stepping"
    step: int = Field(default=0, ge=0)
    """Of the config's steps, the one that is in force, or is to be where `step_since` is None."""
    step_since: AwareDatetime | None = None
    """Since when the cluster was seen to have the step's weight."""
    failed_checks: int = Field(default=0, ge=0)
    """In a row."""
    last_failed_at: AwareDatetime | None = None
    missing_since: AwareDatetime | None = None
    """Since when there are no metrics; None while there are."""
    last_good_at: AwareDatetime | None = None
    last_good: Observation | None = None
    """The last one that broke nothing."""
    reference: Arm | None = None
    """The champion in the last step in which it had requests: what the last step compares with."""
    checks: int = Field(default=0, ge=0)
    """Verdicts so far."""
    log: tuple[LogEntry, ...] = ()
    """The last ones, oldest first."""

    @property
    def current(self) -> CanaryStep:
        """The step."""
        return self.config.steps[min(self.step, len(self.config.steps) - 1)]

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do."""
        return self.phase in {"promoted", "rolled_back"}

    def noted(
        self, verdict: Verdict | Literal["start", "abort", "observed", "done"], reason: str, *, at: datetime
    ) -> Self:
        """With an entry in the log; an equal verdict at the same step makes the last entry longer."""
        percent, log = self.current.percent, self.log
        if (
            log
            and verdict in {"continue", "hold"}
            and (log[-1].verdict, log[-1].percent) == (verdict, percent)
        ):
            longer = {"until": at, "times": log[-1].times + 1, "reason": reason}
            return self.model_copy(update={"log": (*log[:-1], log[-1].model_copy(update=longer))})
        entry = LogEntry(at=at, until=at, times=1, percent=percent, verdict=verdict, reason=reason)
        return self.model_copy(update={"log": (*log, entry)[-LOG_LENGTH:]})

    def moved_to(self, step: int) -> Self:
        """At another step, whose weight the cluster has yet to get."""
        return self.model_copy(
            update={
                "step": step,
                "step_since": None,
                "failed_checks": 0,
                "last_failed_at": None,
                "missing_since": None,
            }
        )


class Decision(BaseModel):
    """A verdict and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    verdict: Verdict
    reason: str
    checks: tuple[str, ...] = ()
    """What was seen of each guardrail, over the whole step."""


class DecisionRecord(BaseModel):
    """decision.json: all that a verdict was made of, thresholds included, so that it can be made again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = SCHEMA_VERSION
    number: int
    at: AwareDatetime
    state: CanaryState
    """Before the verdict, without its log."""
    observation: Observation
    decision: Decision
