from datetime import UTC, date, datetime, timedelta

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.adapters.feast_offline.columns import agreed, as_timestamps, comparable, microseconds
from marquee.errors import ContractError

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOON_US = 1_767_225_600_000_000 + 12 * 3_600_000_000


def chunked(values, kind):
    return pa.chunked_array([pa.array(values, kind)])


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_microseconds_any_unit_and_zone_is_the_moment_in_utc(unit, zone):
    value = NOON if zone else NOON.replace(tzinfo=None)

    result = microseconds(chunked([value, None], pa.timestamp(unit, tz=zone)), what="t")

    assert result.to_list() == [NOON_US, None]


def test_microseconds_nanoseconds_are_cut_towards_the_past_even_before_1970():
    column = chunked([1_999, -1], pa.int64()).cast(pa.timestamp("ns"))

    assert microseconds(column, what="t").to_list() == [1, -1]


@pytest.mark.parametrize("kind", [pa.date32(), pa.date64()])
def test_microseconds_date_is_its_midnight(kind):
    result = microseconds(chunked([date(2026, 1, 1)], kind), what="t")

    assert result.to_list() == [NOON_US - 12 * 3_600_000_000]


def test_microseconds_number_is_refused():
    with pytest.raises(ContractError, match=r"'seen' of movies.parquet is of type int64"):
        microseconds(chunked([1], pa.int64()), what="'seen' of movies.parquet")


@given(st.lists(st.datetimes(timezones=st.just(UTC)) | st.none()))
def test_as_timestamps_gives_microseconds_back(moments):
    column = chunked(moments, pa.timestamp("us", tz="UTC"))

    assert as_timestamps(microseconds(column, what="t")).to_pylist() == moments


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint16(), pa.int32(), pa.int64(), pa.uint64()])
def test_comparable_integers_of_any_width_are_int64(kind):
    result = comparable(chunked([7, None], kind), what="key")

    assert result.dtype == pl.Int64
    assert result.to_list() == [7, None]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_comparable_strings_of_any_encoding_are_strings(kind):
    result = comparable(chunked(["a", None], kind), what="key")

    assert result.dtype == pl.String
    assert result.to_list() == ["a", None]


def test_comparable_integer_beyond_63_bits_is_refused():
    with pytest.raises(ContractError, match="9223372036854775808"):
        comparable(chunked([2**63], pa.uint64()), what="key")


def test_agreed_floats_that_pandas_made_of_integers_match_integers():
    label = comparable(chunked([1.0, float("nan"), None], pa.float64()), what="key")

    asked, stored = agreed(label, pl.Series([1, 2]), what="key")

    assert asked.dtype == stored.dtype == pl.Int64
    assert asked.to_list() == [1, None, None]


@pytest.mark.parametrize("broken", [1.5, float("inf"), 1e30])
def test_agreed_float_that_is_no_integer_is_refused(broken):
    with pytest.raises(ContractError, match="must be whole"):
        agreed(pl.Series([broken]), pl.Series([1]), what="key")


def test_agreed_column_of_nulls_takes_the_other_type():
    asked, stored = agreed(pl.Series([None]), pl.Series(["a"]), what="key")

    assert asked.dtype == stored.dtype == pl.String


def test_agreed_string_against_integer_is_refused():
    with pytest.raises(ContractError, match="is a string in the label frame and an integer in the source"):
        agreed(pl.Series(["1"]), pl.Series([1]), what="key")


def test_microseconds_of_a_timedelta_is_refused():
    with pytest.raises(ContractError, match="duration"):
        microseconds(chunked([timedelta(seconds=1)], pa.duration("us")), what="t")
