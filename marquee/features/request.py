"""Features of the request itself: the user's state and the moment, one row per query."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from marquee import schema
from marquee.data.histories import Queries
from marquee.features.profiles import UserProfiles

SECOND_US: Final = 1_000_000
HOUR_US: Final = 3_600 * SECOND_US
DAY_US: Final = 24 * HOUR_US
EPOCH_WEEKDAY: Final = 4
"""1970-01-01 was a Thursday (Monday is 1)."""


def query_features(queries: Queries, profiles: UserProfiles) -> NDArray[np.float32]:
    """`(n_queries, len(schema.QUERY_FEATURES)) float32`; NaN where a fact is unknown."""
    histories, n = queries.histories, len(queries)
    last_us = histories.last_us
    in_sitting = histories.timestamp_us > last_us[histories.row] - HOUR_US
    columns = {
        schema.USER_EVENTS_ALL: histories.lengths,
        schema.USER_EVENTS_1H: np.bincount(histories.row[in_sitting], minlength=n),
        schema.USER_RATING_MEAN: _mean_value(histories.row, histories.value, n),
        schema.USER_IDLE_SECONDS: np.where(
            histories.lengths > 0, (queries.time_us - last_us) / SECOND_US, np.nan
        ),
        schema.USER_AGE: profiles.age[queries.user_index],
        schema.USER_IS_MALE: profiles.is_male[queries.user_index],
        schema.CONTEXT_HOUR: queries.time_us // HOUR_US % 24,
        schema.CONTEXT_WEEKDAY: (queries.time_us // DAY_US + EPOCH_WEEKDAY - 1) % 7 + 1,
    }
    return np.column_stack([columns[name] for name in schema.QUERY_FEATURES]).astype(np.float32)


def _mean_value(row: NDArray[np.int64], value: NDArray[np.float32], n: int) -> NDArray[np.float64]:
    """Mean of the known values per query, NaN where none is known."""
    known = ~np.isnan(value)
    count = np.bincount(row[known], minlength=n)
    total = np.bincount(row[known], value[known], minlength=n)
    return np.asarray(np.divide(total, count, out=np.full(n, np.nan), where=count > 0), np.float64)
