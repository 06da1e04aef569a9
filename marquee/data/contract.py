"""The interactions contract: what a record must be, checked a chunk at a time with dataframely."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import polars as pl

from marquee import schema
from marquee.data.mapping import Mapping
from marquee.data.records import RecordChunk, Rejected
from marquee.data.timestamps import as_timestamp, parse_timestamps
from marquee.sparing import without

with without("sqlalchemy"):  # a fifth of a second, for tables of databases
    import dataframely as dy

_ROW: Final = "row"
_LATEST: Final = "latest"
_RAW: Final = "_raw"
_EPOCH: Final = pl.lit(0).cast(schema.TIME_DTYPE)
_MAX_POSITION: Final = 2**31 - 1


class InteractionSchema(dy.Schema):
    """A row of the interactions table, as the warehouse holds it."""

    user_id = dy.String(min_length=1)
    item_id = dy.String(min_length=1)
    interaction_type = dy.Enum(schema.INTERACTION_TYPES)
    timestamp = dy.Datetime(time_unit="us", time_zone="UTC")
    value = dy.Float32(nullable=True, allow_inf=True, allow_nan=True)  # the rule below names the reason
    session_id = dy.String(nullable=True)
    device = dy.String(nullable=True)
    location = dy.String(nullable=True)
    request_id = dy.String(nullable=True)
    position = dy.Int32(nullable=True, min=0)

    @dy.rule()
    def timestamp_not_negative(cls) -> pl.Expr:  # noqa: N805
        """At or after 1970-01-01 UTC."""
        return pl.col(schema.TIMESTAMP) >= _EPOCH

    @dy.rule()
    def value_finite(cls) -> pl.Expr:  # noqa: N805
        """No NaN, no infinity."""
        return pl.col(schema.VALUE).is_finite()

    @dy.rule()
    def view_is_fraction(cls) -> pl.Expr:  # noqa: N805
        """A view's value is the fraction watched."""
        return (pl.col(schema.INTERACTION_TYPE) != "view") | pl.col(schema.VALUE).is_between(0.0, 1.0)

    @dy.rule()
    def rating_has_value(cls) -> pl.Expr:  # noqa: N805
        """A rating says how many."""
        is_rating = (pl.col(schema.INTERACTION_TYPE) == "rating").fill_null(False)
        return ~is_rating | pl.col(schema.VALUE).is_not_null()


class ParsedSchema(InteractionSchema):
    """An interaction that was just parsed, beside what the source wrote where parsing can fail."""

    row = dy.UInt32()  # position in the chunk
    latest = dy.Datetime(time_unit="us", time_zone="UTC")  # later times are far future
    interaction_type_raw = dy.String(nullable=True)
    timestamp_raw = dy.Bool()  # whether the source gave one; likewise below
    value_raw = dy.Bool()
    position_raw = dy.Bool()

    @dy.rule()
    def interaction_type_known(cls) -> pl.Expr:  # noqa: N805
        """What the source wrote is an interaction type."""
        return _readable(schema.INTERACTION_TYPE, given=pl.col(schema.INTERACTION_TYPE + _RAW).is_not_null())

    @dy.rule()
    def timestamp_readable(cls) -> pl.Expr:  # noqa: N805
        """What the source wrote is a time."""
        return _readable(schema.TIMESTAMP, given=pl.col(schema.TIMESTAMP + _RAW))

    @dy.rule()
    def timestamp_not_future(cls) -> pl.Expr:  # noqa: N805
        """Not later than now and a tolerance."""
        return pl.col(schema.TIMESTAMP) <= pl.col(_LATEST)

    @dy.rule()
    def value_readable(cls) -> pl.Expr:  # noqa: N805
        """What the source wrote is a number."""
        return _readable(schema.VALUE, given=pl.col(schema.VALUE + _RAW))

    @dy.rule()
    def position_readable(cls) -> pl.Expr:  # noqa: N805
        """What the source wrote is a whole number that fits."""
        return _readable(schema.POSITION, given=pl.col(schema.POSITION + _RAW))


def _readable(column: str, *, given: pl.Expr) -> pl.Expr:
    return ~given | pl.col(column).is_not_null()


@dataclass(frozen=True)
class Reason:
    """Why a record breaks the contract: the rules of `ParsedSchema` that say so, and the columns."""

    code: str
    meaning: str
    rules: tuple[str, ...]
    columns: tuple[str, ...]


def _reason(code: str, meaning: str, rules: str, columns: str) -> Reason:
    return Reason(code, meaning, tuple(rules.split()), tuple(columns.split()))


