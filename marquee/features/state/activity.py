"""What a user had done by each moment at which they did something: counts, means, the newest events."""

from itertools import pairwise
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marquee import schema
from marquee.features.context import HOUR_US
from marquee.features.state.events import choice_moments, consumed_events

WINDOWS_US: Final = {
    schema.USER_EVENTS_1H: HOUR_US,
    schema.USER_EVENTS_1D: 24 * HOUR_US,
    schema.USER_EVENTS_7D: 7 * 24 * HOUR_US,
    schema.USER_EVENTS_30D: 30 * 24 * HOUR_US,
}
"""Counts of the events in (t − window, t], where t is the row's time."""

_BLOCK_EVENTS: Final = 1_000_000
"""Histories are put together for so many events at a time: what it takes meanwhile stays small."""
_END: Final = "_end"
"""How many rows of the table stand up to and with this one."""


def activity_counts(consumed: pl.DataFrame, moments: pl.DataFrame) -> pl.DataFrame:
    """One row per user and moment: everything of the view but the history.

    Events of one microsecond are peers and make one row together. A row depends on its own user's
    events up to its time and on nothing else, to the last bit: sums run within the user. A moment
    that only repeats earlier choices has a row, too: a late event may turn a first choice into a
    repeat, and a row that vanished could not be taken back from an online store.

    Args:
        consumed: events of whole users as `consumed_events` gives them.
        moments: as `choice_moments` gives them for the same users.

    Returns:
        Key, time, counts, and where the row's events end in `consumed` (for `with_history`).
    """
    at_choices = _at_choices(consumed).rename({schema.TIMESTAMP: "_chosen_at"})
    return (
        moments.join_asof(
            at_choices,
            left_on=schema.TIMESTAMP,
            right_on="_chosen_at",
            by=schema.USER_ID,
            strategy="backward",
            check_sortedness=False,  # it looks at the whole column, and ours is sorted within users
        )
        .with_columns(pl.col(schema.TIMESTAMP).dt.epoch("us").alias(schema.USER_SEEN_US))
        .drop("_chosen_at")
    )


def _at_choices(consumed: pl.DataFrame) -> pl.DataFrame:
    """The rows of the moments at which something was chosen for the first time."""
    user, time = pl.col(schema.USER_ID), pl.col(schema.TIMESTAMP)
    value = pl.col(schema.VALUE).cast(pl.Float64)
    known = pl.col(schema.VALUE).is_not_null()
    ratings = pl.col(schema.USER_RATINGS_ALL)
    rows = consumed.select(
        user,
        time,
        (pl.int_range(pl.len()) + 1).alias(_END),
        pl.int_range(1, pl.len() + 1).over(schema.USER_ID).alias(schema.USER_EVENTS_ALL),
        known.cast(pl.Int64).cum_sum().over(schema.USER_ID).alias(schema.USER_RATINGS_ALL),
        value.fill_null(0).cum_sum().over(schema.USER_ID).alias("_total"),
        time.first().over(schema.USER_ID).dt.epoch("us").alias(schema.USER_FIRST_US),
        time.dt.epoch("us").alias(schema.USER_LAST_US),
        (user.eq(user.shift(-1)) & time.eq(time.shift(-1))).fill_null(False).alias("_has_later_peer"),
    )
    mean = pl.when(ratings > 0).then(pl.col("_total") / ratings).cast(pl.Float32)
    starts = _window_starts(consumed)
    return (
        rows.with_columns((pl.col(_END) - start).alias(name) for name, start in starts.items())
        .filter(~pl.col("_has_later_peer"))
        .with_columns(mean.alias(schema.USER_RATING_MEAN))
        .drop("_total", "_has_later_peer")
    )


