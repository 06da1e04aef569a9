"""Two arms side by side: difference and relative lift of a mean or a ratio, each with its variance.

The user is the unit, whatever is counted: requests of one user are alike, so that a test over requests
finds differences that are none (type I .23 instead of .05).

Each estimate is treated as the sum of one influence a user, its first-order share in the error; the
variance is the sum of their squares. For a mean that is s²/n, for a ratio the delta method, and where a
user stands in several steps of a ramp, their influences are added before they are squared.

Sources: ratio metrics, Deng, Knoblich, Lu (2018), Applying the Delta Method in Metric Analytics, KDD. The
covariate, Deng, Xu, Kohavi, Walker (2013), Improving the Sensitivity of Online Controlled Experiments by
Utilizing Pre-Experiment Data, WSDM (CUPED); theta here is the slope within arms, pooled over both, so that
an effect does not bend it. Steps, Kohavi, Tang, Xu (2020), Trustworthy Online Controlled Experiments, ch. 3
(Simpson's paradox).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Numbers: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Arm:
    """What the users of one arm did; one row a user, all `(n_users,)`."""

    total: Numbers
    """What is added up: minutes, clicks."""
    base: Numbers | None = None
    """What the sum is divided by, such as requests; None: by the users."""
    covariate: Numbers | None = None
    """Known of the user from before the experiment; must not depend on the arm."""
    user: NDArray[np.int64] | None = None
    """Who; needed where the same users stand in several steps."""

    def __post_init__(self) -> None:
        if len(self.total) < 2:
            raise ValueError(f"A variance needs two users; the arm has {len(self.total)}.")
        for column in (self.base, self.covariate, self.user):
            if column is not None and column.shape != self.total.shape:
                raise ValueError(f"Columns must be aligned: {column.shape} beside {self.total.shape}.")


@dataclass(frozen=True, slots=True)
class Interval:
    """From low to high."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Treatment against control; all that a verdict needs."""

    control: float
    treatment: float
    """Mean or ratio of each arm, corrected by the covariate where there is one."""
    n_control: int
    n_treatment: int
    """Users, counted once."""
    difference: float
    variance: float
    """Of the difference."""
    lift: float
    """difference / control; NaN where the control is 0. Likewise its variance."""
    lift_variance: float
    variance_factor: float = 1.0
    """What the covariate left of the variance; 1 without one."""
    n_steps: int = 1
    """Steps of the ramp that were used; those with one user in an arm, or without any spread, are not."""

    def interval(self, *, alpha: float = 0.05) -> Interval:
        """Of the difference, for one look at a planned moment; two-sided."""
        return _normal(self.difference, self.variance, alpha)

    def lift_interval(self, *, alpha: float = 0.05) -> Interval:
        """Of the lift, likewise."""
        return _normal(self.lift, self.lift_variance, alpha)

    @property
    def p_value(self) -> float:
        """Two-sided, for one look at a planned moment."""
        if self.variance == 0:
            return 1.0 if self.difference == 0 else 0.0
        return float(2 * stats.norm.sf(abs(self.difference) / math.sqrt(self.variance)))


def compare(control: Arm, treatment: Arm) -> Comparison:
    """Compare two arms whose users were drawn with the same shares all the time.

    Raises:
        ValueError: only one of the arms has a base or a covariate, or an arm's base adds up to 0.
    """
    return compare_steps([(control, treatment)])


def compare_steps(steps: Sequence[tuple[Arm, Arm]]) -> Comparison:
    """Compare (control, treatment) within each step of a ramp, and average by inverse variance.

    While shares change, and the base rate with time, the pooled arms differ although no user does: type I is
    .57 instead of .05. Within a step they are comparable. One step is an ordinary comparison; a step without
    any spread has no say beside others.

    Raises:
        ValueError: as `compare`, or no step.
    """
    measured = [_Step.of(control, treatment) for control, treatment in steps]
    if not measured:
        raise ValueError("There must be a step to compare in.")
    used = [step for step in measured if step.variance > 0] or measured[:1]
    precision = np.array([1 / step.variance if step.variance > 0 else 1.0 for step in used])
    weights = (precision / precision.sum()).tolist()
    control, treatment = (
        sum(weight * step.estimates[side] for weight, step in zip(weights, used, strict=True))
        for side in (0, 1)
    )
    per_control, per_treatment = (_by_user(used, weights, side) for side in (0, 1))
    n_users = [len(np.unique(np.concatenate([step.users[side] for step in used]))) for side in (0, 1)]
    raw = sum(weight**2 * step.raw_variance for weight, step in zip(weights, used, strict=True))
    own = sum(weight**2 * step.variance for weight, step in zip(weights, used, strict=True))
    lift, spread = (treatment / control - 1, treatment / control) if control != 0 else (math.nan, math.nan)
    return Comparison(
        control=float(control),
        treatment=float(treatment),
        n_control=n_users[0],
        n_treatment=n_users[1],
        difference=float(treatment - control),
        variance=_squares(per_treatment, per_control, factor=1.0),
        lift=float(lift),
        lift_variance=_squares(per_treatment, per_control, factor=spread) / control**2
        if control != 0
        else math.nan,
        variance_factor=own / raw if raw > 0 else 1.0,
        n_steps=len(used),
    )


