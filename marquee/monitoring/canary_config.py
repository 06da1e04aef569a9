"""How careful a canary is: its steps, what it must not break, and how sure a verdict has to be."""

from itertools import pairwise
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class CanaryStep(BaseModel):
    """A share of the traffic, and what must have been seen there before the next one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    percent: int = Field(ge=0, le=100)
    """Of the requests, for the canary."""
    minutes: float = Field(ge=0, le=10_080)
    """At least so long; of the last step, the time to bake before the promotion is final."""
    requests: int = Field(ge=0)
    """At least so many for each arm; of the last step, where the champion gets none, for the canary."""


class CanaryConfig(BaseModel):
    """Steps, guardrails, the sureness of verdicts; kept in the state, so that a rollout ends as it began."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: tuple[CanaryStep, ...] = (
        CanaryStep(percent=0, minutes=1, requests=0),
        CanaryStep(percent=1, minutes=30, requests=1_000),
        CanaryStep(percent=5, minutes=30, requests=1_000),
        CanaryStep(percent=25, minutes=30, requests=1_000),
        CanaryStep(percent=50, minutes=30, requests=1_000),
        CanaryStep(percent=100, minutes=60, requests=1_000),
    )
    """From none of the traffic to all of it."""

    error_margin: float = Field(default=0.005, ge=0, le=1)
    """The error share may be the champion's and so much more."""
    empty_margin: float = Field(default=0.01, ge=0, le=1)
    """The same of the share of empty lists."""
    degraded_margin: float = Field(default=0.01, ge=0, le=1)
    """The same of the share of degraded lists."""
    p99_ratio: float = Field(default=1.2, ge=1, le=10)
    """The 99th percentile of seconds may be so many times the champion's."""
    score_distance: float = Field(default=0.5, gt=0, le=1)
    """How far the distribution of first scores may be from the champion's, in total variation. Boosters
    trained anew move their scale: a bound for what is broken, not for what is new."""
    source_distance: float = Field(default=0.3, gt=0, le=1)
    """The same of the routes that shown items come from."""
    critical_error_share: float = Field(default=0.1, gt=0, le=1)
    """More than that, surely, rolls back at the first check."""

    bake_slack: float = Field(default=2, ge=1, le=10)
    """In the last step all margins, and the ratio's excess over 1, are so many times as wide: the champion
    has no requests by then, and what it did before met another load."""

    fail_alpha: float = Field(default=0.001, gt=0, lt=0.5)
    """One-sided error of each failed check: how often a guardrail that is just kept is called broken."""
    proof_alpha: float = Field(default=0.05, gt=0, lt=0.5)
    """One-sided error of each proof: how often a guardrail that is just broken is called kept."""
    failed_checks: int = Field(default=2, ge=1, le=100)
    """So many in a row roll back."""
    check_gap_seconds: float = Field(default=20, ge=0, le=3_600)
    """A failed check counts again only after that: two looks at the same second are one."""
    recent_minutes: float = Field(default=5, gt=0, le=1_440)
    """Beside the whole step the last minutes are judged by themselves: a fault that begins late."""
    missing_minutes: float = Field(default=15, ge=0, le=1_440)
    """So long without metrics, or with a canary that is not ready, rolls back."""
    unseen_requests: int = Field(default=30, ge=1)
    """Without any request where so many were due, the canary's metrics are missing."""
    max_hours: float = Field(default=12, gt=0, le=720)
    """From start to end; what has not proven itself by then is rolled back."""

    def for_baking(self) -> Self:
        """The guardrails of the last step."""
        slack = self.bake_slack
        return self.model_copy(
            update={
                "error_margin": slack * self.error_margin,
                "empty_margin": slack * self.empty_margin,
                "degraded_margin": slack * self.degraded_margin,
                "p99_ratio": 1 + slack * (self.p99_ratio - 1),
            }
        )

    @model_validator(mode="after")
    def _has_steps_upward(self) -> Self:
        percents = [step.percent for step in self.steps]
        if len(percents) < 2 or any(low >= high for low, high in pairwise(percents)):
            raise ValueError("steps: percents must be at least two and grow")
        if (percents[0], percents[-1]) != (0, 100):
            raise ValueError("steps: percents must begin with 0 and end with 100")
        if sum(step.minutes for step in self.steps) > 60 * self.max_hours:
            raise ValueError("steps: their minutes add up to more than max_hours")
        return self
