"""The null distribution of each statistic: what windows of ordinary users measure.

Fixed thresholds do not carry over between window sizes, and p-values of rows are wrong, so each statistic is
compared with those of held-out users, drawn as many at a time as the window has. With replacement: draws
without it from a small pool are too alike, and find drift in half of all ordinary windows.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from marquee.errors import NotEnoughDataError
from marquee.monitoring.distances import Numbers
from marquee.monitoring.omnibus import together
from marquee.monitoring.signals import SIGNALS, Measured

POOL_PER_UNIT: Final = 5
"""A pool of fewer users than this for each one of the window is no calibration but noise."""
LEAST_DEVIATION: Final = 0.05
"""Of a statistic that is the same in every draw, such as the age of a pool of one age."""


@dataclass(frozen=True, eq=False)
class Null:
    """Mean and deviation of each statistic without drift, in the order of `SIGNALS`; NaN where none."""

    mean: Numbers
    deviation: Numbers
    n: int
    pool: int
    draws: Numbers = field(default_factory=lambda: np.zeros((0, len(SIGNALS))))
    """`(draws, 15)` z's of the simulated windows, each signal with mean 0 and deviation 1."""

    def z(self, statistics: Numbers) -> Numbers:
        """By how many deviations a window's statistics lie above what is usual."""
        return z_of(statistics, self.mean, self.deviation)

    def omnibus(self, measured: NDArray[np.bool_]) -> tuple[float, float]:
        """Mean and deviation of `together` over the simulated windows; NaN where there are none.

        Args:
            measured: `(15,)` which signals the window has: the simulated ones count no other.
        """
        if len(self.draws) < 2 or not measured.any():
            return float("nan"), float("nan")
        usual = together(np.where(measured, self.draws, np.nan))
        return float(usual.mean()), max(float(usual.std(ddof=1)), LEAST_DEVIATION)


def z_of(statistics: Numbers, mean: Numbers, deviation: Numbers) -> Numbers:
    """`(statistics − mean) / deviation`."""
    return (statistics - mean) / deviation


def largest_window(pool: int) -> int:
    """How many users a window may have for a pool of this size."""
    return pool // POOL_PER_UNIT


def fit_null(pool: Measured, n: int, *, rng: np.random.Generator, draws: int = 60) -> Null:
    """Measure draws of `n` held-out units, with replacement.

    The deviation grows by √(1 + n/P), since the pool's own mean is uncertain, too. The draws' own z's are
    without that: a window's have a deviation of 1 as they are, and so must these.

    Args:
        pool: held-out units that neither the reference nor the model's training has.
        n: units of the window to be judged.
        rng: draws.
        draws: how many windows to simulate.

    Raises:
        NotEnoughDataError: the pool has fewer than five units for each one of the window.
    """
    if n < 1 or pool.n_units < POOL_PER_UNIT * n:
        raise NotEnoughDataError(
            f"{pool.n_units} held-out users can't calibrate windows of {n}.",
            remedy=f"Give at least {POOL_PER_UNIT * n}: a longer reference, or a smaller window.",
        )
    sample = np.array([pool.statistics(rng.integers(pool.n_units, size=n)) for _ in range(draws)])
    known = np.isfinite(sample)
    enough = known.sum(axis=0) * 2 > draws
    mean, spread = np.full(sample.shape[1], np.nan), np.full(sample.shape[1], np.nan)
    for signal in np.flatnonzero(enough):
        values = sample[known[:, signal], signal]
        mean[signal] = values.mean()
        spread[signal] = max(values.std(ddof=1), LEAST_DEVIATION)
    wider = float(np.sqrt(1 + n / pool.n_units))
    return Null(mean, spread * wider, n, pool.n_units, z_of(sample, mean, spread))
