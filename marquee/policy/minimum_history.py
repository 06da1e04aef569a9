"""Who is known too little for a personal list gets the one for everybody."""

import numpy as np

from marquee.data.histories import Queries
from marquee.data.interactions import UNKNOWN_INDEX
from marquee.features.user_rows import UNKNOWN_STATE


def without_short_histories(queries: Queries, min_events: int) -> Queries:
    """The same queries, those of fewer than `min_events` events asked by nobody in particular.

    Only what is answered changes: what such a user has seen stays blocked, by the queries as they came.
    """
    if min_events <= 0:
        return queries
    is_short = queries.histories.lengths < min_events
    if not is_short.any():
        return queries
    return Queries(
        user_index=np.where(is_short, UNKNOWN_INDEX, queries.user_index).astype(np.int32),
        time_us=queries.time_us,
        histories=queries.histories.kept(~is_short[queries.histories.row]),
        user_state=np.where(is_short[:, np.newaxis], np.array(UNKNOWN_STATE, np.float32), queries.user_state),
    )
