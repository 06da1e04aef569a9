"""What another policy would have earned, from the log of this one: IPS, SNIPS and the doubly robust estimate.

They hold only where the log says with what probability it showed what it showed, and that was never 0 where
the other policy would have shown something. Which items the log could never show, it does not say.

Sources: IPS, Horvitz, Thompson (1952), JASA; SNIPS, Swaminathan, Joachims (2015), The Self-Normalized
Estimator for Counterfactual Learning, NIPS; DR, Dudík, Langford, Li (2011), Doubly Robust Policy Evaluation
and Learning, ICML; effective sample size, Kong (1992).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from marquee.errors import ContractError, NotEnoughDataError
from marquee.experiments.comparison import Interval, Numbers

MIN_EFFECTIVE: Final = 200.0
"""Below so many effective rows an interval from the central limit theorem is a guess."""
MIN_EFFECTIVE_SHARE: Final = 0.01
MAX_WEIGHT_SHARE: Final = 0.1


@dataclass(frozen=True, eq=False)
class Logged:
    """What was shown, with what probability, and what came of it; one row a decision, `(n,)` each."""

    reward: Numbers
    propensity: Numbers
    """Of the logged action under the policy that logged it."""
    target: Numbers
    """Of the same action under the policy that is asked about."""
    user: NDArray[np.int64]
    """Whose decision it was: rows of one user are not independent."""
    predicted: Numbers | None = None
    """What a model expects of the logged action; must not have learned from these rows. For DR."""
    predicted_target: Numbers | None = None
    """What it expects on average over the actions of the policy that is asked about. For DR."""


@dataclass(frozen=True, slots=True)
class OffPolicyEstimate:
    """Mean reward of the policy that was asked about."""

    method: str
    estimate: float
    standard_error: float
    """Over users."""
    interval: Interval
    effective_n: float
    """(Σw)² / Σw²: as many rows of the policy itself would say as much."""
    warnings: tuple[str, ...] = field(default=())


def ips(logged: Logged, *, alpha: float = 0.05) -> OffPolicyEstimate:
    """mean(w·r) with w = target / propensity; unbiased, and wild where weights are large.

    Raises:
        ContractError: a propensity is missing, 0, or no probability; or a column that is not finite.
        NotEnoughDataError: fewer than two users.
    """
    weight = _weights(logged)
    return _estimate("IPS", logged, weight, lambda: weight * logged.reward, alpha=alpha)


def snips(logged: Logged, *, alpha: float = 0.05) -> OffPolicyEstimate:
    """Σw·r / Σw: a little biased, within the range of the rewards, and steadier.

    Raises:
        ContractError: as `ips`, or all weights are 0.
        NotEnoughDataError: as `ips`.
    """
    weight = _weights(logged)
    if weight.sum() == 0:
        raise ContractError(
            "the policy that is asked about never does what was logged: all weights are 0.",
            remedy="Log with a policy that explores what this one would show.",
        )
    mean = float(weight @ logged.reward / weight.sum())
    return _estimate(
        "SNIPS",
        logged,
        weight,
        lambda: mean + (logged.reward - mean) * weight / weight.mean(),
        alpha=alpha,
    )


def doubly_robust(logged: Logged, *, alpha: float = 0.05) -> OffPolicyEstimate:
    """mean(q(target) + w·(r - q)): right where either the propensities or the model are.

    Raises:
        ContractError: as `ips`.
        NotEnoughDataError: as `ips`.
        ValueError: there are no predictions.
    """
    predicted, average = logged.predicted, logged.predicted_target
    if predicted is None or average is None:
        raise ValueError("The doubly robust estimate needs predicted and predicted_target.")
    weight = _weights(logged)
    return _estimate(
        "DR", logged, weight, lambda: average + weight * (logged.reward - predicted), alpha=alpha
    )


def _weights(logged: Logged) -> Numbers:
    columns = {"reward": logged.reward, "propensity": logged.propensity, "target": logged.target}
    for name, column in {
        **columns,
        "predicted": logged.predicted,
        "average": logged.predicted_target,
    }.items():
        if column is None:
            continue
        if column.shape != logged.user.shape:
            raise ValueError(f"{name} {column.shape} is not aligned with user {logged.user.shape}.")
        _require(name, column, np.isfinite(column), "must be known")
    _require(
        "propensity", logged.propensity, (logged.propensity > 0) & (logged.propensity <= 1), "is no chance"
    )
    _require("target", logged.target, (logged.target >= 0) & (logged.target <= 1), "is no probability")
    if len(np.unique(logged.user)) < 2:
        raise NotEnoughDataError(
            f"{len(np.unique(logged.user))} users are too few for an interval.", remedy="Log more users."
        )
    return logged.target / logged.propensity


def _require(name: str, column: Numbers, is_right: NDArray[np.bool_], fault: str) -> None:
    if not is_right.all():
        row = int(np.flatnonzero(~is_right)[0])
        raise ContractError(
            f"{name} = {column[row]} of row {row} {fault}; {np.count_nonzero(~is_right):,} of {len(column):,}"
            " rows are so.",
            remedy="Take only what was shown with a logged probability in (0, 1]; what was not explored says"
            " nothing about another policy.",
        )


def _estimate(
    method: str, logged: Logged, weight: Numbers, values: Callable[[], Numbers], *, alpha: float
) -> OffPolicyEstimate:
    each = values()
    mean = float(each.mean())
    _, row = np.unique(logged.user, return_inverse=True)
    by_user = np.bincount(row, weights=each - mean)
    n_users = len(by_user)
    error = math.sqrt(float(by_user @ by_user) * n_users / (n_users - 1)) / len(each)
    half = float(stats.norm.isf(alpha / 2)) * error
    squares = float(weight @ weight)
    effective = float(weight.sum()) ** 2 / squares if squares > 0 else 0.0
    return OffPolicyEstimate(
        method, mean, error, Interval(mean - half, mean + half), effective, _warnings(weight, effective, row)
    )


def _warnings(weight: Numbers, effective: float, row: NDArray[np.int64]) -> tuple[str, ...]:
    """What makes the interval doubtful, in words."""
    found = []
    if effective < max(MIN_EFFECTIVE, MIN_EFFECTIVE_SHARE * len(weight)):
        found.append(
            f"the {len(weight):,} rows say as much as {effective:,.1f}: the policies differ too much, and the"
            " interval is too narrow"
        )
    total = float(weight.sum())
    if total > 0 and (largest := float(weight.max()) / total) > MAX_WEIGHT_SHARE:
        found.append(f"one row has {largest:.0%} of all weight")
    by_user = np.bincount(row, weights=weight - 1)
    error = math.sqrt(float(by_user @ by_user))
    if error > 0 and abs(total - len(weight)) > 4 * error:
        found.append(
            f"the weights' mean is {total / len(weight):.3f} where it should be 1: propensities are wrong, or"
            " the log could not show all that the policy would"
        )
    return tuple(found)
