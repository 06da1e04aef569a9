"""How far predicted ratings lie from those that were given, one number for all pairs.

All but R² and the shares are in units of the rating, stars as a rule, and are losses: lower is better. To
add one, write a function of `(predicted, given)` and give it a line in `METRICS`.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from marquee.evaluation.ratio import ratio

Floats = NDArray[np.float64]
Metric = Callable[[Floats, Floats], float]


def rmse(predicted: Floats, given: Floats) -> float:
    """Root of the mean squared error.

    Source: Herlocker et al. (2004), "Evaluating collaborative filtering recommender systems", §4.1.
    """
    return float(np.sqrt(np.mean((predicted - given) ** 2)))


def mae(predicted: Floats, given: Floats) -> float:
    """Mean absolute error.

    Source: Herlocker et al. (2004), §4.1.
    """
    return float(np.mean(np.abs(predicted - given)))


def r2(predicted: Floats, given: Floats) -> float:
    """Share of the variance of the given ratings that is explained: 1 - Σ error² ÷ Σ (given - mean)².

    At most 1, 0 for who always predicts the mean of these very ratings, below that worse; NaN where all
    given ratings are alike.
    """
    unexplained = np.sum((predicted - given) ** 2)
    spread = np.sum((given - given.mean()) ** 2)
    return float(1 - ratio(np.array([unexplained]), np.array([spread]))[0])


def within(stars: float) -> Metric:
    """Share of the pairs whose error is at most so large, the bound included."""

    def share(predicted: Floats, given: Floats) -> float:
        return float(np.mean(np.abs(predicted - given) <= stars))

    return share


METRICS: Final[Mapping[str, Metric]] = MappingProxyType(
    {"rmse": rmse, "mae": mae, "r2": r2, "within_0.5": within(0.5), "within_1.0": within(1.0)}
)
"""Every rating metric by its name."""


def rating_metrics(
    predicted: NDArray[np.floating | np.integer], given: NDArray[np.floating | np.integer]
) -> dict[str, float]:
    """Each metric by name, of aligned `(n_pairs,)` arrays.

    Raises:
        ValueError: they differ in length, are empty, or hold a number that is not finite. A pair without a
            prediction has no error: leaving it out would flatter whoever is silent where it is hard.
    """
    ours, theirs = np.asarray(predicted, np.float64), np.asarray(given, np.float64)
    if ours.shape != theirs.shape or ours.ndim != 1:
        raise ValueError(f"Predictions {ours.shape} and ratings {theirs.shape} must be aligned and flat.")
    if not len(ours):
        raise ValueError("There is no rating to compare with.")
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        raise ValueError("Every prediction and every rating must be a finite number.")
    return {name: metric(ours, theirs) for name, metric in METRICS.items()}
