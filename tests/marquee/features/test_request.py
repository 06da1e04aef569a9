from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from marquee import schema
from marquee.features.context import Calendar
from marquee.features.memory_reader import MemoryReader
from marquee.features.request import query_features
from marquee.features.state import SideTables
from marquee.features.user_rows import queries_of
from tests.factories import DAY_S, HOUR_S, SECOND_US, events, queries

NAN = np.nan
# Asked 1970-01-11, a Sunday and a holiday, at 13:30 UTC.
ASKED_S = 10 * DAY_S + 13.5 * HOUR_S
LAST_S = ASKED_S - 90
CALENDAR = Calendar.of(
    pl.DataFrame(
        {schema.DAY: [date(1970, 1, 11)], "holiday": ["Sunday"], "festival": [None]},
        schema=schema.CALENDAR_SCHEMA,
    )
)
# Two of the four events lie within the hour that ends with the last; one exactly an hour before
# doesn't, and one exactly a day before is not of that day.
BOARD = events(
    ("a", "0", LAST_S - DAY_S, 1),
    ("a", "1", LAST_S - HOUR_S, 2),
    ("a", "2", LAST_S - HOUR_S + 1),
    ("a", "3", LAST_S, 3),
)
PEOPLE = pl.DataFrame({schema.USER_ID: ["a"], schema.AGE: [33], schema.GENDER: ["M"]})


def asked():
    """Of user a, and of somebody unknown, at `ASKED_S`."""
    time_us = np.full(2, ASKED_S * SECOND_US, np.int64)
    rows = MemoryReader.of(BOARD, SideTables(users=PEOPLE)).users(pl.Series(["a", "stranger"]), time_us)
    return queries_of(rows, user_index=np.array([0, -1], np.int32), time_us=time_us, items=BOARD.items)


EXPECTED = {
    schema.USER_EVENTS_ALL: [4, 0],
    schema.USER_EVENTS_1H: [2, 0],
    schema.USER_EVENTS_1D: [3, 0],
    schema.USER_EVENTS_7D: [4, 0],
    schema.USER_EVENTS_30D: [4, 0],
    schema.USER_RATINGS_ALL: [3, 0],
    schema.USER_RATING_MEAN: [(1 + 2 + 3) / 3, NAN],
    schema.USER_AGE: [33, NAN],
    schema.USER_IS_MALE: [1, NAN],
    schema.USER_IDLE_SECONDS: [90, NAN],
    schema.CONTEXT_HOUR: [13, 13],
    schema.CONTEXT_WEEKDAY: [7, 7],
    schema.CONTEXT_IS_WEEKEND: [1, 1],
    schema.CONTEXT_IS_HOLIDAY: [1, 1],
    schema.CONTEXT_IS_FESTIVAL: [0, 0],
}


def test_expectations_cover_every_feature():
    assert tuple(EXPECTED) == schema.QUERY_FEATURES


@pytest.mark.parametrize("name", schema.QUERY_FEATURES)
def test_query_feature_equals_arithmetic_by_hand(name):
    column = query_features(asked(), CALENDAR)[:, schema.QUERY_FEATURES.index(name)]

    np.testing.assert_allclose(column, EXPECTED[name], rtol=1e-6)


@pytest.mark.parametrize("day", range(8))
def test_context_weekday_counts_from_monday(day):
    moment = datetime(1970, 1, 1, 23, 59, tzinfo=UTC) + timedelta(days=day)

    features = query_features(queries([], time_s=moment.timestamp()), CALENDAR)[0]

    assert features[schema.QUERY_FEATURES.index(schema.CONTEXT_WEEKDAY)] == moment.isoweekday()
    assert features[schema.QUERY_FEATURES.index(schema.CONTEXT_IS_WEEKEND)] == (moment.isoweekday() > 5)
    assert features[schema.QUERY_FEATURES.index(schema.CONTEXT_HOUR)] == 23


def test_query_features_shape_and_dtype_are_as_promised():
    features = query_features(asked(), CALENDAR)

    assert features.shape == (2, len(schema.QUERY_FEATURES))
    assert features.dtype == np.float32
    assert query_features(queries(), CALENDAR).shape == (0, len(schema.QUERY_FEATURES))
