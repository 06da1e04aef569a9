import numpy as np
import pytest

from marquee import schema
from marquee.features.profiles import UserProfiles
from marquee.features.request import query_features
from tests.factories import DAY_S, HOUR_S, queries

NAN = np.nan
PROFILES = UserProfiles(age=np.array([33, NAN], np.float32), is_male=np.array([1, NAN], np.float32))
# Asked 1970-01-11, a Sunday, at 13:30 UTC.
ASKED_S = 10 * DAY_S + 13.5 * HOUR_S
LAST_S = ASKED_S - 90
QUERIES = queries(
    # Two of the four events lie within the hour that ends with the last; one exactly an hour before doesn't.
    [(0, LAST_S - DAY_S, 1), (1, LAST_S - HOUR_S, 2), (2, LAST_S - HOUR_S + 1), (3, LAST_S, 3)],
    [],
    users=[0, -1],
    time_s=ASKED_S,
)

EXPECTED = {
    schema.USER_EVENTS_ALL: [4, 0],
    schema.USER_EVENTS_1H: [2, 0],
    schema.USER_RATING_MEAN: [(1 + 2 + 3) / 3, NAN],
    schema.USER_IDLE_SECONDS: [90, NAN],
    schema.USER_AGE: [33, NAN],
    schema.USER_IS_MALE: [1, NAN],
    schema.CONTEXT_HOUR: [13, 13],
    schema.CONTEXT_WEEKDAY: [7, 7],
}


def test_expectations_cover_every_feature():
    assert tuple(EXPECTED) == schema.QUERY_FEATURES


@pytest.mark.parametrize("name", schema.QUERY_FEATURES)
def test_query_feature_equals_arithmetic_by_hand(name):
    column = query_features(QUERIES, PROFILES)[:, schema.QUERY_FEATURES.index(name)]

    np.testing.assert_allclose(column, EXPECTED[name], rtol=1e-6)


@pytest.mark.parametrize("day", range(8))
def test_context_weekday_counts_from_monday(day):
    from datetime import UTC, datetime, timedelta

    moment = datetime(1970, 1, 1, 23, 59, tzinfo=UTC) + timedelta(days=day)
    asked = queries([], time_s=moment.timestamp())

    features = query_features(asked, PROFILES)[0]

    assert features[schema.QUERY_FEATURES.index(schema.CONTEXT_WEEKDAY)] == moment.isoweekday()
    assert features[schema.QUERY_FEATURES.index(schema.CONTEXT_HOUR)] == 23


def test_query_features_shape_and_dtype_are_as_promised():
    features = query_features(QUERIES, PROFILES)

    assert features.shape == (2, len(schema.QUERY_FEATURES))
    assert features.dtype == np.float32
    assert query_features(queries(), PROFILES).shape == (0, len(schema.QUERY_FEATURES))
