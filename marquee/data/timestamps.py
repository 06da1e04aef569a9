"""Times as sources write them, to UTC microseconds."""

from datetime import datetime
from typing import Final

import polars as pl

from marquee import schema
from marquee.data.mapping import Mapping

_US_PER: Final = {"s": 1_000_000, "ms": 1_000, "us": 1}
_EARLIEST_US: Final = -62_000_000_000_000_000
_LATEST_US: Final = 250_000_000_000_000_000
"""Times outside (about the years 5 to 9892) are cut to these: still as wrong, and nothing overflows."""

_ISO8601: Final = (
    r"^(?P<date>\d{4}-\d{2}-\d{2})"
    r"(?:[T ](?P<minute>\d{2}:\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
    r" ?(?P<offset>[Zz]|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?)?)?$"
)


def parse_timestamps(raw: pl.Series, mapping: Mapping) -> pl.Series:
    """Times `Datetime("us", "UTC")`; null where a text or number is no time.

    Finer fractions than a microsecond are cut off, in floats rounded. Times without an offset are read
    in the mapping's zone, else as UTC; in the hour that a clock repeats the earlier one is taken, in the
    hour that it skips the time is null.
    """
    if raw.dtype == pl.Date:
        raw = raw.cast(pl.Datetime("us"))
    if isinstance(raw.dtype, pl.Datetime):
        return _from_datetimes(raw, mapping.time_zone)
    unit = mapping.timestamp_unit
    if unit in _US_PER:
        return _from_numbers(raw, us_per_unit=_US_PER[unit])
    text = raw.cast(pl.String).str.strip_chars()
    return _from_iso8601(text, mapping.time_zone) if unit == "iso8601" else _from_format(text, mapping)


def _from_numbers(raw: pl.Series, *, us_per_unit: int) -> pl.Series:
    number = pl.col("raw").str.strip_chars() if raw.dtype == pl.String else pl.col("raw")
    earliest, latest = _EARLIEST_US // us_per_unit, _LATEST_US // us_per_unit
    whole = number.cast(pl.Int64, strict=False).clip(earliest, latest) * us_per_unit
    decimal = number.cast(pl.Float64, strict=False)
    if raw.dtype.is_float():  # a cast to whole numbers would drop the fraction
        whole = pl.lit(None, dtype=pl.Int64)
    finite = pl.when(decimal.is_finite()).then(decimal.clip(earliest, latest) * us_per_unit)
    us = pl.coalesce(whole, finite.round().cast(pl.Int64))
    return raw.to_frame("raw").select(us.cast(schema.TIME_DTYPE).alias(raw.name)).to_series()


def _from_datetimes(raw: pl.Series, zone: str | None) -> pl.Series:
    unit = raw.dtype.time_unit if isinstance(raw.dtype, pl.Datetime) else "us"
    has_zone = isinstance(raw.dtype, pl.Datetime) and raw.dtype.time_zone is not None
    physical = raw.to_physical()
    if unit == "ns":
        us = _from_numbers(physical // 1_000, us_per_unit=1)
    else:
        us = _from_numbers(physical, us_per_unit=_US_PER[str(unit)])
    return us if has_zone else _in_utc(us.dt.replace_time_zone(None), zone)


def _from_iso8601(text: pl.Series, zone: str | None) -> pl.Series:
    groups = text.str.extract_groups(_ISO8601).struct.unnest()
    clock = pl.concat_str(
        "date",
        pl.lit(" "),
        pl.col("minute").fill_null("00:00"),
        pl.lit(":"),
        pl.col("second").fill_null("00"),
    )
    fraction = pl.col("fraction").fill_null("0").str.pad_end(6, "0").str.slice(0, 6).cast(pl.Int64)
    naive = clock.str.strptime(pl.Datetime("us"), "%Y-%m-%d %H:%M:%S", strict=False)
    local = groups.select((naive + pl.duration(microseconds=fraction)).alias(text.name)).to_series()
    offset = groups.select(_offset_minutes("offset")).to_series()
    aware = local.dt.replace_time_zone("UTC") - offset.cast(pl.Int64).cast(pl.Duration("us")) * 60_000_000
    return aware.zip_with(offset.is_not_null(), _in_utc(local, zone))


def _offset_minutes(column: str) -> pl.Expr:
    digits = pl.col(column).str.replace_all(r"[:+-]", "").str.pad_end(4, "0")
    hours, minutes = (
        digits.str.slice(0, 2).cast(pl.Int64, strict=False),
        digits.str.slice(2).cast(pl.Int64, strict=False),
    )
    sign = pl.when(pl.col(column).str.starts_with("-")).then(-1).otherwise(1)
    zulu = pl.col(column).str.to_uppercase() == "Z"
    return pl.when(zulu).then(0).when(pl.col(column).is_not_null()).then(sign * (hours * 60 + minutes))


def _from_format(text: pl.Series, mapping: Mapping) -> pl.Series:
    parsed = text.str.strptime(pl.Datetime("us"), mapping.timestamp_unit, strict=False)
    if isinstance(parsed.dtype, pl.Datetime) and parsed.dtype.time_zone is not None:
        return parsed.cast(schema.TIME_DTYPE)
    return _in_utc(parsed, mapping.time_zone)


def _in_utc(naive: pl.Series, zone: str | None) -> pl.Series:
    local = naive.dt.replace_time_zone(zone or "UTC", ambiguous="earliest", non_existent="null")
    return local.dt.convert_time_zone("UTC").cast(schema.TIME_DTYPE)


def as_timestamp(moment: datetime) -> pl.Expr:
    """A moment with a zone as a literal of the contract's dtype."""
    return pl.lit(moment).cast(schema.TIME_DTYPE)
