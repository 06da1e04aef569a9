"""What two arms of a rollout did in the same minutes, as plain counts."""

from datetime import datetime
from itertools import pairwise
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Histogram(BaseModel):
    """Counts of values between bounds; counts may be fractions, as a metrics store interpolates."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    bounds: tuple[float, ...] = ()
    """Upper ends of the buckets, ascending, in the values' unit: seconds, score."""
    counts: tuple[float, ...] = (0.0,)
    """Of each bucket by itself; the last one, beyond all bounds, is extra."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.counts) != len(self.bounds) + 1 or min(self.counts) < 0:
            raise ValueError("a histogram has one count a bound and one beyond, none of them negative")
        if any(low >= high for low, high in pairwise(self.bounds)):
            raise ValueError("a histogram's bounds ascend")
        return self

    @property
    def total(self) -> float:
        """Of all values."""
        return sum(self.counts)


class Arm(BaseModel):
    """The requests that one bundle answered."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    requests: float = Field(default=0, ge=0)
    """Answered or failed; requests that were refused as wrong are the asker's."""
    errors: float = Field(default=0, ge=0)
    """Of them failed."""
    empty: float = Field(default=0, ge=0)
    """Of them with an empty list."""
    degraded: float = Field(default=0, ge=0)
    """Of them with a degraded list."""
    seconds: Histogram = Histogram()
    """Time of the answered ones."""
    scores: Histogram | None = None
    """Of the first item of home lists."""
    sources: dict[str, float] | None = None
    """Items shown by the route that they come from."""


class Arms(BaseModel):
    """Both over the same minutes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: datetime
    until: datetime
    champion: Arm
    canary: Arm


class Observation(BaseModel):
    """All that a decision sees of the world."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    is_ready: bool
    """Whether the cluster calls the canary ready."""
    whole: Arms | None = None
    """Since the step began; None where metrics are missing."""
    recent: Arms | None = None
    """The last minutes of it."""
    missing: str = ""
    """Why they are, in words."""
