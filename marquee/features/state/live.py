"""A user's newest row from the row before it and what is new: the batch build's values, in milliseconds.

The history of a row is all that its user ever chose, as long as that fits into it: then the row decides
what any further event makes of it, late or repeated ones, too. Where the history was cut, or there is
no row, the user's older events are needed.
"""

from typing import Final

import polars as pl

from marquee import schema
from marquee.errors import ContractError, FeatureStoreError
from marquee.features.state.activity import activity_counts, with_history
from marquee.features.state.events import EVENT_COLUMNS, choice_moments, consumed_events, resolved

_TYPES: Final = pl.Enum(schema.INTERACTION_TYPES)


def chosen(events: pl.DataFrame) -> pl.DataFrame:
    """Of a batch of events those that change a user's row, each once, with the builder's columns.

    Raises:
        ContractError: a column is missing or does not fit the contract, or a key is null.
    """
    missing = [name for name in EVENT_COLUMNS if name not in events.columns]
    if missing:
        raise ContractError(
            f"events lack column {missing[0]!r}.", remedy=f"They need {', '.join(EVENT_COLUMNS)}."
        )
    try:
        known = resolved(events)
    except pl.exceptions.PolarsError as err:
        reason = " ".join(str(err).split())[:160]
        raise ContractError(
            f"events do not fit the contract: {reason}.", remedy="Send them through `marquee data validate`."
        ) from err
    for name in schema.EVENT_KEY:
        if known[name].null_count():
            raise ContractError(f"column {name!r} of events holds null.", remedy="Drop these rows.")
    moments = choice_moments(known).select(schema.USER_ID).unique()
    return known.join(moments, on=schema.USER_ID, how="semi", maintain_order="left")


def has_whole_history() -> pl.Expr:
    """Of a row of user_activity: whether its history holds all that its user ever chose."""
    return pl.col(schema.USER_HISTORY_ITEMS).list.len() == pl.col(schema.USER_EVENTS_ALL)


def newest_activity(
    events: pl.DataFrame, before: pl.DataFrame, *, older: pl.DataFrame | None = None
) -> pl.DataFrame:
    """The newest row of user_activity of each user in `events`, equal to the batch build's to the last bit.

    Args:
        events: what is new, as `chosen` gives it; any order of time, repeats welcome.
        before: the newest rows so far of some of these users.
        older: earlier events of users whose history is cut or who have no row; overlaps are no harm.

    Returns:
        One row per user, sorted by user.

    Raises:
        FeatureStoreError: a history was cut, and the older events do not reach up to it.
    """
    known = _choices_of(before)
    if older is not None:
        known = pl.concat([known, older.select(list(EVENT_COLUMNS))])
    _require_reach(before, known)
    everything = resolved(pl.concat([known, events]))
    consumed = consumed_events(everything)
    return with_history(activity_counts(consumed, _last_moments(everything, before)), consumed)


def _choices_of(rows: pl.DataFrame) -> pl.DataFrame:
    """The events in the histories of some rows."""
    types = pl.Series(schema.INTERACTION_TYPES, dtype=_TYPES)
    flat = rows.select(schema.USER_ID, *schema.USER_HISTORY).explode(*schema.USER_HISTORY)
    columns = {
        schema.USER_ID: flat[schema.USER_ID],
        schema.TIMESTAMP: flat[schema.USER_HISTORY_TIMES].cast(schema.TIME_DTYPE),
        schema.ITEM_ID: flat[schema.USER_HISTORY_ITEMS],
        schema.INTERACTION_TYPE: types.gather(flat[schema.USER_HISTORY_TYPES].cast(pl.UInt32)),
        schema.VALUE: flat[schema.USER_HISTORY_VALUES].fill_nan(None),
    }
    return pl.DataFrame(columns, schema=EVENT_COLUMNS)


def _last_moments(everything: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """Per user the last time at which anything was chosen, also again."""
    # A repeated choice is in no history: only the row knows its time.
    seen = before.select(
        schema.USER_ID, pl.col(schema.USER_SEEN_US).cast(schema.TIME_DTYPE).alias(schema.TIMESTAMP)
    )
    return (
        pl.concat([choice_moments(everything), seen])
        .group_by(schema.USER_ID)
        .agg(pl.col(schema.TIMESTAMP).max())
        .sort(schema.USER_ID)
    )


def _require_reach(before: pl.DataFrame, known: pl.DataFrame) -> None:
    cut = before.filter(~has_whole_history())
    if cut.is_empty():
        return
    found = (
        consumed_events(resolved(known.join(cut, on=schema.USER_ID, how="semi")))
        .group_by(schema.USER_ID)
        .agg(pl.len().cast(pl.Int64).alias("found"))
    )
    lacking = cut.join(found, on=schema.USER_ID, how="left").filter(
        pl.col("found").fill_null(0) < pl.col(schema.USER_EVENTS_ALL)
    )
    if len(lacking):
        user, events, count = lacking.select(schema.USER_ID, schema.USER_EVENTS_ALL, "found").row(0)
        raise FeatureStoreError(
            f"user {user!r} has chosen {events} items by the online row, and {count or 0} of them are known:"
            " the state is older than the row's history reaches.",
            remedy="Add the events in between to the state: `marquee features push` or `build --events`.",
        )
