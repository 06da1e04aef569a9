"""What events up to a moment say about each movie: counts by window, ratings, audience, recency."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from marquee import schema
from marquee.data.interactions import Interactions
from marquee.features.profiles import UserProfiles

DAY_US: Final = 86_400_000_000
PRIOR_EVENTS: Final = 5.0
"""Pseudo-events that pull the mean of a rarely seen movie towards the mean of all movies."""


@dataclass(frozen=True, eq=False)
class MovieStatistics:
    """One float32 row per movie in the order of `schema.MOVIE_STATISTICS`, as of `as_of_us`."""

    matrix: NDArray[np.float32]  # (n_items, len(schema.MOVIE_STATISTICS))
    as_of_us: int

    @classmethod
    def of(cls, interactions: Interactions, profiles: UserProfiles, *, as_of_us: int) -> Self:
        """Count events at or before `as_of_us` (UTC microseconds); later events change nothing."""
        past = interactions.take(interactions.timestamp_us <= as_of_us)
        item, n_items = past.item_index, len(past.items)
        age_days = (as_of_us - past.timestamp_us) / DAY_US

        def count(within_days: float) -> NDArray[np.float64]:
            return np.bincount(item[age_days < within_days], minlength=n_items).astype(np.float64)

        events_7d, events_30d = count(7), count(30)
        columns = {
            schema.ITEM_EVENTS_ALL: count(np.inf),
            schema.ITEM_EVENTS_7D: events_7d,
            schema.ITEM_EVENTS_30D: events_30d,
            schema.ITEM_EVENTS_90D: count(90),
            schema.ITEM_TREND_7D: (events_7d + 1) / (events_30d * 7 / 30 + 1),
            schema.ITEM_RATING_MEAN: _shrunken_mean(item, past.value, n_items),
            schema.ITEM_AUDIENCE_AGE_MEAN: _shrunken_mean(item, profiles.age[past.user_index], n_items),
            schema.ITEM_AUDIENCE_MALE_SHARE: _shrunken_mean(item, profiles.is_male[past.user_index], n_items),
            schema.ITEM_AGE_DAYS: _extreme(np.fmax, item, age_days, n_items),
            schema.ITEM_IDLE_DAYS: _extreme(np.fmin, item, age_days, n_items),
        }
        matrix = np.column_stack([columns[name] for name in schema.MOVIE_STATISTICS])
        return cls(matrix.astype(np.float32), as_of_us)

    def column(self, name: str) -> NDArray[np.float32]:
        """One statistic of all movies, `(n_items,) float32`."""
        return self.matrix[:, schema.MOVIE_STATISTICS.index(name)]


def _shrunken_mean(item: NDArray[np.int32], value: NDArray[np.float32], n_items: int) -> NDArray[np.float64]:
    """Mean value per item with `PRIOR_EVENTS` pseudo-events at the overall mean; NaN if no value is known.

    Source: the "true Bayesian estimate" used for rating lists, (Σv + m·C) ÷ (n + m).
    """
    known = ~np.isnan(value)
    if not known.any():
        return np.full(n_items, np.nan)
    item, known_value = item[known], value[known].astype(np.float64)
    total = np.bincount(item, known_value, n_items) + PRIOR_EVENTS * known_value.mean()
    return np.asarray(total / (np.bincount(item, minlength=n_items) + PRIOR_EVENTS))


def _extreme(
    pick: np.ufunc, item: NDArray[np.int32], value: NDArray[np.float64], n_items: int
) -> NDArray[np.float64]:
    """Largest or smallest value per item, NaN for an item without events."""
    result = np.full(n_items, np.nan)  # fmax and fmin let a number win over NaN
    pick.at(result, item, value)
    return result
