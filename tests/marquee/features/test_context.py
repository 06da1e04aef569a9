from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from marquee import schema
from marquee.errors import ConfigError
from marquee.features import context as context_module
from marquee.features.calendar import YEARS_AHEAD, calendar_around, calendar_table
from marquee.features.context import Calendar, context_features, context_numbers


def at(*moments: datetime) -> np.ndarray:
    return np.array([round(moment.timestamp() * 1e6) for moment in moments], np.int64)


SATURDAY_NIGHT = datetime(2026, 11, 21, 23, 59, 59, tzinfo=UTC)
CHRISTMAS = datetime(2026, 12, 25, tzinfo=UTC)
HALLOWEEN = datetime(2026, 10, 31, 20, tzinfo=UTC)


def test_context_has_the_columns_that_the_schema_names():
    table = context_features(at(SATURDAY_NIGHT))

    assert dict(table.schema) == schema.CONTEXT_FEATURES


def test_context_of_a_moment_is_its_hour_and_weekday_in_utc():
    table = context_features(at(SATURDAY_NIGHT, CHRISTMAS), device=["tv", None], location=None)

    assert table.select("context_hour", "context_weekday", "context_is_weekend", "context_device").rows() == [
        (23.0, 6.0, 1.0, "tv"),
        (0.0, 5.0, 0.0, None),
    ]


def test_context_knows_holiday_from_festival_and_both_from_unknown():
    calendar = calendar_table("US", first=date(2026, 10, 1), last=date(2026, 12, 31))

    table = context_features(
        at(CHRISTMAS, HALLOWEEN, SATURDAY_NIGHT, datetime(2027, 1, 1, tzinfo=UTC)), calendar=calendar
    )

    assert table["context_is_holiday"].to_list() == [1.0, 0.0, 0.0, None]
    assert table["context_is_festival"].to_list() == [0.0, 1.0, 0.0, None]


HOUR, IS_HOLIDAY = (
    schema.CONTEXT_NUMBERS.index(name) for name in (schema.CONTEXT_HOUR, schema.CONTEXT_IS_HOLIDAY)
)


def holidays(calendar, moments):
    return context_numbers(moments, calendar)[:, IS_HOLIDAY]


def test_calendar_days_begin_at_midnight_utc_and_those_outside_or_left_out_are_unknown():
    table = calendar_table("US", first=date(2026, 12, 24), last=date(2026, 12, 26))
    calendar = Calendar.of(table.filter(table["day"] != date(2026, 12, 24)))
    second = timedelta(seconds=1)

    moments = at(
        CHRISTMAS - second, CHRISTMAS, CHRISTMAS + timedelta(days=1) - second, CHRISTMAS + timedelta(days=2)
    )

    np.testing.assert_array_equal(holidays(calendar, moments), np.array([np.nan, 1, 1, np.nan], np.float32))


def test_calendar_with_a_hole_knows_nothing_of_the_day_that_it_leaves_out():
    table = calendar_table("US", first=date(2026, 12, 24), last=date(2026, 12, 26))
    calendar = Calendar.of(table.filter(table["day"] != date(2026, 12, 25)))

    moments = at(*(CHRISTMAS + timedelta(days=days) for days in (-1, 0, 1)))

    np.testing.assert_array_equal(holidays(calendar, moments), np.array([0, np.nan, 0], np.float32))


@pytest.mark.parametrize("table", [None, pl.DataFrame(schema=schema.CALENDAR_SCHEMA)])
def test_calendar_of_nothing_knows_no_day(table):
    assert np.isnan(holidays(Calendar.of(table), at(CHRISTMAS, SATURDAY_NIGHT))).all()


def test_calendar_forgets_hours_rather_than_to_grow_without_end(monkeypatch):
    monkeypatch.setattr(context_module, "KNOWN_HOURS", 3)
    calendar = Calendar.of(calendar_table("US", first=date(2026, 12, 24), last=date(2026, 12, 26)))
    moments = at(*(CHRISTMAS + timedelta(hours=hours) for hours in (*range(-2, 9), *range(-2, 9))))

    numbers = context_numbers(moments, calendar)

    assert numbers[:, HOUR].tolist() == 2 * [22, 23, *range(9)]
    assert len(calendar._known_hours) <= 3


def test_numbers_are_those_of_the_table_in_its_order():
    table = calendar_table("US", first=date(2026, 12, 1), last=date(2026, 12, 31))
    moments = at(CHRISTMAS, HALLOWEEN, SATURDAY_NIGHT)

    numbers = context_numbers(moments, Calendar.of(table))

    shown = context_features(moments, calendar=table).select(schema.CONTEXT_NUMBERS)
    np.testing.assert_array_equal(numbers, shown.fill_null(np.nan).to_numpy())
    assert numbers.dtype == np.float32


def test_calendar_is_a_table_of_the_contract_with_every_day():
    table = calendar_table("DE", subdivision="BY", first=date(2026, 1, 5), last=date(2026, 1, 7))

    assert dict(table.schema) == schema.CALENDAR_SCHEMA
    assert table["holiday"].to_list() == [None, "Epiphany", None]


def test_calendar_of_an_unknown_country_is_one_clear_error():
    with pytest.raises(ConfigError, match="'XX'"):
        calendar_table("XX", first=date(2026, 1, 1), last=date(2026, 1, 2))


def test_calendar_around_events_reaches_from_the_first_day_to_decades_after_the_last():
    first_us, last_us = at(HALLOWEEN, CHRISTMAS).tolist()

    table = calendar_around(first_us, last_us, country="US")

    assert table["day"].min() == date(2026, 10, 31)
    assert table["day"].max() == date(2026 + YEARS_AHEAD, 12, 31)
