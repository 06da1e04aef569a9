"""Features of the request: the user's state and the moment, one row per query."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from marquee.data.histories import Queries
from marquee.features.context import Calendar, context_numbers

SECOND_US: Final = 1_000_000


def query_features(queries: Queries, calendar: Calendar) -> NDArray[np.float32]:
    """`(n_queries, len(schema.QUERY_FEATURES)) float32`; NaN where a fact is unknown."""
    histories = queries.histories
    idle = np.where(histories.lengths > 0, (queries.time_us - histories.last_us) / SECOND_US, np.nan)
    context = context_numbers(queries.time_us, calendar)
    return np.concatenate([queries.user_state, idle.astype(np.float32)[:, np.newaxis], context], axis=1)
