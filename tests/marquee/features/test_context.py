from datetime import UTC, date, datetime

import numpy as np
import pytest

from marquee import schema
from marquee.errors import ConfigError
from marquee.features.calendar import calendar_table
from marquee.features.context import context_features


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


def test_calendar_is_a_table_of_the_contract_with_every_day():
    table = calendar_table("DE", subdivision="BY", first=date(2026, 1, 5), last=date(2026, 1, 7))

    assert dict(table.schema) == schema.CALENDAR_SCHEMA
    assert table["holiday"].to_list() == [None, "Epiphany", None]


def test_calendar_of_an_unknown_country_is_one_clear_error():
    with pytest.raises(ConfigError, match="'XX'"):
        calendar_table("XX", first=date(2026, 1, 1), last=date(2026, 1, 2))
