"""From rows of the user views to queries; offline frames and one online row take the same way."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marquee import schema
from marquee.data.histories import Histories, LabelledMoments, LabelledQueries, Queries
from marquee.data.interactions import UNKNOWN_INDEX, Interactions, Vocabulary
from marquee.errors import FeatureStoreError
from marquee.features.given_history import activity_after
from marquee.features.reader import StateReader

COUNTS: Final = (
    schema.USER_EVENTS_ALL,
    schema.USER_EVENTS_1H,
    schema.USER_EVENTS_1D,
    schema.USER_EVENTS_7D,
    schema.USER_EVENTS_30D,
    schema.USER_RATINGS_ALL,
)
"""What is zero, and not unknown, for a user without events."""
UNKNOWN_STATE: Final = tuple(0.0 if name in COUNTS else float("nan") for name in schema.USER_STATE)
"""`schema.USER_STATE` of somebody of whom nothing is known."""
_BLANKS: Final = tuple(zip(schema.USER_STATE, UNKNOWN_STATE, strict=True))


def queries_of(
    rows: pl.DataFrame, *, user_index: NDArray[np.int32], time_us: NDArray[np.int64], items: Vocabulary
) -> Queries:
    """Queries of many users from a frame.

    Args:
        rows: `marquee.features.reader.USER_COLUMNS`, one row per query; null where nothing is known.
        user_index: `(n,)` who asks.
        time_us: `(n,)` when, UTC microseconds.
        items: of the model; events of other items are left out of the history.
    """
    lists = rows.select(
        schema.USER_HISTORY_ITEMS, schema.USER_HISTORY_TIMES, schema.USER_HISTORY_VALUES
    ).with_columns(pl.all().fill_null([]))
    lengths = lists[schema.USER_HISTORY_ITEMS].list.len().to_numpy().astype(np.int64)
    # An empty list would explode into a row of its own.
    flat = lists.filter(pl.Series(lengths > 0)).explode(*lists.columns)
    return Queries(
        user_index=user_index,
        time_us=time_us,
        histories=_known_events(
            np.append(0, np.cumsum(lengths)),
            items.encode(flat[schema.USER_HISTORY_ITEMS]),
            timestamp_us=flat[schema.USER_HISTORY_TIMES].cast(pl.Int64).to_numpy(),
            value=flat[schema.USER_HISTORY_VALUES].cast(pl.Float32).to_numpy(),
        ),
        user_state=np.column_stack(
            [
                rows[name].cast(pl.Float32).fill_null(blank).to_numpy()
                for name, blank in zip(schema.USER_STATE, UNKNOWN_STATE, strict=True)
            ]
        ).astype(np.float32),
    )


def query_of(
    values: Mapping[str, Any], *, time_us: int, items: Vocabulary, user_index: int = UNKNOWN_INDEX
) -> Queries:
    """One query from an online row, without a frame in between: `queries_of` gives the same.

    Args:
        values: features by name; what is missing or None is unknown.
        time_us: the moment of the request, UTC microseconds.
        items: of the model; events of other items are left out of the history.
        user_index: who asks.

    Raises:
        FeatureStoreError: the row's lists of items, times and values are not equally long.
    """
    ids = values.get(schema.USER_HISTORY_ITEMS) or ()
    return Queries(
        user_index=np.array([user_index], np.int32),
        time_us=np.array([time_us], np.int64),
        histories=_known_events(
            np.array([0, len(ids)], np.int64),
            items.indexes_of(ids),
            timestamp_us=np.array(values.get(schema.USER_HISTORY_TIMES) or (), np.int64),
            value=np.array(values.get(schema.USER_HISTORY_VALUES) or (), np.float32),
        ),
        user_state=np.array(
            [[blank if (value := values.get(name)) is None else value for name, blank in _BLANKS]], np.float32
        ),
    )


def seen_items(values: Mapping[str, Any], items: Vocabulary) -> NDArray[np.int32]:
    """The items of a row's history that the model has, as `query_of` has them, `(n_events,) int32`."""
    item_index = items.indexes_of(values.get(schema.USER_HISTORY_ITEMS) or ())
    known: NDArray[np.int32] = item_index[item_index != UNKNOWN_INDEX]
    return known


def query_after(item_ids: Sequence[str], *, time_us: int, items: Vocabulary) -> Queries:
    """A query of somebody of whom nothing is known but what they just chose, a second after the other.

    Args:
        item_ids: what was chosen, oldest first; the last one a second before the request.
        time_us: the moment of the request, UTC microseconds.
        items: of the model.
    """
    return query_of(activity_after(item_ids, time_us=time_us), time_us=time_us, items=items)


def _known_events(
    offsets: NDArray[np.int64],
    item_index: NDArray[np.int32],
    *,
    timestamp_us: NDArray[np.int64],
    value: NDArray[np.float32],
) -> Histories:
    """Histories of the events whose item the model has: as a rule, of all.

    Raises:
        FeatureStoreError: there are more items than times or values, or fewer.
    """
    if not len(item_index) == len(timestamp_us) == len(value):
        raise FeatureStoreError(
            f"a history of {len(item_index)} items has {len(timestamp_us)} times and {len(value)} values.",
            remedy="Build and materialise the view user_activity again: `marquee features build`.",
        )
    histories = Histories(offsets, item_index, timestamp_us, value)
    known = item_index != UNKNOWN_INDEX
    return histories if np.count_nonzero(known) == len(known) else histories.kept(known)


def read_queries(moments: LabelledMoments, events: Interactions, state: StateReader) -> LabelledQueries:
    """Ask the state for what was known at labelled moments of `events`' users."""
    rows = state.users(events.users.ids.gather(moments.user_index), moments.time_us)
    queries = queries_of(rows, user_index=moments.user_index, time_us=moments.time_us, items=events.items)
    return LabelledQueries(queries, moments.targets)
