"""Intervals that may be looked at after each user, and the verdict of a look.

A t-test that is looked at sixty times finds a difference between equal arms in 38 % of experiments. The
normal mixture stays below alpha whoever stops when: it is the mSPRT and, with another tau, the asymptotic
confidence sequence.

Sources: Robbins (1970), Statistical Methods Related to the Law of the Iterated Logarithm, Ann. Math.
Statist.; Johari, Koomen, Pekelis, Walsh (2022), Always Valid Inference, Operations Research; Waudby-Smith,
Arbour, Sinha, Kennedy, Ramdas (2024), Time-uniform Central Limit Theory and Asymptotic Confidence
Sequences, Ann. Statist. The one-sided mixture: Howard, Ramdas, McAuliffe, Sekhon (2021), Time-uniform,
Nonparametric, Nonasymptotic Confidence Sequences, Ann. Statist., equation (10).
"""

import math
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import special

from marquee.experiments.comparison import Comparison

Numbers: TypeAlias = float | NDArray[np.float64]
Verdict = Literal["too_early", "undecided", "better", "worse", "harmless"]

_ITERATIONS: Final = 40


class SequentialConfig(BaseModel):
    """How looks are taken. Set before the first one: to change it afterwards voids the promise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alpha: float = Field(default=0.05, gt=0, lt=0.25)
    """In what share of experiments without an effect one may ever be announced; two-sided."""
    effect: float = Field(default=0.05, gt=0, le=10)
    """The relative change that one cares about: near it the interval is as narrow as can be."""
    min_users: int = Field(default=200, ge=2)
    """Users in each arm before the first look: the promise leans on the central limit theorem."""
    margin: float = Field(default=0.01, gt=0, lt=1)
    """A relative loss below this is harmless. 1 % of a skewed metric takes hundreds of thousands of users."""


@dataclass(frozen=True, slots=True)
class Look:
    """What may be said at this moment, and still holds if one looks again."""

    estimate: float
    low: float
    high: float
    """Of the difference; infinite before the first look is due. Likewise of the lift."""
    lift_low: float
    lift_high: float
    tau2: float
    verdict: Verdict


def half_width(variance: Numbers, tau2: float, *, alpha: float = 0.05) -> Numbers:
    """Half of the always-valid interval around an estimate with this variance; 0 where that is 0.

    Args:
        variance: of the estimate now: s₁²/n₁ + s₂²/n₂ of two means.
        tau2: variance of the effects that one expects; of the estimate's unit, squared.
        alpha: two-sided.
    """
    spread = np.maximum(variance, np.finfo(np.float64).tiny)
    ratio = np.log1p(tau2 / spread)
    width = np.sqrt(2 * spread * (spread + tau2) / tau2 * (math.log(1 / alpha) + 0.5 * ratio))
    return _like(variance, np.where(np.asarray(variance) > 0, width, 0.0))


def one_sided_width(variance: Numbers, tau2: float, *, alpha: float = 0.05) -> Numbers:
    """How far below (or above) an estimate its always-valid bound lies; 0 where the variance is 0.

    The mixture over effects of one sign rejects where 2·Φ(u)·exp(u²/2)·√(V/(V + τ²)) = 1/α, with
    u = estimate·τ/√(V·(V + τ²)).
    """
    spread = np.maximum(variance, np.finfo(np.float64).tiny)
    wanted = math.log(1 / (2 * alpha)) + 0.5 * np.log1p(tau2 / spread)
    u = np.sqrt(2 * wanted)
    for _ in range(_ITERATIONS):
        u = np.sqrt(2 * (wanted - special.log_ndtr(u)))
    width = u * np.sqrt(spread * (spread + tau2) / tau2)
    return _like(variance, np.where(np.asarray(variance) > 0, width, 0.0))


def always_valid_p(estimate: Numbers, variance: Numbers, tau2: float) -> Numbers:
    """The level at which the interval would just touch 0; the smallest seen so far may be reported.

    Source: Johari et al. (2022), equation (6): one over the mixture's likelihood ratio.
    """
    spread = np.maximum(variance, np.finfo(np.float64).tiny)
    log_p = 0.5 * np.log1p(tau2 / spread) - np.square(estimate) * tau2 / (2 * spread * (spread + tau2))
    return _like(variance, np.exp(np.minimum(log_p, 0.0)))


def tau2_of_effect(mean: float, share: float) -> float:
    """Tau squared for effects of about this share of the mean."""
    return (share * mean) ** 2


def tau2_of_horizon(variance_of_one: float, n_per_arm: float, *, alpha: float = 0.05) -> float:
    """Tau squared that makes the interval narrowest when each arm has so many users.

    With it the interval is that of the asymptotic confidence sequence with t_opt = n_per_arm.

    Args:
        variance_of_one: of one user's outcome, alike in both arms.
        n_per_arm: at which number of users.
        alpha: two-sided.

    Source: Waudby-Smith et al. (2024), appendix on choosing ρ; τ² = 2σ²ρ².
    """
    two_logs = -2 * math.log(alpha)
    return 2 * variance_of_one * (two_logs + math.log1p(two_logs)) / n_per_arm


def look(comparison: Comparison, config: SequentialConfig, *, higher_is_better: bool = True) -> Look:
    """What two arms say now.

    `harmless` is an interval that reaches to neither side of -margin × control on the bad side.
    """
    tau2 = tau2_of_effect(comparison.control, config.effect)
    if min(comparison.n_control, comparison.n_treatment) < config.min_users or tau2 == 0:
        return Look(comparison.difference, -math.inf, math.inf, -math.inf, math.inf, tau2, "too_early")
    half = float(half_width(comparison.variance, tau2, alpha=config.alpha))
    low, high = comparison.difference - half, comparison.difference + half
    lift = float(half_width(comparison.lift_variance, config.effect**2, alpha=config.alpha))
    gain, loss = (low, high) if higher_is_better else (-high, -low)
    verdict = _verdict(gain, loss, allowed=config.margin * abs(comparison.control))
    return Look(
        comparison.difference, low, high, comparison.lift - lift, comparison.lift + lift, tau2, verdict
    )


def _verdict(low: float, high: float, *, allowed: float) -> Verdict:
    """Of an interval in which more is better."""
    if low > 0:
        return "better"
    if high < 0:
        return "worse"
    return "harmless" if low > -allowed else "undecided"


def _like(given: Numbers, made: NDArray[np.float64]) -> Numbers:
    return made if isinstance(given, np.ndarray) else float(made)