@dataclass(frozen=True, eq=False)
class _Step:
    estimates: tuple[float, float]
    """Of control and treatment; likewise below."""
    influences: tuple[Numbers, Numbers]
    users: tuple[NDArray[np.int64], NDArray[np.int64]]
    variance: float
    raw_variance: float

    @classmethod
    def of(cls, control: Arm, treatment: Arm) -> "_Step":
        if (control.base is None) != (treatment.base is None):
            raise ValueError("Both arms must have a base, or none.")
        if (control.covariate is None) != (treatment.covariate is None):
            raise ValueError("Both arms must have a covariate, or none.")
        estimates, residuals = zip(*(_ratio(arm) for arm in (control, treatment)), strict=True)
        raw = sum(_variance(each) for each in residuals)
        if control.covariate is not None and treatment.covariate is not None:
            both = (control.covariate, treatment.covariate)
            centred = tuple(each - each.mean() for each in both)
            slope = _slope(residuals, centred)
            grand = float(np.concatenate(both).mean())
            estimates = tuple(
                estimate - slope * (float(each.mean()) - grand)
                for estimate, each in zip(estimates, both, strict=True)
            )
            residuals = tuple(own - slope * x for own, x in zip(residuals, centred, strict=True))
        influences = tuple(each / math.sqrt(len(each) * (len(each) - 1)) for each in residuals)
        return cls(
            (estimates[0], estimates[1]),
            (influences[0], influences[1]),
            (_users(control, 0), _users(treatment, len(control.total))),
            sum(_variance(each) for each in residuals),
            raw,
        )


def _ratio(arm: Arm) -> tuple[float, Numbers]:
    """Sum by sum, and each user's (s - R·m) / mean(m); without a base, mean and deviation from it."""
    if arm.base is None:
        mean = float(arm.total.mean())
        return mean, arm.total - mean
    if (whole := float(arm.base.sum())) == 0:
        raise ValueError("The base of an arm adds up to 0: there is nothing to divide by.")
    ratio = float(arm.total.sum()) / whole
    return ratio, (arm.total - ratio * arm.base) / (whole / len(arm.base))


def _variance(residual: Numbers) -> float:
    """Of the arm's mean, from deviations of its users."""
    return float(residual @ residual) / (len(residual) * (len(residual) - 1))


def _slope(residuals: Sequence[Numbers], centred: Sequence[Numbers]) -> float:
    """Theta of CUPED; 0 where the covariate is the same for all."""
    spread = sum(float(x @ x) for x in centred)
    return sum(float(y @ x) for y, x in zip(residuals, centred, strict=True)) / spread if spread > 0 else 0.0


def _users(arm: Arm, first: int) -> NDArray[np.int64]:
    """Who they are; by their place where nobody says, as there is but one step then."""
    return arm.user if arm.user is not None else np.arange(first, first + len(arm.total), dtype=np.int64)


def _by_user(
    steps: Sequence[_Step], weights: Sequence[float], side: int
) -> tuple[NDArray[np.int64], Numbers]:
    parts = [weight * step.influences[side] for weight, step in zip(weights, steps, strict=True)]
    return np.concatenate([step.users[side] for step in steps]), np.concatenate(parts)


def _squares(
    treatment: tuple[NDArray[np.int64], Numbers], control: tuple[NDArray[np.int64], Numbers], *, factor: float
) -> float:
    """Sum of squared influences of treatment - factor × control; a user's are added first."""
    _, row = np.unique(np.concatenate([treatment[0], control[0]]), return_inverse=True)
    added = np.bincount(row, weights=np.concatenate([treatment[1], -factor * control[1]]))
    return float(added @ added)


def _normal(estimate: float, variance: float, alpha: float) -> Interval:
    half = float(stats.norm.isf(alpha / 2)) * math.sqrt(variance)
    return Interval(estimate - half, estimate + half)
