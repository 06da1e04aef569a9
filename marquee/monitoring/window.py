"""A window of time as its users: what each did, and what each was shown.

The unit is the user of a window, not the row: a user brings a hundred rows that are alike, and whoever counts
them as a hundred independent ones finds drift in every ordinary week. A reference that is longer than the
window that it is compared with is cut into spans of that window's length, and a unit is a user of a span.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marquee import schema

SPAN: Final = "span"
UNIT: Final = "unit"
NDCG: Final = "ndcg"
HISTORY_LENGTH: Final = "history_length"
GENRE: Final = "genre"
TOP: Final = 10
"""So many places of each list are looked at."""
OF_USERS: Final = (schema.AGE, schema.GENDER, schema.OCCUPATION)


@dataclass(frozen=True, eq=False)
class Column:
    """Values of units: value `i` is of unit `unit[i]`. Nulls are left out."""

    unit: NDArray[np.int64]
    values: pl.Series


@dataclass(frozen=True, eq=False)
class Window:
    """The users of one window, or of several spans of one length."""

    id: str
    user_ids: pl.Series
    """Of each unit; a user of two spans stands there twice."""
    columns: Mapping[str, Column]
    """By name; a column without any value is missing."""

    def __len__(self) -> int:
        return len(self.user_ids)

    def take(self, units: NDArray[np.integer]) -> Self:
        """Only these units, each once, numbered anew in the order given."""
        place = np.full(len(self), -1, np.int64)
        place[units] = np.arange(len(units))
        kept = {}
        for name, column in self.columns.items():
            unit = place[column.unit]
            if (unit >= 0).any():
                kept[name] = Column(unit[unit >= 0], column.values.filter(pl.Series(unit >= 0)))
        return type(self)(self.id, self.user_ids.gather(pl.Series(units, dtype=pl.UInt32)), kept)

    def sampled(self, n: int, *, rng: np.random.Generator) -> Self:
        """At most `n` units, drawn without replacement."""
        if len(self) <= n:
            return self
        return self.take(np.sort(rng.choice(len(self), n, replace=False)))

    def split(self, share: float, *, salt: str) -> tuple[Self, Self]:
        """Two parts by a hash of the user: all spans of one user lie in the same part.

        Args:
            share: of the users that the second part gets.
            salt: another one, another split.
        """
        limit = int(share * 2**32)
        drawn = np.array([_bucket(salt, user) < limit for user in self.user_ids.to_list()], bool)
        return self.take(np.flatnonzero(~drawn)), self.take(np.flatnonzero(drawn))


def _bucket(salt: str, user: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{salt}\0{user}".encode(), digest_size=4).digest(), "big")


def window_of(
    id_: str,
    events: pl.DataFrame,
    *,
    users: pl.DataFrame | None = None,
    movies: pl.DataFrame | None = None,
    shown: pl.DataFrame | None = None,
    quality: pl.DataFrame | None = None,
    span_us: int | None = None,
    last_us: int | None = None,
) -> Window:
    """The units of a window, with every column that the tables give.

    Args:
        id_: what decisions call it.
        events: `user_id, item_id, timestamp` and, where there is one, `value`; they make the units.
        users: `schema.USERS_SCHEMA` or some of it.
        movies: `schema.MOVIES_SCHEMA` or some of it.
        shown: a row for each place of a list: `user_id, position` from 1, and `score` and `route` or one
            of them; with `timestamp` where the window is cut into spans. The exposure log's frame fits,
            and so do lists that were made for the purpose. Of a user with several lists all count.
        quality: `user_id, ndcg` of users whose labels are mature; likewise.
        span_us: length of the spans; None for one span.
        last_us: moment that the last span ends with, UTC microseconds; that of the last event by default.
    """
    if last_us is None and span_us is not None and not events.is_empty():
        last_us = int(events[schema.TIMESTAMP].dt.epoch("us").to_numpy().max())

    def cut(table: pl.DataFrame) -> pl.DataFrame:
        return _with_span(table, last_us, span_us)

    cut_events = cut(events)
    units = cut_events.select(schema.USER_ID, SPAN).unique().sort(SPAN, schema.USER_ID).with_row_index(UNIT)
    done = cut_events.join(units, on=[schema.USER_ID, SPAN], maintain_order="left")
    columns = {**_of_events(done, movies, n_units=len(units)), **_of_users(units, users)}
    if shown is not None:
        listed = cut(shown).join(units, on=[schema.USER_ID, SPAN]).filter(pl.col(schema.POSITION) <= TOP)
        columns |= {name: _column(listed, name) for name in (schema.SCORE, schema.ROUTE) if name in listed}
    if quality is not None:
        columns[NDCG] = _column(cut(quality).join(units, on=[schema.USER_ID, SPAN]), NDCG)
    return Window(id_, units[schema.USER_ID], {name: one for name, one in columns.items() if len(one.values)})


def _with_span(table: pl.DataFrame, last_us: int | None, span_us: int | None) -> pl.DataFrame:
    if last_us is None or span_us is None or schema.TIMESTAMP not in table.columns:
        return table.with_columns(pl.lit(0, pl.Int64).alias(SPAN))
    back = (last_us - pl.col(schema.TIMESTAMP).dt.epoch("us")) // span_us
    return table.with_columns(back.cast(pl.Int64).alias(SPAN))


def _of_events(done: pl.DataFrame, movies: pl.DataFrame | None, *, n_units: int) -> dict[str, Column]:
    lengths = np.bincount(done[UNIT].to_numpy(), minlength=n_units) if n_units else np.zeros(0, np.int64)
    columns = {
        schema.ITEM_ID: _column(done, schema.ITEM_ID),
        HISTORY_LENGTH: Column(np.arange(n_units), pl.Series(lengths, dtype=pl.Float64)),
    }
    if schema.VALUE in done.columns:
        columns[schema.VALUE] = _column(
            done.with_columns(pl.col(schema.VALUE).cast(pl.Float64)), schema.VALUE
        )
    if movies is not None:
        facts = [name for name in (schema.YEAR, schema.GENRES) if name in movies.columns]
        joined = done.select(UNIT, schema.ITEM_ID).join(
            movies.select(schema.ITEM_ID, *facts), on=schema.ITEM_ID, maintain_order="left"
        )
        if schema.YEAR in facts:
            columns[schema.YEAR] = _column(
                joined.with_columns(pl.col(schema.YEAR).cast(pl.Float64)), schema.YEAR
            )
        if schema.GENRES in facts:
            one_each = joined.filter(pl.col(schema.GENRES).list.len() > 0).explode(schema.GENRES)
            columns[GENRE] = _column(one_each.rename({schema.GENRES: GENRE}), GENRE)
    return columns


def _of_users(units: pl.DataFrame, users: pl.DataFrame | None) -> dict[str, Column]:
    if users is None:
        return {}
    facts = [name for name in OF_USERS if name in users.columns]
    joined = units.join(users.select(schema.USER_ID, *facts), on=schema.USER_ID, maintain_order="left")
    if schema.AGE in facts:
        joined = joined.with_columns(pl.col(schema.AGE).cast(pl.Float64))
    return {name: _column(joined, name) for name in facts}


def _column(table: pl.DataFrame, name: str) -> Column:
    kept = table.filter(pl.col(name).is_not_null())
    if kept[name].dtype.is_float():
        kept = kept.filter(pl.col(name).is_finite())
    return Column(kept[UNIT].to_numpy().astype(np.int64), kept[name])
