"""Bounds for a fixed number of planned looks: more power than always-valid ones, and no look beside the plan.

Sources: Lan, DeMets (1983), Discrete Sequential Boundaries for Clinical Trials, Biometrika (the spending of
O'Brien and Fleming's kind); Armitage, McPherson, Rowe (1969), Repeated Significance Tests on Accumulating
Data, JRSS A (the recursive integral).
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import brentq

_POINTS: Final = 801
_FAR: Final = 8.5
"""In standard errors: what lies beyond has less probability than rounding."""


def alpha_spent(fraction: float, *, alpha: float = 0.05) -> float:
    """How much of alpha may be used up when this fraction of the planned users is there; two-sided."""
    if not 0 < fraction <= 1:
        raise ValueError(f"The fraction of the plan must be in (0, 1]: {fraction}.")
    return float(2 * stats.norm.sf(stats.norm.isf(alpha / 2) / math.sqrt(fraction)))


def planned_bounds(fractions: Sequence[float], *, alpha: float = 0.05) -> NDArray[np.float64]:
    """|z| to exceed at each planned look, `(n_looks,)`; infinite where next to nothing may be spent.

    Args:
        fractions: of the planned users at each look, rising, at most 1.
        alpha: two-sided, of all looks together.

    Raises:
        ValueError: fractions that do not rise or lie outside (0, 1].
    """
    return crossing_bounds(fractions, [alpha_spent(share, alpha=alpha) for share in fractions])


def crossing_bounds(fractions: Sequence[float], spent: Sequence[float]) -> NDArray[np.float64]:
    """|z| whose first crossing by a path without drift has the probability newly spent at each look.

    Args:
        fractions: of the planned users at each look, rising, at most 1.
        spent: two-sided alpha that is used up by each look, rising.

    Raises:
        ValueError: fractions that do not rise or lie outside (0, 1].
    """
    shares = np.asarray(fractions, np.float64)
    if len(shares) == 0 or shares[0] <= 0 or shares[-1] > 1 or (np.diff(shares) <= 0).any():
        raise ValueError(f"Looks must come at rising fractions of the plan, in (0, 1]: {list(fractions)}.")
    budget = np.diff(np.asarray(spent, np.float64), prepend=0.0)
    bounds = np.empty(len(shares))
    # The score B(f) is a Brownian motion: its density among the paths that have not crossed, look by look.
    grid, density = np.zeros(1), np.ones(1)
    before = 0.0
    for number, (share, allowed) in enumerate(zip(shares.tolist(), budget.tolist(), strict=True)):
        step = math.sqrt(share - before)
        bounds[number] = _bound(grid, density, step=step, scale=math.sqrt(share), allowed=allowed)
        reach = min(bounds[number], _FAR) * math.sqrt(share)
        points = np.linspace(-reach, reach, _POINTS)
        moved = stats.norm.pdf(points[:, None], loc=grid[None, :], scale=step) @ density
        weights = np.full(_POINTS, points[1] - points[0])
        weights[[0, -1]] /= 2
        grid, density, before = points, moved * weights, share
    return bounds


def _bound(
    grid: NDArray[np.float64], density: NDArray[np.float64], *, step: float, scale: float, allowed: float
) -> float:
    """|z| that paths exceed for the first time with the probability that may be spent."""

    def excess(z: float) -> float:
        above = stats.norm.sf(z * scale, loc=grid, scale=step) + stats.norm.cdf(
            -z * scale, loc=grid, scale=step
        )
        return float(above @ density) - allowed

    return math.inf if excess(_FAR) > 0 or allowed < 1e-12 else float(brentq(excess, 0.0, _FAR, xtol=1e-8))
