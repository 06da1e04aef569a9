"""Rows of movie_statistics: as of midnight, from events before it."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee import schema
from marquee.features.context import DAY_US
from marquee.features.state.events import consumed_events, resolved
from marquee.features.state.facts import user_profile
from marquee.features.state.statistics import PRIOR_EVENTS, DailySums, movie_statistics
from tests.factories import DAY_S, HOUR_S, event_table

USERS = pl.DataFrame({"user_id": ["u0", "u1"], "age": [20, 50], "gender": ["M", "F"]})
AGES, MALES = {"u0": 20.0, "u1": 50.0}, {"u0": 1.0, "u1": 0.0}


def statistics(rows, *, first_day: int, last_day: int) -> pl.DataFrame:
    consumed = consumed_events(resolved(event_table(rows)))
    sums = DailySums.of(consumed, user_profile(USERS))
    return movie_statistics(sums, first_day=first_day, last_day=last_day)


# --- numbers by hand ---------------------------------------------------------------------------------

NOW_S = 100 * DAY_S
# x: 80 days, 8 days, 6 days and half a day ago; y: 20 days ago. As of midnight, that is a microsecond less.
FIVE = [
    ("u0", "x", NOW_S - 80 * DAY_S, 4),
    ("u1", "x", NOW_S - 8 * DAY_S, 2),
    ("u2", "x", NOW_S - 6 * DAY_S, 3),
    ("u3", "x", NOW_S - 12 * HOUR_S),
    ("u1", "y", NOW_S - 20 * DAY_S, 5),
]
X_IN_28_DAYS = [(20, 1), (22, 1), (27, 1)]  # (day of the 28, events)
SQUARES = sum((day - 13.5) ** 2 for day in range(28))
EXPECTED = {
    schema.ITEM_EVENTS_ALL: [4, 1],
    schema.ITEM_EVENTS_7D: [2, 0],
    schema.ITEM_EVENTS_30D: [3, 1],
    schema.ITEM_EVENTS_90D: [4, 1],
    schema.ITEM_TREND_7D: [(2 + 1) / (3 * 7 / 30 + 1), (0 + 1) / (1 * 7 / 30 + 1)],
    # 5 pseudo-events at the mean of all four ratings, (4 + 2 + 3 + 5) / 4 = 3.5
    schema.ITEM_RATING_MEAN: [(4 + 2 + 3 + 5 * 3.5) / (3 + 5), (5 + 5 * 3.5) / (1 + 5)],
    # x was seen by 20, 50 and two of unknown age; y by 50; the mean of the known is (20 + 50 + 50) / 3 = 40
    schema.ITEM_AUDIENCE_AGE_MEAN: [(20 + 50 + 5 * 40) / (2 + 5), (50 + 5 * 40) / (1 + 5)],
    schema.ITEM_AUDIENCE_MALE_SHARE: [(1 + 0 + 5 / 3) / (2 + 5), (0 + 5 / 3) / (1 + 5)],
    schema.ITEM_AGE_DAYS: [80, 20],
    schema.ITEM_IDLE_DAYS: [0.5, 20],
    schema.ITEM_EVENTS_1D: [1, 0],
    schema.ITEM_RATINGS_ALL: [3, 1],
    schema.ITEM_RATING_MEAN_90D: [(4 + 2 + 3) / 3, 5],
    schema.ITEM_TREND_SLOPE_28D: [sum(day - 13.5 for day, _ in X_IN_28_DAYS) / SQUARES, (8 - 13.5) / SQUARES],
}


def test_expectations_cover_every_statistic():
    assert tuple(EXPECTED) == tuple(schema.FEATURE_VIEWS[schema.MOVIE_STATISTICS_VIEW])
    assert PRIOR_EVENTS == 5


@pytest.mark.parametrize("name", EXPECTED)
def test_statistic_equals_arithmetic_by_hand(name):
    table = statistics(FIVE, first_day=100, last_day=100)

    assert table["item_id"].to_list() == ["x", "y"]
    np.testing.assert_allclose(table[name], EXPECTED[name], rtol=1e-6)


def test_window_leaves_out_the_event_that_is_a_microsecond_older():
    on_the_edge = [("u0", "x", NOW_S - 7 * DAY_S - 1e-6), ("u0", "y", NOW_S - 7 * DAY_S)]

    table = statistics(on_the_edge, first_day=100, last_day=100)

    assert table[schema.ITEM_EVENTS_7D].to_list() == [0, 1]


def test_statistics_up_to_the_first_event_are_none():
    assert statistics(
        FIVE, first_day=1, last_day=20
    ).is_empty()  # the first is of the very midnight of day 20


# --- days ----------------------------------------------------------------------------------------------


def test_statistics_of_a_day_hold_events_before_its_midnight_only():
    table = statistics(
        [("u0", "a", 0), ("u1", "a", DAY_S - 1e-6), ("u2", "a", DAY_S)], first_day=1, last_day=2
    )

    assert table[schema.EVENT_TIMESTAMP].to_list() == [datetime(1970, 1, day, tzinfo=UTC) for day in (2, 3)]
    assert table[schema.ITEM_EVENTS_ALL].to_list() == [2.0, 3.0]
    assert table[schema.ITEM_EVENTS_1D].to_list() == [2.0, 1.0]


def test_statistics_of_a_movie_begin_on_the_day_after_its_first_event():
    table = statistics([("u0", "a", 0), ("u0", "b", 2 * DAY_S)], first_day=1, last_day=3)

    assert table.select("item_id", pl.col(schema.EVENT_TIMESTAMP).dt.day()).rows() == [
        ("a", 2),
        ("a", 3),
        ("a", 4),
        ("b", 4),
    ]


def test_slope_of_counts_that_grow_by_one_a_day_is_one():
    rows = [(f"{day} {number}", "a", day * DAY_S) for day in range(28) for number in range(day)]

    table = statistics(rows, first_day=28, last_day=28)

    assert table[schema.ITEM_TREND_SLOPE_28D].to_list() == [pytest.approx(1.0)]


def test_unknown_values_are_null():
    table = statistics([("nobody", "a", 0, None)], first_day=1, last_day=1)

    unknown = [
        schema.ITEM_RATING_MEAN,
        schema.ITEM_RATING_MEAN_90D,
        schema.ITEM_AUDIENCE_AGE_MEAN,
        schema.ITEM_AUDIENCE_MALE_SHARE,
    ]
    assert table.select(unknown).row(0) == (None,) * 4


# --- the same by an independent way -----------------------------------------------------------------


def by_hand(rows, *, as_of_us: int) -> dict[str, dict[str, float]]:
    """Of each movie with events at or before a moment: statistics, event by event."""
    past = [(*row, round(row[2] * 1e6)) for row in rows if round(row[2] * 1e6) <= as_of_us]

    def shrunken(values_of):
        known = [values_of(row) for row in past if values_of(row) is not None]
        overall = sum(known) / len(known) if known else np.nan
        return {
            item: (sum(own) + PRIOR_EVENTS * overall) / (len(own) + PRIOR_EVENTS)
            for item in {row[1] for row in past}
            for own in [[values_of(row) for row in past if row[1] == item and values_of(row) is not None]]
        }

    means = {
        schema.ITEM_RATING_MEAN: shrunken(lambda row: row[3]),
        schema.ITEM_AUDIENCE_AGE_MEAN: shrunken(lambda row: AGES.get(row[0])),
        schema.ITEM_AUDIENCE_MALE_SHARE: shrunken(lambda row: MALES.get(row[0])),
    }
    found = {}
    for item in {row[1] for row in past}:
        ages = [(as_of_us - row[-1]) / DAY_US for row in past if row[1] == item]
        within = {days: sum(age < days for age in ages) for days in (1, 7, 30, 90)}
        found[item] = {
            schema.ITEM_EVENTS_ALL: len(ages),
            schema.ITEM_EVENTS_1D: within[1],
            schema.ITEM_EVENTS_7D: within[7],
            schema.ITEM_EVENTS_30D: within[30],
            schema.ITEM_EVENTS_90D: within[90],
            schema.ITEM_TREND_7D: (within[7] + 1) / (within[30] * 7 / 30 + 1),
            schema.ITEM_AGE_DAYS: max(ages),
            schema.ITEM_IDLE_DAYS: min(ages),
            schema.ITEM_RATINGS_ALL: sum(row[1] == item and row[3] is not None for row in past),
            **{name: mean[item] for name, mean in means.items()},
        }
    return found


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["u0", "u1", "u2"]),
            st.sampled_from(["a", "b", "c"]),
            st.integers(0, 400).map(lambda half_days: half_days * DAY_S / 2),
            st.sampled_from([None, 1.0, 4.5]),
        ),
        min_size=1,
        max_size=30,
        unique_by=lambda row: row[:2],
    ),
    st.integers(1, 210),
)
def test_statistics_of_any_day_equal_counting_by_hand(rows, day):
    table = statistics(rows, first_day=day, last_day=day)

    expected = by_hand(rows, as_of_us=day * DAY_US - 1)
    assert table["item_id"].to_list() == sorted(expected)
    for row in table.iter_rows(named=True):
        wanted = expected[row["item_id"]]
        found = [np.nan if row[name] is None else row[name] for name in wanted]
        np.testing.assert_allclose(found, list(wanted.values()), rtol=1e-6)


def test_statistics_from_a_total_and_later_days_are_those_from_all_days_to_the_last_bit():
    rows = [(f"u{day}", "abc"[day % 3], day * DAY_S, day % 7 + 0.1) for day in range(200)]
    sums = DailySums.of(consumed_events(resolved(event_table(rows))), user_profile(USERS)).table
    day = pl.col("day")

    total = DailySums(sums.filter(day < 90)).total(day=89).table
    shortened = DailySums(pl.concat([total, sums.filter(day >= 90)]))

    whole = movie_statistics(DailySums(sums), first_day=185, last_day=199)
    assert movie_statistics(shortened, first_day=185, last_day=199).equals(whole)
    for asked in (185, 199):
        at = pl.col(schema.EVENT_TIMESTAMP).dt.epoch("d") == asked
        alone = movie_statistics(shortened, first_day=asked, last_day=asked)
        assert alone.equals(whole.filter(at))


def test_statistics_by_month_equal_statistics_in_one_piece():
    rows = [
        (f"u{day % 3}", f"{day % 5} {day}"[: 1 + day % 2], day * DAY_S, day % 4 + 0.1) for day in range(120)
    ]

    pieces = pl.concat(
        [statistics(rows, first_day=1, last_day=60), statistics(rows, first_day=61, last_day=120)]
    )

    whole = statistics(rows, first_day=1, last_day=120)
    assert whole.equals(pieces.sort("item_id", schema.EVENT_TIMESTAMP))
