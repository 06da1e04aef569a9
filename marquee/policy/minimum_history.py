"""Who is known too little for a personal list gets the one for everybody."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from marquee import schema
from marquee.data.histories import Histories, Queries
from marquee.data.interactions import UNKNOWN_INDEX
from marquee.features.user_rows import COUNTS

_NOBODY: Final = tuple(0.0 if name in COUNTS else np.nan for name in schema.USER_STATE)
"""The state of somebody of whom nothing is known."""


def without_short_histories(queries: Queries, min_events: int) -> Queries:
    """The same queries, those of fewer than `min_events` events asked by nobody in particular.

    Only what is answered changes: what such a user has seen stays blocked, by the queries as they came.
    """
    is_short = queries.histories.lengths < min_events
    if not is_short.any():
        return queries
    return Queries(
        user_index=np.where(is_short, UNKNOWN_INDEX, queries.user_index).astype(np.int32),
        time_us=queries.time_us,
        histories=_emptied(queries.histories, is_short),
        user_state=np.where(is_short[:, np.newaxis], np.array(_NOBODY, np.float32), queries.user_state),
    )


def _emptied(histories: Histories, at: NDArray[np.bool_]) -> Histories:
    kept = ~at[histories.row]
    lengths = np.where(at, 0, histories.lengths)
    return Histories(
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        item_index=histories.item_index[kept],
        timestamp_us=histories.timestamp_us[kept],
        value=histories.value[kept],
    )
