"""How surprising a count is: −log10 of the chance of at least as many, where the usual level went on.

Trending titles and the drift job's surge signal measure in these decimals; they differ in what is counted.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

MOST_DECIMALS: Final = 300.0
"""No surprise is larger: the chance is at the end of what a float64 holds."""

Numbers = NDArray[np.float64]


def gamma_poisson_surprise(
    observed: NDArray[np.number], expected: NDArray[np.number], *, shape: float
) -> Numbers:
    """Decimals of P(X ≥ observed), X Poisson at a rate that is itself gamma-distributed around `expected`.

    Counts over time: crowds come together, so that they vary more than Poisson's.

    Args:
        observed: counts from 0, of any shape.
        expected: above 0, of the same shape.
        shape: of the gamma distribution; the variance is expected + expected² ÷ shape.

    Source: the negative binomial as a gamma mixture of Poissons, Greenwood & Yule (1920); its tail as an
    incomplete beta function, Johnson, Kemp, Kotz, "Univariate Discrete Distributions" (2005), eq. 5.31.
    """
    count, level = (np.asarray(each, np.float64) for each in (observed, expected))
    return _decimals(special.betainc(np.maximum(count, 1), shape, level / (shape + level)), count)


def binomial_surprise(
    observed: NDArray[np.number], chance: NDArray[np.number], *, n: int | NDArray[np.number]
) -> Numbers:
    """Decimals of P(X ≥ observed), X how many of `n` independent users choose an item at this chance.

    Args:
        observed: counts from 0 to `n`, of any shape.
        chance: from 0 to 1, of the same shape.
        n: users.

    Source: the binomial tail as an incomplete beta function, Johnson, Kemp, Kotz, "Univariate Discrete
    Distributions" (2005), eq. 3.19.
    """
    count, each = np.asarray(observed, np.float64), np.minimum(np.asarray(chance, np.float64), 1.0)
    chosen = np.maximum(count, 1)
    return _decimals(special.betainc(chosen, np.asarray(n, np.float64) - chosen + 1, each), count)


def smoothed_share(
    count: NDArray[np.number], total: NDArray[np.number] | float, n_items: int, *, prior: float
) -> Numbers:
    """Shares of a total, each of `n_items` outcomes taken to have been met `prior` times more than it was.

    Source: additive smoothing, (count + prior) ÷ (total + prior · items).
    """
    share: Numbers = (np.asarray(count) + prior) / (np.asarray(total) + prior * n_items)
    return share


def _decimals(tail: NDArray[np.floating], count: Numbers) -> Numbers:
    decimals = -np.log10(np.maximum(tail, 10.0**-MOST_DECIMALS))
    return np.asarray(np.where(count > 0, decimals, 0.0), np.float64)  # at least none is certain
