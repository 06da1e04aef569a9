"""Arrow columns to what a match compares: microseconds UTC and keys of one type on both sides."""

import polars as pl
import pyarrow as pa

from marquee.errors import ContractError

UTC_MICROSECONDS = pa.timestamp("us", tz="UTC")
_DAY_US = 86_400_000_000


def column_series(column: pa.ChunkedArray | pa.Array) -> pl.Series:
    """The same values as a polars series without a name."""
    series = pl.from_arrow(column)
    if not isinstance(series, pl.Series):  # a chunked struct column comes as a frame in some versions
        series = series.to_struct()
    return series.alias("")


def microseconds(column: pa.ChunkedArray, *, what: str) -> pl.Series:
    """Times as `(n,) int64` microseconds since 1970 UTC, nulls kept; naive times mean UTC.

    Nanoseconds are cut (towards the past) and a date is its midnight UTC.

    Raises:
        ContractError: `what` is neither a timestamp nor a date.
    """
    kind = column.type
    if pa.types.is_timestamp(kind):
        raw = column_series(column.cast(pa.int64()))
        if kind.unit == "ns":
            return raw // 1000
        return raw * {"s": 1_000_000, "ms": 1000, "us": 1}[kind.unit]
    if pa.types.is_date(kind):
        return column_series(column.cast(pa.date32()).cast(pa.int32())).cast(pl.Int64) * _DAY_US
    if pa.types.is_null(kind):
        return column_series(column).cast(pl.Int64)
    raise ContractError(
        f"{what} is of type {kind}.", remedy="Store it as a timestamp; times without a zone mean UTC."
    )


def as_timestamps(time_us: pl.Series) -> pa.Array:
    """Microseconds since 1970 as an Arrow column of UTC timestamps."""
    arrow = time_us.to_arrow()
    return arrow.cast(pa.timestamp("us")).cast(UTC_MICROSECONDS)


def comparable(column: pa.ChunkedArray, *, what: str) -> pl.Series:
    """A key column with one type for all widths of a kind: int64, float64 or string; NaN is null.

    Raises:
        ContractError: an integer does not fit into 64 signed bits.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = kind.value_type
    series = column_series(column)
    if pa.types.is_integer(kind):
        if kind == pa.uint64() and (series > 2**63 - 1).any():
            raise ContractError(f"{what} holds {series.max()!r}.", remedy="Use keys below 2**63, or strings.")
        return series.cast(pl.Int64)
    if pa.types.is_floating(kind):
        return series.cast(pl.Float64).fill_nan(None)
    return series


def agreed(label: pl.Series, stored: pl.Series, *, what: str) -> tuple[pl.Series, pl.Series]:
    """Both sides of a key in one type.

    pandas turns integer keys into floats where one is missing, so whole floats match integers.

    Raises:
        ContractError: one side is a number and the other a string, or a float key is not whole.
    """
    if label.dtype == stored.dtype:
        return label, stored
    if label.dtype == pl.Null:
        return label.cast(stored.dtype), stored
    if stored.dtype == pl.Null:
        return label, stored.cast(label.dtype)
    if label.dtype == pl.Float64 and stored.dtype == pl.Int64:
        return _whole(label, what=what), stored
    if label.dtype == pl.Int64 and stored.dtype == pl.Float64:
        return label, _whole(stored, what=what)
    raise ContractError(
        f"{what} is {_words(label)} in the label frame and {_words(stored)} in the source.",
        remedy="Give both sides the type of the entity's declaration.",
    )


def _whole(series: pl.Series, *, what: str) -> pl.Series:
    whole = series.cast(pl.Int64, strict=False)
    broken = series.filter((whole.is_null() & series.is_not_null()) | (whole.cast(pl.Float64) != series))
    if len(broken):
        raise ContractError(f"{what} holds {broken[0]}.", remedy="Keys that are numbers must be whole.")
    return whole


def _words(series: pl.Series) -> str:
    if series.dtype == pl.Int64:
        return "an integer"
    return {pl.Float64(): "a float", pl.String(): "a string"}.get(series.dtype, repr(series.dtype))
