from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

from marquee import schema
from marquee.data.mapping import Mapping
from marquee.data.timestamps import parse_timestamps


def parsed(values: list[Any], unit: str = "s", *, zone: str | None = None, dtype: Any = None) -> list[Any]:
    mapping = Mapping(
        format="csv",
        columns={"user_id": "u", "item_id": "i", "timestamp": "t"},
        constants={"interaction_type": "view"},
        timestamp_unit=unit,
        time_zone=zone,
    )
    times = parse_timestamps(pl.Series("timestamp", values, dtype=dtype), mapping)
    assert times.dtype == schema.TIME_DTYPE
    return times.to_list()


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(("unit", "text"), [("s", "86400"), ("ms", "86400000"), ("us", "86400000000")])
def test_number_of_each_unit_is_the_same_second_day(unit: str, text: str):
    assert parsed([text], unit) == [utc(1970, 1, 2)]


def test_seconds_with_a_fraction_keep_it_to_the_microsecond():
    assert parsed(["881250949.25", "881250949.0", " 1e9 "]) == [
        utc(1997, 12, 4, 15, 55, 49, 250_000),
        utc(1997, 12, 4, 15, 55, 49),
        utc(2001, 9, 9, 1, 46, 40),
    ]


def test_text_that_is_no_number_is_null():
    assert parsed(["", "x", "nan", "inf", "1_000", None, "2024-01-01"]) == [None] * 7


@pytest.mark.parametrize("text", ["99999999999999999999", "1e300", "9223372036854775807"])
def test_number_too_large_for_a_time_stays_far_future(text: str):
    assert parsed([text])[0] > utc(9000, 1, 1)


@pytest.mark.parametrize("text", ["-99999999999999999999", "-1e300", "-9223372036854775808"])
def test_number_too_small_for_a_time_stays_far_past(text: str):
    assert parsed([text])[0] < utc(100, 1, 1)


def test_iso8601_in_its_many_forms_is_read_side_by_side():
    assert parsed(
        [
            "2024-05-17",
            "2024-05-17 10:20",
            "2024-05-17T10:20:30Z",
            "2024-05-17T10:20:30.5+02:00",
            "2024-05-17T10:20:30,1234567-0530",
            "2024-05-17T10:20:30+02",
        ],
        "iso8601",
    ) == [
        utc(2024, 5, 17),
        utc(2024, 5, 17, 10, 20),
        utc(2024, 5, 17, 10, 20, 30),
        utc(2024, 5, 17, 10 - 2, 20, 30, 500_000),
        utc(2024, 5, 17, 10 + 5, 20 + 30, 30, 123_456),
        utc(2024, 5, 17, 10 - 2, 20, 30),
    ]


@pytest.mark.parametrize(
    "text", ["2024-02-30", "2024-13-01", "24-01-01", "2024-01-01T25:00", "2024-01-01T10:00+99:99", "now"]
)
def test_iso8601_of_a_day_or_hour_that_does_not_exist_is_null(text: str):
    assert parsed([text], "iso8601") == [None]


def test_naive_time_is_read_in_the_mappings_zone_and_one_with_offset_is_not():
    # Berlin in summer is UTC+2; at 02:30 on 27 October it was 02:30 twice; at 02:30 on 31 March never
    texts = ["2024-07-01 12:00", "2024-07-01 12:00Z", "2024-10-27 02:30", "2024-03-31 02:30"]

    assert parsed(texts, "iso8601", zone="Europe/Berlin") == [
        utc(2024, 7, 1, 10),
        utc(2024, 7, 1, 12),
        utc(2024, 10, 27, 0, 30),
        None,
    ]


def test_strptime_format_reads_days_fractions_and_offsets():
    assert parsed(["31/12/2023", "2023-12-31"], "%d/%m/%Y") == [utc(2023, 12, 31), None]
    assert parsed(["2024-01-02 03:04:05.25"], "%Y-%m-%d %H:%M:%S%.f") == [utc(2024, 1, 2, 3, 4, 5, 250_000)]
    assert parsed(["2024-01-02 03:04 +0200"], "%Y-%m-%d %H:%M %z") == [utc(2024, 1, 2, 1, 4)]


def test_times_of_parquet_are_converted_whatever_their_unit_or_zone():
    assert parsed([date(2024, 1, 2)]) == [utc(2024, 1, 2)]
    assert parsed([datetime(2024, 1, 2, 12)], zone="Europe/Berlin") == [utc(2024, 1, 2, 11)]  # noqa: DTZ001
    assert parsed([1_999], dtype=pl.Datetime("ns")) == [utc(1970, 1, 1, 0, 0, 0, 1)]
    assert parsed([1_500], dtype=pl.Datetime("ms", "Europe/Berlin")) == [utc(1970, 1, 1, 0, 0, 1, 500_000)]
    assert parsed([1.5, float("nan"), None]) == [utc(1970, 1, 1, 0, 0, 1, 500_000), None, None]
