"""Guardrails: what a better metric may not be bought with. Each has a limit, and bounds that may be watched.

A guardrail is broken as soon as the harm is surely above its limit, kept as soon as it is surely below, and
open until then. All of them share one alpha for being broken, since any of them stops the experiment; being
kept needs no sharing, since shipping asks it of all.

Sources: one-sided always-valid bounds, `marquee.experiments.sequential`. The split of alpha: Schultzberg,
Ankargren, Frånberg (2024), Risk-aware Product Decisions in A/B Tests with Multiple Metrics. Quantiles:
Woodruff (1952), Confidence Intervals for Medians and Other Position Measures, JASA; Deng, Knoblich, Lu
(2018), KDD, section 4.2, with users as the unit. Shares near 0: Agresti, Caffo (2000), The American
Statistician.
"""

import math
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from marquee.experiments.comparison import Arm, Comparison, Numbers, compare
from marquee.experiments.sequential import one_sided_width

MIN_BEYOND: Final = 50
"""Requests beyond the quantile before the first look: fewer are too skewed for a normal interval."""

Kind = Literal["increase", "quantile_ratio", "never"]
Status = Literal["too_early", "broken", "kept", "open"]


class Guardrail(BaseModel):
    """What may not get worse, and by how much it may."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str
    """Of which less is better."""
    kind: Kind
    """increase: treatment - control of a share or mean; quantile_ratio: treatment by control of a quantile;
    never: how often it may happen in the treatment at all."""
    limit: float = Field(ge=0)
    """In the metric's own unit, as a ratio, or as a count."""
    quantile: float = Field(default=0.99, gt=0, lt=1)
    """For quantile_ratio."""


DEFAULTS = (
    Guardrail(metric="latency_ms", kind="quantile_ratio", limit=1.2),
    Guardrail(metric="degraded", kind="increase", limit=0.01),
    Guardrail(metric="empty", kind="increase", limit=0.01),
    Guardrail(metric="policy_violations", kind="never", limit=0),
)


@dataclass(frozen=True, slots=True)
class GuardrailLook:
    """What may be said of one guardrail now."""

    metric: str
    kind: Kind
    limit: float
    control: float
    treatment: float
    estimate: float
    """Of what is limited: difference, ratio or count."""
    low: float
    """It is above this, at the guardrail's part of alpha."""
    high: float
    """It is below this, at all of alpha."""
    status: Status


@dataclass(frozen=True, eq=False)
class Durations:
    """What the requests of one arm took, `(n_requests,)` each."""

    value: Numbers
    user: NDArray[np.int64]
    weight: Numbers | None = None
    """Where the arms' shares changed meanwhile: what gives both the same mix of steps."""


def split(alpha: float, n: int) -> float:
    """Each part of an alpha that `n` claims share (Bonferroni)."""
    return alpha / max(n, 1)


def check_increase(
    guardrail: Guardrail, comparison: Comparison, *, alpha: float, n_guardrails: int = 1, min_users: int = 200
) -> GuardrailLook:
    """Whether the treatment's share (or mean) is above the control's by more than the limit.

    A share that was never seen is not 0: the variance is at least that of one more and one less in each arm.

    Raises:
        ValueError: a limit of 0, which no interval can ever be below.
    """
    if guardrail.limit == 0:
        raise ValueError(f"guardrail {guardrail.metric}: an increase needs a limit above 0.")
    floor = sum(
        _rare(share, n)
        for share, n in (
            (comparison.control, comparison.n_control),
            (comparison.treatment, comparison.n_treatment),
        )
    )
    variance = max(comparison.variance, floor)
    tau2 = guardrail.limit**2
    down = one_sided_width(variance, tau2, alpha=split(alpha, n_guardrails))
    up = one_sided_width(variance, tau2, alpha=alpha)
    estimate = comparison.difference
    found = GuardrailLook(
        guardrail.metric,
        guardrail.kind,
        guardrail.limit,
        comparison.control,
        comparison.treatment,
        estimate,
        float(estimate - down),
        float(estimate + up),
        "open",
    )
    return _judged(found, is_due=min(comparison.n_control, comparison.n_treatment) >= min_users)


