import numpy as np
import pytest

from marquee import schema
from marquee.features.movie_statistics import PRIOR_EVENTS, MovieStatistics
from marquee.features.profiles import UserProfiles
from tests.factories import DAY_S, HOUR_S, SECOND_US, events

NAN = np.nan
NOW_S = 100 * DAY_S
# x: 80 days, 8 days, 6 days and half a day ago; y: 20 days ago; z: never.
FIVE = events(
    ("a", "x", NOW_S - 80 * DAY_S, 4),
    ("b", "x", NOW_S - 8 * DAY_S, 2),
    ("c", "x", NOW_S - 6 * DAY_S, 3),
    ("a", "x", NOW_S - 12 * HOUR_S),
    ("b", "y", NOW_S - 20 * DAY_S, 5),
    items=["z"],
)
PROFILES = UserProfiles(
    age=np.array([20, 50, NAN, NAN], np.float32), is_male=np.array([1, 0, NAN, NAN], np.float32)
)


def statistics(interactions=FIVE, *, as_of_s: float = NOW_S) -> MovieStatistics:
    return MovieStatistics.of(interactions, PROFILES, as_of_us=int(as_of_s * SECOND_US))


EXPECTED = {
    schema.ITEM_EVENTS_ALL: [4, 1, 0],
    schema.ITEM_EVENTS_7D: [2, 0, 0],
    schema.ITEM_EVENTS_30D: [3, 1, 0],
    schema.ITEM_EVENTS_90D: [4, 1, 0],
    schema.ITEM_TREND_7D: [(2 + 1) / (3 * 7 / 30 + 1), (0 + 1) / (1 * 7 / 30 + 1), 1],
    # 5 pseudo-events at the mean of all four ratings, (4 + 2 + 3 + 5) / 4 = 3.5
    schema.ITEM_RATING_MEAN: [(4 + 2 + 3 + 5 * 3.5) / (3 + 5), (5 + 5 * 3.5) / (1 + 5), 3.5],
    # x was seen by 20, 50, unknown, 20; y by 50; the mean of the known is (20 + 50 + 20 + 50) / 4 = 35
    schema.ITEM_AUDIENCE_AGE_MEAN: [(20 + 50 + 20 + 5 * 35) / (3 + 5), (50 + 5 * 35) / (1 + 5), 35],
    schema.ITEM_AUDIENCE_MALE_SHARE: [(1 + 0 + 1 + 5 * 0.5) / (3 + 5), (0 + 5 * 0.5) / (1 + 5), 0.5],
    schema.ITEM_AGE_DAYS: [80, 20, NAN],
    schema.ITEM_IDLE_DAYS: [0.5, 20, NAN],
}


def test_expectations_cover_every_statistic():
    assert tuple(EXPECTED) == schema.MOVIE_STATISTICS
    assert PRIOR_EVENTS == 5


@pytest.mark.parametrize("name", schema.MOVIE_STATISTICS)
def test_statistic_equals_arithmetic_by_hand(name):
    np.testing.assert_allclose(statistics().column(name), EXPECTED[name], rtol=1e-6)


def test_matrix_has_the_shape_and_order_of_the_schema():
    found = statistics()

    assert found.matrix.shape == (3, len(schema.MOVIE_STATISTICS))
    assert found.matrix.dtype == np.float32
    assert found.as_of_us == NOW_S * SECOND_US


def test_window_leaves_out_the_event_that_is_exactly_its_age():
    on_the_edge = events(("a", "x", NOW_S - 7 * DAY_S), ("a", "y", NOW_S - 7 * DAY_S + 1))

    assert statistics(on_the_edge).column(schema.ITEM_EVENTS_7D).tolist() == [0, 1]


def test_event_at_the_very_moment_counts_and_a_later_one_does_not():
    interactions = events(("a", "x", NOW_S), ("a", "y", NOW_S + 1e-6), ("b", "x", NOW_S + DAY_S, 5))

    assert statistics(interactions).column(schema.ITEM_EVENTS_ALL).tolist() == [1, 0]
    assert np.isnan(statistics(interactions).column(schema.ITEM_RATING_MEAN)).all()


def test_statistics_before_the_first_event_know_nothing():
    found = statistics(as_of_s=0)

    assert found.column(schema.ITEM_EVENTS_ALL).tolist() == [0, 0, 0]
    assert np.isnan(found.column(schema.ITEM_AGE_DAYS)).all()