BROKEN_RULES: Final[tuple[Reason, ...]] = (
    _reason(
        "missing_user_id", "user_id is null or blank", "user_id|nullability user_id|min_length", "user_id"
    ),
    _reason(
        "missing_item_id", "item_id is null or blank", "item_id|nullability item_id|min_length", "item_id"
    ),
    _reason(
        "unknown_interaction_type",
        "the type is not in the contract, and the mapping's interaction_types does not translate it",
        "interaction_type_known",
        "interaction_type",
    ),
    _reason(
        "missing_interaction_type", "the type is null", "interaction_type|nullability", "interaction_type"
    ),
    _reason(
        "unreadable_timestamp", "the time is not as timestamp_unit says", "timestamp_readable", "timestamp"
    ),
    _reason("missing_timestamp", "the time is null", "timestamp|nullability", "timestamp"),
    _reason("negative_timestamp", "the time is before 1970", "timestamp_not_negative", "timestamp"),
    _reason(
        "future_timestamp",
        "the time is later than now and a tolerance: is timestamp_unit right?",
        "timestamp_not_future",
        "timestamp",
    ),
    _reason("unreadable_value", "the value is not a number", "value_readable", "value"),
    _reason("value_not_finite", "the value is NaN or infinite", "value_finite", "value"),
    _reason("missing_value", "a rating without a value", "rating_has_value", "interaction_type value"),
    _reason(
        "view_out_of_range", "a view's value is not in 0..1", "view_is_fraction", "interaction_type value"
    ),
    _reason("unreadable_position", "the position is not a whole number", "position_readable", "position"),
    _reason("negative_position", "the position is below 0", "position|min", "position"),
)
"""In order of precedence: a record that breaks several has the first as its reason."""


@dataclass(frozen=True, eq=False)
class CheckedChunk:
    """What the contract made of a chunk: `good` conforms to `InteractionSchema` and keeps the order."""

    good: pl.DataFrame
    rejected: list[Rejected]  # by line


def check_chunk(chunk: RecordChunk, mapping: Mapping, *, latest: datetime) -> CheckedChunk:
    """Parse a chunk's fields and part the rows that conform from those that don't.

    Args:
        chunk: the records as read.
        mapping: how they were mapped.
        latest: a moment with a zone; later events are far future.
    """
    good, failure = ParsedSchema.filter(_parse(chunk.frame, mapping, latest=latest))
    rejected = list(chunk.rejected)
    if len(failure):
        details: pl.DataFrame = failure.details()
        for row, index in details.select(_ROW, _first_broken(details.columns)).iter_rows():
            reason = BROKEN_RULES[index]
            rejected.append(Rejected(chunk.lines[row], reason.code, chunk.record(row), reason.columns))
    rejected.sort(key=lambda record: record.line)
    return CheckedChunk(good.sort(_ROW).select(*schema.INTERACTIONS_SCHEMA), rejected)


def _first_broken(columns: list[str]) -> pl.Expr:
    """The position in `BROKEN_RULES` of the first reason that holds."""
    cases = [
        pl.when(
            pl.any_horizontal(pl.col(rule) == "invalid" for rule in reason.rules if rule in columns)
        ).then(i)
        for i, reason in enumerate(BROKEN_RULES)
    ]
    return pl.coalesce(cases).alias("reason")


def _parse(frame: pl.DataFrame, mapping: Mapping, *, latest: datetime) -> pl.DataFrame:
    n_rows = len(frame)
    raw = {name: _column(frame, mapping, name) for name in schema.INTERACTIONS_SCHEMA}
    text = {name: _as_text(raw[name], mapping) for name in raw}
    types = text[schema.INTERACTION_TYPE].replace(mapping.interaction_types)
    parsed: dict[str, Any] = text | {
        schema.INTERACTION_TYPE: types.cast(pl.Enum(schema.INTERACTION_TYPES), strict=False),
        schema.TIMESTAMP: parse_timestamps(_nulled(raw[schema.TIMESTAMP], text[schema.TIMESTAMP]), mapping),
        schema.VALUE: text[schema.VALUE].cast(pl.Float64, strict=False).cast(pl.Float32),
        schema.POSITION: _whole_numbers(text[schema.POSITION]),
    }
    flags = (schema.TIMESTAMP, schema.VALUE, schema.POSITION)
    return pl.DataFrame(parsed).with_columns(
        pl.int_range(n_rows, dtype=pl.UInt32).alias(_ROW),
        as_timestamp(latest).alias(_LATEST),
        types.alias(schema.INTERACTION_TYPE + _RAW),
        *(text[name].is_not_null().alias(name + _RAW) for name in flags),
    )


def _column(frame: pl.DataFrame, mapping: Mapping, name: str) -> pl.Series:
    if name in frame.columns:
        return frame[name]
    constant = mapping.constants.get(name)
    return pl.Series(name, [constant], dtype=pl.String).new_from_index(0, len(frame))


def _as_text(raw: pl.Series, mapping: Mapping) -> pl.Series:
    """Trimmed text, null where it is blank or one of the mapping's null values."""
    if raw.dtype.is_float():  # 7.0 is what pandas makes of an integer 7 beside a null
        whole = raw.cast(pl.Int64, strict=False)
        is_whole = (whole.cast(pl.Float64) == raw.cast(pl.Float64)).fill_null(False)
        text = whole.cast(pl.String).zip_with(is_whole, raw.cast(pl.String))
    else:
        text = raw.cast(pl.String)
    text = text.str.strip_chars()
    nulls = pl.col(raw.name).is_in(["", *mapping.null_values])
    return text.to_frame(raw.name).select(pl.when(~nulls).then(pl.col(raw.name))).to_series()


def _nulled(raw: pl.Series, text: pl.Series) -> pl.Series:
    return (
        raw.to_frame("raw")
        .select(pl.when(text.is_not_null()).then(pl.col("raw")).alias(raw.name))
        .to_series()
    )


def _whole_numbers(text: pl.Series) -> pl.Series:
    number = pl.col("n").cast(pl.Float64, strict=False)
    fits = (number == number.floor()) & (number.abs() <= _MAX_POSITION)
    return text.to_frame("n").select(pl.when(fits).then(number).cast(pl.Int32).alias(text.name)).to_series()