def check_quantile_ratio(
    guardrail: Guardrail,
    control: Durations,
    treatment: Durations,
    *,
    alpha: float,
    n_guardrails: int = 1,
    min_users: int = 200,
) -> GuardrailLook:
    """Whether the treatment's quantile is above the control's by more than the limit, as a factor.

    The share of requests beyond the quantile has a variance over users without a density to guess; its
    bounds, read off the treatment's distribution, are the ratio's.
    """
    tail = 1 - guardrail.quantile
    own, other = (_quantile(arm, guardrail.quantile) for arm in (control, treatment))
    beyond = compare(_beyond(control, own), _beyond(treatment, other))
    # A tail half as heavy again is what 1.2 × the latency makes of a log-normal one.
    tau2 = (tail / 2) ** 2
    down = one_sided_width(beyond.variance, tau2, alpha=split(alpha, n_guardrails))
    up = one_sided_width(beyond.variance, tau2, alpha=alpha)
    low = _quantile(treatment, max(guardrail.quantile - float(down), 0.0)) / own
    high = _quantile(treatment, guardrail.quantile + float(up)) / own if up < tail else math.inf
    found = GuardrailLook(
        guardrail.metric, guardrail.kind, guardrail.limit, own, other, other / own, low, high, "open"
    )
    n_requests = min(len(control.value), len(treatment.value))
    is_due = min(beyond.n_control, beyond.n_treatment) >= min_users and n_requests * tail >= MIN_BEYOND
    return _judged(found, is_due=is_due)


def check_never(guardrail: Guardrail, control: int, treatment: int) -> GuardrailLook:
    """Whether something happened that may not; a count needs no statistics and no first look."""
    status: Status = "broken" if treatment > guardrail.limit else "kept"
    return GuardrailLook(
        guardrail.metric,
        guardrail.kind,
        guardrail.limit,
        control,
        treatment,
        treatment,
        treatment,
        treatment,
        status,
    )


def judged(found: GuardrailLook) -> GuardrailLook:
    """The look with the status that follows from its bounds; one that came too early has none."""
    if math.isinf(found.low) and math.isinf(found.high):
        return replace(found, status="too_early")
    if found.low > found.limit:
        return replace(found, status="broken")
    return replace(found, status="kept" if found.high <= found.limit else "open")


def _judged(found: GuardrailLook, *, is_due: bool) -> GuardrailLook:
    return judged(found if is_due else replace(found, low=-math.inf, high=math.inf))


def _rare(share: float, n: int) -> float:
    """Variance of a share with one more and one less, as if each user asked once; 0 of what is no share."""
    if not 0 <= share <= 1:
        return 0.0
    wary = (share * n + 1) / (n + 2)
    return wary * (1 - wary) / (n + 2) if share in {0, 1} else 0.0


def _quantile(arm: Durations, quantile: float) -> float:
    """The smallest value that so large a share (of the weight) does not exceed."""
    order = np.argsort(arm.value, kind="stable")
    weight = np.ones(len(order)) if arm.weight is None else arm.weight[order]
    reached = np.cumsum(weight)
    place = int(np.searchsorted(reached, min(quantile, 1.0) * reached[-1] * (1 - 1e-12)))
    return float(arm.value[order[min(place, len(order) - 1)]])


def _beyond(arm: Durations, value: float) -> Arm:
    """By user: requests beyond a value, and all of them."""
    _, row = np.unique(arm.user, return_inverse=True)
    weight = np.ones(len(row)) if arm.weight is None else arm.weight
    slow = np.bincount(row, weights=weight * (arm.value > value))
    return Arm(slow.astype(np.float64), np.bincount(row, weights=weight).astype(np.float64))
