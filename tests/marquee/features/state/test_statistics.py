"""Rows of movie_statistics: as of midnight, from events before it."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee import schema
from marquee.data.interactions import Interactions
from marquee.features.movie_statistics import DAY_US, MovieStatistics
from marquee.features.profiles import UserProfiles
from marquee.features.state.events import consumed_events, resolved
from marquee.features.state.facts import user_profile
from marquee.features.state.statistics import DailySums, movie_statistics
from tests.factories import DAY_S, event_table

USERS = pl.DataFrame({"user_id": ["u0", "u1"], "age": [20, 40], "gender": ["M", "F"]})


def statistics(rows, *, first_day: int, last_day: int) -> pl.DataFrame:
    consumed = consumed_events(resolved(event_table(rows)))
    sums = DailySums.of(consumed, user_profile(USERS))
    return movie_statistics(sums, first_day=first_day, last_day=last_day)


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
def test_statistics_of_any_day_equal_those_that_the_model_computes(rows, day):
    table = statistics(rows, first_day=day, last_day=day)

    interactions = Interactions.from_table(event_table(rows))
    profiles = UserProfiles.of(interactions.users, USERS)
    expected = MovieStatistics.of(interactions, profiles, as_of_us=day * DAY_US - 1)
    at = interactions.items.encode(table[schema.ITEM_ID])
    np.testing.assert_allclose(
        table.select(pl.col(schema.MOVIE_STATISTICS).fill_null(float("nan"))).to_numpy(),
        expected.matrix[at],
        rtol=1e-6,
    )
    seen = interactions.items.encode(table[schema.ITEM_ID]).tolist()
    assert seen == np.flatnonzero(expected.column(schema.ITEM_EVENTS_ALL) > 0).tolist()


def test_statistics_by_month_equal_statistics_in_one_piece():
    rows = [
        (f"u{day % 3}", f"{day % 5} {day}"[: 1 + day % 2], day * DAY_S, day % 4 + 0.1) for day in range(120)
    ]

    pieces = pl.concat(
        [statistics(rows, first_day=1, last_day=60), statistics(rows, first_day=61, last_day=120)]
    )

    whole = statistics(rows, first_day=1, last_day=120)
    assert whole.equals(pieces.sort("item_id", schema.EVENT_TIMESTAMP))