def _window_starts(consumed: pl.DataFrame) -> dict[str, pl.Series]:
    """Per window, the position of each event's first event in it: the user's own, within (t − window, t]."""
    time = consumed[schema.TIMESTAMP].dt.epoch("us").to_numpy()
    user = consumed[schema.USER_ID].rle_id().to_numpy().astype(np.int64)
    starts = {name: np.empty(len(time), np.int64) for name in WINDOWS_US}
    if len(time):
        # User and time in one sortable number, for as many users at a time as fit into 63 bits.
        span = int(time.max() - time.min()) + max(WINDOWS_US.values()) + 1
        users_a_time = max(2**62 // span, 1)
        cuts = np.searchsorted(user, np.arange(0, int(user[-1]) + users_a_time + 1, users_a_time))
        for low, high in pairwise(cuts.tolist()):
            place = (user[low:high] - user[low : low + 1]) * span + (time[low:high] - time.min())
            for name, window in WINDOWS_US.items():
                # Never below the user's own first place, or a window would reach into the user before.
                bound = np.maximum(place - window, (user[low:high] - user[low : low + 1]) * span - 1)
                starts[name][low:high] = low + np.searchsorted(place, bound, side="right")
    return {name: pl.Series(start) for name, start in starts.items()}


def history_facts(consumed: pl.DataFrame) -> pl.DataFrame:
    """What histories keep of each event, in the order of the events."""
    return consumed.select(
        pl.col(schema.ITEM_ID).alias(schema.USER_HISTORY_ITEMS),
        pl.col(schema.TIMESTAMP).dt.epoch("us").alias(schema.USER_HISTORY_TIMES),
        pl.col(schema.INTERACTION_TYPE).to_physical().cast(pl.Int32).alias(schema.USER_HISTORY_TYPES),
        pl.col(schema.VALUE).fill_null(float("nan")).alias(schema.USER_HISTORY_VALUES),
    )


def with_history(counts: pl.DataFrame, consumed: pl.DataFrame) -> pl.DataFrame:
    """Complete rows of the view: some of `activity_counts`' rows with their newest events, oldest first."""
    return activity_rows(counts, history_facts(consumed))


def activity_rows(counts: pl.DataFrame, facts: pl.DataFrame) -> pl.DataFrame:
    """As `with_history`, for those who ask for the rows of the same events piece by piece.

    Args:
        counts: the rows.
        facts: `history_facts` of the events that the rows were counted from.
    """
    ends = counts[_END].to_numpy()
    lengths = np.minimum(counts[schema.USER_EVENTS_ALL].to_numpy(), schema.HISTORY_WIDTH)
    block = np.cumsum(lengths) // _BLOCK_EVENTS
    cuts = [0, *(np.flatnonzero(np.diff(block)) + 1).tolist(), len(counts)]
    lists = pl.concat(_histories(ends[low:high], lengths[low:high], facts) for low, high in pairwise(cuts))
    dtypes = schema.FEATURE_VIEWS[schema.USER_ACTIVITY_VIEW]
    time = pl.col(schema.TIMESTAMP)
    rows: pl.DataFrame = pl.concat([counts, lists], how="horizontal")
    return rows.select(
        schema.USER_ID,
        time.alias(schema.EVENT_TIMESTAMP),
        time.alias(schema.CREATED_TIMESTAMP),
        *[pl.col(name).cast(dtype) for name, dtype in dtypes.items()],
    )


def _histories(ends: NDArray[np.int64], lengths: NDArray[np.int64], facts: pl.DataFrame) -> pl.DataFrame:
    """Lists of the `lengths` facts up to each of `ends`."""
    row = np.repeat(np.arange(len(ends)), lengths)
    # Position of each event of each history in the flat table.
    within = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    flat = np.repeat(ends - lengths, lengths) + within
    return (
        facts.select(pl.all().gather(flat))
        .with_columns(pl.Series("_row", row).set_sorted())
        .group_by("_row", maintain_order=True)
        .agg(pl.col(schema.USER_HISTORY))
        .drop("_row")
    )


def user_activity(events: pl.DataFrame) -> pl.DataFrame:
    """The whole view of some users from their resolved events, sorted by user and time."""
    consumed = consumed_events(events)
    return with_history(activity_counts(consumed, choice_moments(events)), consumed)
