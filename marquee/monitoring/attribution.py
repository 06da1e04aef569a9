"""What came of what was shown: each later event is credited to at most one shown item.

An event belongs to the latest exposure of the same item to the same user that is not after it, and not
longer before it than the window. What an event bus does to the order of rows, and to rows that it delivers
twice, changes nothing: both tables are made unique and sorted first. So a run over more of the log gives
the same outcome for all that had matured, and nothing is added up between runs.
"""

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from marquee import schema

CLICKED: Final = "clicked"
WATCHED_SHARE: Final = "watched_share"
LIKED: Final = "liked"
SHARED: Final = "shared"
LISTED: Final = "listed"
RATED: Final = "rated"
CREDITED: Final = "credited_events"
FIRST_CREDITED_AT: Final = "first_credited_at"
IS_MATURE: Final = "is_mature"

OUTCOMES: Final[dict[str, pl.DataType]] = {
    CLICKED: pl.Boolean(),
    WATCHED_SHARE: pl.Float32(),  # 0 to 1, the most of all views; null where nothing was watched
    LIKED: pl.Boolean(),
    SHARED: pl.Boolean(),
    LISTED: pl.Boolean(),  # put on the watch list
    RATED: pl.Float32(),  # the last rating, null without one
    CREDITED: pl.UInt32(),  # of all kinds but impressions
    FIRST_CREDITED_AT: schema.TIME_DTYPE,
    IS_MATURE: pl.Boolean(),  # the whole window has passed: nothing will be added
}
"""What `attribute` adds to each shown item."""

SHOWN_KEY: Final = (schema.REQUEST_ID, schema.POSITION)
"""What makes two rows the same shown item."""

WINDOW: Final = timedelta(hours=24)
"""How long a shown item may wait for what comes of it."""

_SHOWN_AT: Final = "shown_at"
_ROW: Final = "shown_row"


def attribute(
    exposures: pl.DataFrame, events: pl.DataFrame, *, until: datetime, window: timedelta = WINDOW
) -> pl.DataFrame:
    """Each shown item once, with what came of it: the columns of `exposures`, then those of `OUTCOMES`.

    Rows are ordered by time, request and position. Items that nobody known was shown have no outcome.
    Impressions are no outcome.

    Args:
        exposures: as `schema.EXPOSURES_SCHEMA` has it; any order, rows may repeat.
        events: as `schema.INTERACTIONS_SCHEMA` has it; likewise. Read are the key and the value.
        until: the moment up to which events have arrived; later ones are left out, so that the past can be
            asked again.
        window: the longest time from the exposure to the event, that moment included.
    """
    shown = (
        exposures.sort(schema.TIMESTAMP, *SHOWN_KEY)
        .unique(SHOWN_KEY, keep="first", maintain_order=True)
        .with_row_index(_ROW)
    )
    credited = _credit(shown, _outcomes_only(events, until), window=window)
    latest = pl.lit(until).cast(schema.TIME_DTYPE)
    return (
        shown.join(_summed(credited), on=_ROW, how="left", maintain_order="left")
        .with_columns(
            pl.col(CLICKED, LIKED, SHARED, LISTED).fill_null(value=False),
            pl.col(CREDITED).fill_null(0),
            (pl.col(schema.TIMESTAMP) + window <= latest).alias(IS_MATURE),
        )
        .select(*exposures.columns, *OUTCOMES)
        .cast(OUTCOMES)  # type: ignore[arg-type]
    )


def _outcomes_only(events: pl.DataFrame, until: datetime) -> pl.DataFrame:
    """Each event once: of repeated ones, which may differ in value, the highest."""
    is_outcome = pl.col(schema.INTERACTION_TYPE).cast(pl.String) != "impression"
    return (
        events.lazy()
        .select(*schema.EVENT_KEY, schema.VALUE)
        .filter(is_outcome, pl.col(schema.TIMESTAMP) <= pl.lit(until).cast(schema.TIME_DTYPE))
        .group_by(schema.EVENT_KEY)
        .agg(pl.col(schema.VALUE).max())
        .sort(schema.TIMESTAMP, schema.USER_ID, schema.ITEM_ID, schema.INTERACTION_TYPE)
        .collect()
    )


def _credit(shown: pl.DataFrame, events: pl.DataFrame, *, window: timedelta) -> pl.DataFrame:
    """Events with the row of the exposure that they belong to; those without one are dropped."""
    who_what = [schema.USER_ID, schema.ITEM_ID]
    latest = (
        shown.select(_ROW, *who_what, pl.col(schema.TIMESTAMP).alias(_SHOWN_AT))
        .drop_nulls(schema.USER_ID)
        .unique([*who_what, _SHOWN_AT], keep="last", maintain_order=True)  # shown twice at one moment
    )
    joined = events.join_asof(
        latest,
        left_on=schema.TIMESTAMP,
        right_on=_SHOWN_AT,
        by=who_what,
        strategy="backward",
        tolerance=window,
        check_sortedness=False,  # both are sorted by time, which polars can't see within groups
    )
    return joined.drop_nulls(_ROW)


def _summed(credited: pl.DataFrame) -> pl.DataFrame:
    """One row for each shown item that has an event; events are in the order of time."""
    kind = pl.col(schema.INTERACTION_TYPE).cast(pl.String)
    value = pl.col(schema.VALUE)
    return credited.group_by(_ROW).agg(
        (kind == "click").any().alias(CLICKED),
        value.filter(kind == "view").max().alias(WATCHED_SHARE),
        (kind == "like").any().alias(LIKED),
        (kind == "share").any().alias(SHARED),
        (kind == "watchlist").any().alias(LISTED),
        value.filter(kind == "rating").last().alias(RATED),
        pl.len().alias(CREDITED),
        pl.col(schema.TIMESTAMP).min().alias(FIRST_CREDITED_AT),
    )
