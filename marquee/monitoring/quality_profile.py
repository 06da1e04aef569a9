"""What a feed looked like: the counts and shares of a table that a later look is held against."""

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Final, Self

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from marquee import schema
from marquee.errors import ConfigError

EXPOSURES: Final = "exposures"
SOURCE_SCHEMAS: Final[Mapping[str, Mapping[str, pl.DataType]]] = {
    schema.INTERACTIONS: schema.INTERACTIONS_SCHEMA,
    schema.USERS: schema.USERS_SCHEMA,
    schema.MOVIES: schema.MOVIES_SCHEMA,
    schema.PUBLICITY: schema.PUBLICITY_SCHEMA,
    EXPOSURES: schema.EXPOSURES_SCHEMA,
}
"""The feeds that are looked at."""
SOURCE_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    schema.INTERACTIONS: schema.EVENT_KEY,
    schema.USERS: (schema.USER_ID,),
    schema.MOVIES: (schema.ITEM_ID,),
    schema.PUBLICITY: (schema.ITEM_ID, schema.OBSERVED_AT, schema.SOURCE),
    EXPOSURES: (schema.REQUEST_ID, schema.POSITION),
}
"""What makes two rows the same row."""
_TIMES: Final = {
    schema.INTERACTIONS: schema.TIMESTAMP,
    schema.PUBLICITY: schema.OBSERVED_AT,
    EXPOSURES: schema.TIMESTAMP,
}
RANGES: Final[Mapping[str, tuple[float, float]]] = {
    schema.AGE: (0, 120),  # years
    schema.MATURITY_LIMIT: (0, 120),
    schema.MIN_AGE: (0, 21),
    schema.YEAR: (1870, 2100),
    schema.DURATION_MINUTES: (1, 1500),
    schema.CRITIC_SCORE: (0, 10),
    schema.AUDIENCE_SCORE: (0, 10),
    schema.METACRITIC: (0, 100),
    schema.CRITIC_COUNT: (0, float("inf")),
    schema.AUDIENCE_COUNT: (0, float("inf")),
    schema.BOX_OFFICE_USD: (0, float("inf")),
    schema.MENTIONS: (0, float("inf")),
    schema.POSITION: (0, float("inf")),
    schema.PROPENSITY: (0, 1),
    "latency_ms": (0, float("inf")),
}
"""Values that a column can have at all, bounds included."""
DEFAULT_NUMBERS: Final = (-1.0, 0.0, 999.0, 9999.0)
DEFAULT_TEXTS: Final = ("", "null", "none", "nan", "n/a", "unknown")
"""What systems write for what they do not know, in lower case."""
MAX_SCALE: Final = 20
"""A rating has a scale where it takes no more values than these."""


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ColumnProfile(_Facts):
    """Of one column."""

    null_share: float
    """NaN counts as null."""
    default_share: float | None = None
    """Of the rows with a value; None where the dtype has no such values."""
    outside_share: float | None = None
    """Of the rows with a value, those out of `RANGES`; None where the column has none."""


class SourceProfile(_Facts):
    """Of one table."""

    rows: int
    columns: dict[str, ColumnProfile]
    misfits: tuple[str, ...] = ()
    """Columns that are missing or of another dtype, in words."""
    duplicate_share: float = 0.0
    newest_us: int | None = None
    """UTC microseconds; None where the table has no time."""
    rating_shares: dict[str, float] | None = None
    """Of the ratings by value; None where they are too many to be a scale, or there are none."""
    joined: dict[str, float] = {}
    """By other table, the share of rows whose key it knows."""
    weekly_rows: tuple[int, ...] = ()
    """Rows of the last weeks, counted back from the newest time, the newest week first."""


class Profile(_Facts):
    """Of all tables of one snapshot or window."""

    id: str
    """Of what was looked at."""
    weekday: int | None = None
    """1 Monday to 7 Sunday, where a day was looked at."""
    sources: dict[str, SourceProfile]


