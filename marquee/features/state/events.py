"""Events as the state builder keeps them: each once, in an order that its input's does not matter to."""

import zlib
from typing import Final

import polars as pl

from marquee import schema
from marquee.data.interactions import Interactions
from marquee.data.splits import CONSUMPTION_TYPES

EVENT_COLUMNS: Final[dict[str, pl.DataType]] = {
    name: schema.INTERACTIONS_SCHEMA[name]
    for name in (
        schema.USER_ID,
        schema.TIMESTAMP,
        schema.ITEM_ID,
        schema.INTERACTION_TYPE,
        schema.VALUE,
    )
}
"""The columns that state depends on, in the order that events are sorted by."""


BUCKET: Final = "bucket"


def events_of(interactions: Interactions) -> pl.DataFrame:
    """Interactions in memory as a table with `EVENT_COLUMNS`."""
    types = pl.Series(schema.INTERACTION_TYPES, dtype=pl.Enum(schema.INTERACTION_TYPES))
    return pl.DataFrame(
        {
            schema.USER_ID: interactions.users.ids.gather(interactions.user_index),
            schema.TIMESTAMP: pl.Series(interactions.timestamp_us).cast(schema.TIME_DTYPE),
            schema.ITEM_ID: interactions.items.ids.gather(interactions.item_index),
            schema.INTERACTION_TYPE: types.gather(interactions.type_code),
            schema.VALUE: pl.Series(interactions.value).fill_nan(None),
        },
        schema=EVENT_COLUMNS,
    )


def resolved(events: pl.DataFrame) -> pl.DataFrame:
    """Each event once, sorted by user, time, item, type.

    Of two rows of one event with different values the lower value stays, a known one before none:
    a rule that does not depend on which came first.
    """
    return (
        events.select([pl.col(name).cast(dtype) for name, dtype in EVENT_COLUMNS.items()])
        .with_columns(pl.col(schema.VALUE).fill_nan(None))
        .sort(list(EVENT_COLUMNS), nulls_last=True)
        .unique(schema.EVENT_KEY, keep="first", maintain_order=True)
    )


def is_choice() -> pl.Expr:
    """Whether an event is one by which its user chose the item."""
    return pl.col(schema.INTERACTION_TYPE).is_in(CONSUMPTION_TYPES)


def consumed_events(events: pl.DataFrame) -> pl.DataFrame:
    """Of resolved events those by which users chose items, the first of each user and item.

    The same rule as `marquee.data.splits.consumed`; the order stays.
    """
    order = [schema.TIMESTAMP, schema.INTERACTION_TYPE, schema.VALUE]
    return (
        events.filter(is_choice())
        .sort(order, nulls_last=True)
        .unique([schema.USER_ID, schema.ITEM_ID], keep="first", maintain_order=True)
        .sort(list(EVENT_COLUMNS), nulls_last=True)
    )


def first_choices(consumed: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """`consumed_events` of what came before and what is new, from those of what came before.

    The first of each user and item is the first among the earlier first and what is new: events that
    are neither need not be known.
    """
    if consumed.is_empty():
        return consumed_events(new)
    pair = [schema.USER_ID, schema.ITEM_ID]
    contested = consumed.join(new, on=pair, how="semi")
    rest = consumed.join(new, on=pair, how="anti")
    return pl.concat([rest, consumed_events(pl.concat([contested, new]))]).sort(
        list(EVENT_COLUMNS), nulls_last=True
    )


def choice_moments(events: pl.DataFrame) -> pl.DataFrame:
    """Users and times at which something was chosen, repeats included; unique and sorted."""
    key = [schema.USER_ID, schema.TIMESTAMP]
    return events.filter(is_choice()).select(key).unique().sort(key)


def bucket_of(users: pl.Series, n_buckets: int) -> pl.DataFrame:
    """Unique users with their bucket: `user_id`, `bucket`; the same on every machine and for ever."""
    unique = users.unique().sort()
    buckets = [zlib.crc32(user.encode()) % n_buckets for user in unique]
    return pl.DataFrame(
        {schema.USER_ID: unique, BUCKET: buckets}, schema={schema.USER_ID: pl.String, BUCKET: pl.Int32}
    )
