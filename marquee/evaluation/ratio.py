"""Division that admits when it is not defined."""

import numpy as np
from numpy.typing import NDArray


def ratio(
    numerator: NDArray[np.floating | np.integer], denominator: NDArray[np.floating | np.integer]
) -> NDArray[np.float64]:
    """Element by element `(n,) float64`, NaN where the denominator is 0, without a warning."""
    quotient = np.full(len(denominator), np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator != 0)
    return quotient
