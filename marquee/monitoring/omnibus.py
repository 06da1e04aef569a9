"""Evidence that is spread: all kinds of it as one statistic, each kind by its loudest signal.

A wave of newcomers moves the length of histories, the titles, the ratings and the lists' quality by two to
four deviations each: no signal is loud enough alone, while all of them together hardly ever happen.

Source: Pesarin, Salmaso (2010), Permutation Tests for Complex Data (nonparametric combination): dependent
tests are combined by a sum, and the sum is held against the sums of the very draws that calibrate each test,
so that nothing need be known of how they depend on one another. Of its combining functions this is the
direct one, of positive parts, and capped.
"""

from typing import Final

import numpy as np

from marquee.monitoring.distances import Numbers
from marquee.monitoring.signals import KINDS, SIGNALS, SURPRISE

OMNIBUS: Final = "omnibus"
"""Its name among the z's."""
CAP: Final = 4.0
"""What one kind counts at most: one that is loud alone has rules of its own, and is not spread."""


def together(z: Numbers) -> Numbers:
    """The sum over kinds of the loudest z, each between 0 and `CAP`.

    Surges of single items are no evidence here, as they are none of drift.

    Args:
        z: `(n, 15)` z's in the order of `SIGNALS`; NaN where not measured, which counts as 0.

    Returns:
        `(n,)`.
    """
    columns: dict[str, list[int]] = {}
    for place, (name, column) in enumerate(SIGNALS.items()):
        if name != SURPRISE:
            columns.setdefault(KINDS[column], []).append(place)
    positive = np.clip(np.nan_to_num(z, nan=0.0), 0.0, CAP)
    loudest = [positive[:, places].max(axis=1) for places in columns.values()]
    return np.asarray(np.sum(loudest, axis=0), np.float64)
