"""How drift is measured, and from where on it is acted upon; imports nothing heavy."""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

DECLINE: Final = "decline"
Cause = Literal["drift", "decline", "refresh"]
"""Of a training that a drift decision asks for: what goes in and out of the model has moved away, the lists
got worse on labels that have come in since, or the data has outgrown the model."""


class DriftPolicyConfig(BaseModel):
    """From where on drift is acted upon."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: float = Field(default=4.0, gt=0)
    """A signal speaks above this z. Settled by benchmarks/drift.py: of 96 windows without drift two led to a
    training at 3.5, none at 4, and the shocks are still answered within two windows."""
    at_once: float = Field(default=5.0, gt=0)
    """A signal this loud needs no second window, but for those of what people watch: that jumps in ordinary
    weeks. Lists this bad wait for no cooldown, either."""
    votes: int = Field(default=2, ge=1)
    """So many of the last `of_windows` must speak."""
    of_windows: int = Field(default=3, ge=1)
    kinds_at_once: int = Field(default=2, ge=2)
    """So many kinds of evidence (`signals.KINDS`) that speak in one window need no second window."""
    omnibus: float = Field(default=3.5, gt=0)
    """All kinds of evidence together are an alarm above this z, in one window or over the last two:
    docs/decisions/0024-omnibus.md."""
    calm_below: float = Field(default=2.0, gt=0)
    """A window with no z above this is calm."""
    calm_windows: int = Field(default=3, ge=1)
    """So many calm windows in a row end an alarm."""
    users_to_test: int = Field(default=30, ge=1)
    users_to_act: int = Field(default=60, ge=1)
    min_pool: int = Field(default=300, ge=1)
    """Held-out users that the null distributions come from."""
    surge: float = Field(default=8.0, gt=0)
    """−log10 of the probability of one item's users."""
    source_distance: float = Field(default=0.1, gt=0)
    """Jensen-Shannon of the routes' shares; counts from `users_to_act` users on."""
    cooldown_windows: int = Field(default=4, ge=0)
    """After a promotion, and at least `cooldown_hours`."""
    cooldown_hours: float = Field(default=24.0, ge=0)
    cooldown_after_failure: int = Field(default=1, ge=0)
    """Windows after a training that led to no promotion."""
    weekly_cap: int = Field(default=2, ge=0)
    """Trainings within seven days, for drift or as a refresh; the scheduled one does not count."""
    refresh_growth: float | None = Field(default=0.11, gt=0)
    """A model is trained anew, alarm or not, once there are so many more events, or users, than it learned
    from, as a share of those; None for alarms alone. Settled by replay: docs/decisions/0021-refresh.md."""


class DriftConfig(BaseModel):
    """How drift is measured, and from where on it is acted upon."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    held_out_share: float = Field(default=0.5, gt=0, lt=1)
    """Of the reference's users, who calibrate instead of being compared with."""
    draws: int = Field(default=60, ge=20)
    """Windows that are simulated for the null distributions."""
    policy: DriftPolicyConfig = DriftPolicyConfig()
