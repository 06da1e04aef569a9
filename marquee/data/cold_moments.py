"""Moments at which somebody has hardly begun: what a newcomer is asked, and what they chose next."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from marquee.data.histories import LabelledMoments
from marquee.data.interactions import Interactions
from marquee.data.splits import TemporalConfig, moments_of, sample_moments

COLD_BELOW: Final = 5
"""A user with fewer known events is cold."""
MAX_MOMENTS: Final = 2_000
"""Moments in all; more are sampled down."""


def cold_moments(
    interactions: Interactions,
    *,
    after_us: int,
    until_us: int | None = None,
    config: TemporalConfig,
    seed: int,
) -> LabelledMoments:
    """Moments after `after_us`, and not after `until_us`, at which a user had fewer than `COLD_BELOW` events.

    Of each user with at least `config.min_events` events after `after_us`: one moment before the first
    event of all, and one at the latest change of timestamp between one known event and `COLD_BELOW`, each
    where there is such a moment after `after_us`. The target is everything that the user chose later. A
    moment is the last microsecond before the first target event. Ordered by user index, then time; more
    than `config.max_queries` or `MAX_MOMENTS` are sampled down. Expects one event per user and item (see
    `consumed`).
    """

    def boundaries(times: NDArray[np.int64], n_before: int) -> list[int]:
        return _cold_boundaries(times, n_before) if len(times) - n_before >= config.min_events else []

    moments = moments_of(interactions, after_us=after_us, until_us=until_us, boundaries=boundaries)
    return sample_moments(moments, min(config.max_queries, MAX_MOMENTS), seed=seed)


def _cold_boundaries(times: NDArray[np.int64], n_before: int) -> list[int]:
    """How many of a user's events are known at each cold moment, those before the cut among them."""
    changes = np.flatnonzero(np.diff(times)) + 1
    begun = changes[(changes >= max(n_before, 1)) & (changes < COLD_BELOW)]
    return [*([0] if n_before == 0 else []), *map(int, begun[-1:])]
