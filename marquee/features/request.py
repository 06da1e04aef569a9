"""Features of the request: the user's state and the moment, one row per query."""

import math
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from marquee import schema
from marquee.data.histories import Queries
from marquee.features.context import HOUR_US, Calendar

SECOND_US: Final = 1_000_000


def query_features(queries: Queries, calendar: Calendar) -> NDArray[np.float32]:
    """`(n_queries, len(schema.QUERY_FEATURES)) float32`; NaN where a fact is unknown."""
    # Number by number: a server asks of one query at a time, and arrays of one number are slow.
    time_of = queries.histories.timestamp_us.item
    rows = [
        (
            *state,
            (time_us - time_of(end - 1)) / SECOND_US if end > start else math.nan,
            *calendar.at_hour(time_us // HOUR_US),
        )
        for state, time_us, (start, end) in zip(
            queries.user_state.tolist(),
            queries.time_us.tolist(),
            pairwise(queries.histories.offsets.tolist()),
            strict=True,
        )
    ]
    return np.array(rows, np.float32).reshape(len(rows), len(schema.QUERY_FEATURES))
