"""Sudden changes of the world and faults of its feeds, put into a window on purpose.

A change of the world (a surge, an influx) has really happened: models may learn from it. A fault (nulls,
another scale) is of the feed alone: the world behind it goes on, and the feed is mended when it ends. A
broken model is neither: it lasts until another is promoted.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, Self

import numpy as np
import polars as pl

from marquee import schema
from marquee.errors import ConfigError
from marquee.replay.tables import Tables

Injector = Callable[[Tables, np.random.Generator], Tables]
Nature = Literal["world", "fault", "model"]
SURGE_SHARE: Final = 0.2
"""Of all events, those that a genre surge takes."""
FANS_SHARE: Final = 0.5
"""Of the users, those who watch the title of a celebrity surge."""
NEWCOMER_SHARE: Final = 2 / 3
DARK: Final = ("Horror", "Film-Noir")
USUAL_WINDOWS: Final = 3
_WRITTEN: Final = re.compile(
    r"(?P<kind>[a-z_]+)@(?P<start>\d{4}-\d{2}-\d{2}|\d{1,4})(?:\+(?P<windows>\d{1,4}))?"
)
_REMEDY: Final = "Write kind@window, kind@window+length or kind@date, such as genre_surge@6, scale@3+2."


def genre_surge(tables: Tables, rng: np.random.Generator) -> Tables:
    """A fifth of all events go to Film-Noir and Horror, or else to the second rarest genre."""
    wanted = _genre_titles(tables.movies)
    events = tables.events
    moved = rng.random(len(events)) < SURGE_SHARE
    other = pl.Series(rng.choice(wanted.to_numpy(), len(events)), dtype=pl.String)
    item = pl.when(pl.Series(moved)).then(other).otherwise(pl.col(schema.ITEM_ID)).alias(schema.ITEM_ID)
    return tables.with_events(_once(events.with_columns(item)))


def _genre_titles(movies: pl.DataFrame) -> pl.Series:
    dark = pl.any_horizontal(pl.col(schema.GENRES).list.contains(name) for name in DARK)
    found = movies.filter(dark)[schema.ITEM_ID]
    if len(found):
        return found
    each = movies.explode(schema.GENRES).drop_nulls(schema.GENRES)
    if each.is_empty():
        raise ConfigError(
            "shock genre_surge: the data set knows no genre.", remedy="Choose another shock, such as influx."
        )
    counts = each.group_by(schema.GENRES).len().sort("len", schema.GENRES)
    rare = counts[schema.GENRES][min(1, len(counts) - 1)]
    return each.filter(pl.col(schema.GENRES) == rare)[schema.ITEM_ID]


def title_surge(tables: Tables, rng: np.random.Generator) -> Tables:
    """Half of the users come for one title that hardly anybody watched: instead of one of theirs."""
    events, title = tables.events, _quiet_title(tables)
    users = events[schema.USER_ID].unique().sort()
    fans = users.filter(pl.Series(rng.random(len(users)) < FANS_SHARE))
    rows = events.with_row_index("row").filter(pl.col(schema.USER_ID).is_in(fans.implode()))
    turned = rows.group_by(schema.USER_ID).agg(pl.col("row").min())["row"]
    is_turned = pl.Series(np.isin(np.arange(len(events)), turned.to_numpy()))
    item = pl.when(is_turned).then(pl.lit(title)).otherwise(pl.col(schema.ITEM_ID)).alias(schema.ITEM_ID)
    return tables.with_events(_once(events.with_columns(item)))


def _quiet_title(tables: Tables) -> str:
    """Of all movies the one with the fewest events of the window, of equals the first."""
    counts = tables.events.group_by(schema.ITEM_ID).len()
    joined = tables.movies.select(schema.ITEM_ID).join(counts, on=schema.ITEM_ID, how="left")
    return str(joined.sort(pl.col("len").fill_null(0), schema.ITEM_ID)[schema.ITEM_ID][0])


def influx(tables: Tables, rng: np.random.Generator) -> Tables:
    """Two in three have 5 to 11 events, and no more than half of what they had."""
    events = tables.events
    users = events.group_by(schema.USER_ID, maintain_order=True).agg(pl.len().alias("n"))
    is_new, own = rng.random(len(users)) < NEWCOMER_SHARE, users["n"].to_numpy()
    few = np.minimum(rng.integers(5, 12, len(users)), (own + 1) // 2)
    limit = np.where(is_new, few, own)
    limits = users.select(schema.USER_ID, limit=pl.Series(limit))
    cut = events.join(limits, on=schema.USER_ID, maintain_order="left")
    kept = cut.filter(pl.int_range(pl.len()).over(schema.USER_ID) < pl.col("limit"))
    return tables.with_events(kept.drop("limit"))


def scale(tables: Tables, _: np.random.Generator) -> Tables:
    """Values are twice what they were."""
    doubled = (pl.col(schema.VALUE) * 2).cast(pl.Float32)
    return tables.with_events(tables.events.with_columns(doubled))


def thumbs(tables: Tables, _: np.random.Generator) -> Tables:
    """4 and 5 become 5, the others 1."""
    value = pl.when(pl.col(schema.VALUE) >= 4).then(5.0).otherwise(1.0).cast(pl.Float32).alias(schema.VALUE)
    return tables.with_events(tables.events.with_columns(value))


def null_column(tables: Tables, _: np.random.Generator) -> Tables:
    """The ages are null; where the data set has none, the values of the events."""
    return _filled(tables, age=None, value=None)


def default_column(tables: Tables, _: np.random.Generator) -> Tables:
    """The ages are -1, as of a form that nobody filled in; likewise."""
    return _filled(tables, age=-1, value=-1.0)


def _filled(tables: Tables, *, age: int | None, value: float | None) -> Tables:
    users = tables.users
    if schema.AGE in users.columns and users[schema.AGE].null_count() < len(users):
        constant = pl.lit(age, schema.USERS_SCHEMA[schema.AGE]).alias(schema.AGE)
        return Tables(tables.events, users.with_columns(constant), tables.movies)
    return tables.with_events(tables.events.with_columns(pl.lit(value, pl.Float32).alias(schema.VALUE)))


def _once(events: pl.DataFrame) -> pl.DataFrame:
    """Whoever has rated a title does not rate it again."""
    key = [schema.USER_ID, schema.ITEM_ID, schema.INTERACTION_TYPE]
    return events.unique(key, keep="first", maintain_order=True)


WORLD: Final[Mapping[str, Injector]] = {
    "genre_surge": genre_surge,
    "title_surge": title_surge,
    "influx": influx,
}
FAULTS: Final[Mapping[str, Injector]] = {
    "scale": scale,
    "thumbs": thumbs,
    "null_column": null_column,
    "default_column": default_column,
}
BROKEN_MODEL: Final = "broken_model"
KINDS: Final = (*WORLD, *FAULTS, BROKEN_MODEL)


@dataclass(frozen=True)
class Shock:
    """One shock of a replay."""

    kind: str
    start: int
    """Its first window, from 1."""
    windows: int = USUAL_WINDOWS
    """How many it lasts; a broken model lasts until another is promoted."""

    @property
    def nature(self) -> Nature:
        """What it is a change of."""
        return "world" if self.kind in WORLD else "fault" if self.kind in FAULTS else "model"

    def is_on(self, window: int) -> bool:
        """Whether it is put into a window, from 1."""
        return self.start <= window < self.start + self.windows

    def __str__(self) -> str:
        return f"{self.kind}@{self.start}" + (f"+{self.windows}" if self.nature != "model" else "")

    @classmethod
    def of(cls, text: str, *, window_ends_us: list[int]) -> Self:
        """Read what a person typed.

        Args:
            text: such as `genre_surge@6`, `scale@3+2` or `influx@1998-01-05`.
            window_ends_us: ends of the replay's windows, UTC microseconds.

        Raises:
            ConfigError: it is no shock, of an unknown kind, or outside the replay.
        """
        found = _WRITTEN.fullmatch(text)
        if not found:
            raise ConfigError(f"--shock = {text!r} is no shock.", remedy=_REMEDY)
        if found["kind"] not in KINDS:
            raise ConfigError(
                f"--shock = {text!r}: {found['kind']!r} is no kind.", remedy=f"Use one of {', '.join(KINDS)}."
            )
        start = _window(found["start"], text, window_ends_us)
        windows = int(found["windows"] or USUAL_WINDOWS)
        if not 1 <= start <= len(window_ends_us) or windows < 1:
            raise ConfigError(
                f"--shock = {text!r} lies outside the replay, which has windows 1 to {len(window_ends_us)}.",
                remedy="Choose a window or date within it, and a length of at least 1.",
            )
        return cls(found["kind"], start, windows)


def _window(start: str, text: str, window_ends_us: list[int]) -> int:
    """Number of a window from 1; one past the last for a date after the end."""
    if "-" not in start:
        return int(start)
    try:
        moment = datetime.strptime(start, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise ConfigError(f"--shock = {text!r}: {error}.", remedy="Give a date that exists.") from error
    us = round(moment.timestamp()) * 1_000_000
    return 1 + sum(end <= us for end in window_ends_us)