class Baseline(_Facts):
    """What earlier looks found; those that blocked are not among them."""

    version: int = 1
    profiles: tuple[Profile, ...] = ()
    """Oldest first."""

    def with_profile(self, profile: Profile, *, keep: int = 28) -> Self:
        """The baseline with one more look; the same snapshot counts once."""
        others = tuple(each for each in self.profiles if each.id != profile.id)
        return self.model_copy(update={"profiles": (*others, profile)[-keep:]})

    def without(self, id_: str) -> Self:
        """The baseline without a snapshot's own look: nothing is measured against itself."""
        return self.model_copy(update={"profiles": tuple(each for each in self.profiles if each.id != id_)})

    def of(self, source: str) -> tuple[SourceProfile, ...]:
        """The looks at one table."""
        return tuple(each.sources[source] for each in self.profiles if source in each.sources)

    def least_rows(self, source: str, weekday: int | None, share: float) -> float | None:
        """From how many rows on a table is no smaller than usual; None where nothing is usual yet.

        A share of the median over the looks at the same weekday, over all where those are too few. A feed
        that was smaller than that by nature is measured by the smallest of its looks, if they are four.
        """
        same = [each for each in self.profiles if each.weekday == weekday and source in each.sources]
        rows = [each.sources[source].rows for each in same] if len(same) > 1 else []
        rows = rows or [each.rows for each in self.of(source)]
        if not rows:
            return None
        least = share * median(rows)
        return min(least, *rows) if len(rows) >= 4 else least

    def column(self, source: str, column: str, fact: str) -> float | None:
        """The median of a column's share over the looks, None where there is none."""
        found = [
            value
            for each in self.of(source)
            if column in each.columns and (value := getattr(each.columns[column], fact)) is not None
        ]
        return median(found) if found else None

    @classmethod
    def from_json(cls, text: str | bytes, *, where: str) -> Self:
        """Read back what `model_dump_json` wrote.

        Raises:
            ConfigError: it is something else.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise ConfigError(
                f"{where} holds no quality baseline: {error.errors()[0]['msg']}.",
                remedy="Remove it: the next look begins a new one.",
            ) from error


def profile_of(
    source: str, table: pl.LazyFrame | pl.DataFrame, *, known: Mapping[str, pl.Series] | None = None
) -> SourceProfile:
    """Count one table; one pass, whatever its size.

    Args:
        source: a key of `SOURCE_SCHEMAS`.
        table: may lack columns or have others' dtypes: that is what is looked for.
        known: by other table, the keys that it has.
    """
    lazy = table.lazy()
    found = lazy.collect_schema()
    wanted = SOURCE_SCHEMAS[source]
    misfits = tuple(_misfits(found, wanted))
    usable = {name: dtype for name, dtype in wanted.items() if found.get(name) == dtype}
    counted = (
        lazy.select(
            pl.len().alias("rows"),
            *(expression for name, dtype in usable.items() for expression in _counts(name, dtype)),
            *_table_counts(source, usable),
            *_joins(usable, known or {}),
        )
        .collect()
        .row(0, named=True)
    )
    rows = int(counted["rows"])
    newest = counted.get("newest")
    return SourceProfile(
        rows=rows,
        columns={name: _column(name, counted, rows) for name in usable},
        misfits=misfits,
        duplicate_share=1 - counted["distinct"] / rows if rows and "distinct" in counted else 0.0,
        newest_us=newest,
        rating_shares=_rating_shares(lazy, usable) if source == schema.INTERACTIONS else None,
        joined={
            name.removeprefix("joined:"): float(value)
            for name, value in counted.items()
            if name.startswith("joined:") and value is not None
        },
        weekly_rows=_weekly_rows(lazy, _TIMES.get(source), newest, usable),
    )


def _misfits(found: Mapping[str, pl.DataType], wanted: Mapping[str, pl.DataType]) -> Iterator[str]:
    for name, dtype in wanted.items():
        if name not in found:
            yield f"{name} is missing"
        elif found[name] != dtype:
            yield f"{name} is {found[name]}, should be {dtype}"


def _counts(name: str, dtype: pl.DataType) -> Iterator[pl.Expr]:
    column = pl.col(name)
    absent = column.is_null() | column.is_nan().fill_null(False) if dtype.is_float() else column.is_null()
    yield absent.sum().alias(f"null:{name}")
    if dtype.is_numeric():
        yield column.cast(pl.Float64).is_in(DEFAULT_NUMBERS).sum().alias(f"default:{name}")
    elif dtype == pl.String:
        yield column.str.to_lowercase().is_in(DEFAULT_TEXTS).sum().alias(f"default:{name}")
    if name in RANGES:
        low, high = RANGES[name]
        yield (~column.is_between(low, high) & ~absent).sum().alias(f"outside:{name}")


def _table_counts(source: str, usable: Mapping[str, pl.DataType]) -> Iterator[pl.Expr]:
    key = SOURCE_KEYS[source]
    if all(name in usable for name in key):
        yield (pl.struct(key) if len(key) > 1 else pl.col(key[0])).n_unique().alias("distinct")
    time = _TIMES.get(source)
    if time in usable:
        yield pl.col(str(time)).max().dt.epoch("us").alias("newest")


def _joins(usable: Mapping[str, pl.DataType], known: Mapping[str, pl.Series]) -> Iterator[pl.Expr]:
    keys = {schema.USERS: schema.USER_ID, schema.MOVIES: schema.ITEM_ID}
    for other, ids in known.items():
        if keys[other] in usable and len(ids):
            yield pl.col(keys[other]).is_in(ids.implode()).mean().alias(f"joined:{other}")


def _column(name: str, counted: Mapping[str, int], rows: int) -> ColumnProfile:
    nulls = int(counted[f"null:{name}"])
    filled = rows - nulls

    def share(kind: str) -> float | None:
        key = f"{kind}:{name}"
        return None if key not in counted else int(counted[key]) / filled if filled else 0.0

    return ColumnProfile(
        null_share=nulls / rows if rows else 0.0,
        default_share=share("default"),
        outside_share=share("outside"),
    )


def _rating_shares(lazy: pl.LazyFrame, usable: Mapping[str, pl.DataType]) -> dict[str, float] | None:
    if not {schema.INTERACTION_TYPE, schema.VALUE} <= usable.keys():
        return None
    rated = lazy.filter(pl.col(schema.INTERACTION_TYPE) == "rating", pl.col(schema.VALUE).is_not_null())
    counts = rated.group_by(schema.VALUE).len().sort("len", descending=True).head(MAX_SCALE + 1).collect()
    if not 0 < len(counts) <= MAX_SCALE:
        return None
    total = int(counts["len"].sum())
    return {f"{value:g}": count / total for value, count in sorted(counts.iter_rows())}


def _weekly_rows(
    lazy: pl.LazyFrame, time: str | None, newest_us: int | None, usable: Mapping[str, pl.DataType]
) -> tuple[int, ...]:
    """Of the five newest weeks that end with the newest row."""
    if time not in usable or newest_us is None:
        return ()
    week_us = 7 * 24 * 3600 * 1_000_000
    age = (newest_us - pl.col(str(time)).dt.epoch("us")) // week_us
    counts = lazy.select(*((age == week).sum().alias(str(week)) for week in range(5))).collect()
    return tuple(int(value) for value in counts.row(0))
