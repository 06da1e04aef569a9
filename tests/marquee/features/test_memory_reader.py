"""What was known when, from tables in memory."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from marquee import schema
from marquee.features.memory_reader import MemoryReader
from marquee.features.reader import MOVIE_COLUMNS, USER_COLUMNS
from marquee.features.state import SideTables
from marquee.features.state.facts import STATIC_KNOWN_AT
from tests.factories import DAY_S, SECOND_US, events, movie_table

DAY_US = DAY_S * SECOND_US
KNOWN_US = round(STATIC_KNOWN_AT.timestamp()) * SECOND_US


def users_at(state: MemoryReader, *asked: tuple[str, int]) -> pl.DataFrame:
    """Rows of (user, microseconds)."""
    ids, times = zip(*asked, strict=True)
    return state.users(pl.Series(ids), np.array(times, np.int64))


def movies_at(state: MemoryReader, *asked: tuple[str, int]) -> pl.DataFrame:
    """Rows of (movie, microseconds)."""
    ids, times = zip(*asked, strict=True)
    return state.movies(pl.Series(ids), np.array(times, np.int64))


def test_event_of_the_very_microsecond_is_known_and_one_after_is_not():
    state = MemoryReader.of(events(("u", "a", 10), ("u", "b", 10 + 1e-6)))

    found = users_at(state, ("u", 10 * SECOND_US - 1), ("u", 10 * SECOND_US), ("u", 10 * SECOND_US + 1))

    assert found[schema.USER_HISTORY_ITEMS].to_list() == [None, ["a"], ["a", "b"]]


def test_events_of_one_moment_are_known_together():
    state = MemoryReader.of(events(("u", "b", 10, 1), ("u", "a", 10, 5)))

    found = users_at(state, ("u", 10 * SECOND_US))

    assert found[schema.USER_EVENTS_ALL].to_list() == [2]
    assert found[schema.USER_HISTORY_ITEMS].to_list() == [["a", "b"]]
    assert found[schema.USER_RATING_MEAN].to_list() == [(1 + 5) / 2]


def test_rows_come_in_the_order_asked_repeats_and_strangers_included():
    state = MemoryReader.of(events(("u0", "a", 1), ("u1", "a", 2), ("u1", "b", 3)))
    late = 5 * SECOND_US

    found = users_at(
        state, ("u1", late), ("stranger", late), ("u0", late), ("u1", 2 * SECOND_US), ("u1", late)
    )

    assert found[schema.USER_EVENTS_ALL].to_list() == [2, None, 1, 1, 2]
    assert dict(found.schema) == USER_COLUMNS


def test_statistics_count_for_seven_days_and_the_last_moment_of_them():
    # The last statistics are of the midnight after the last event: day 1, so they end with day 8.
    state = MemoryReader.of(events(("u", "a", 0)))

    found = movies_at(state, ("a", DAY_US - 1), ("a", DAY_US), ("a", 8 * DAY_US), ("a", 8 * DAY_US + 1))

    assert found[schema.ITEM_EVENTS_ALL].to_list() == [None, 1, 1, None]


def test_limit_of_age_is_that_of_its_view_only():
    observed = pl.DataFrame(
        {"item_id": ["a"], "observed_at": [datetime(1970, 1, 1, tzinfo=UTC)], "mentions": [9]}
    )
    tables = SideTables(movies=movie_table({"item_id": ["a"], "year": [1950]}), publicity=observed)
    state = MemoryReader.of(events(("u", "a", 0)), tables)

    found = movies_at(state, ("a", 9000 * DAY_US)).row(0, named=True)

    assert (found[schema.MOVIE_YEAR], found["pub_mentions"], found[schema.ITEM_EVENTS_ALL]) == (1950, 9, None)


def test_publicity_is_known_from_its_observation_on_and_the_newest_stands():
    at = [datetime(1970, 1, day, tzinfo=UTC) for day in (3, 6)]
    observed = pl.DataFrame({"item_id": ["a", "a"], "observed_at": at, "critic_score": [4.0, 8.0]})
    state = MemoryReader.of(events(), SideTables(publicity=observed))

    found = movies_at(
        state, *(("a", time) for time in (2 * DAY_US - 1, 2 * DAY_US, 5 * DAY_US - 1, 5 * DAY_US))
    )

    assert found["pub_critic_score"].to_list() == [None, 4, 4, 8]


def test_profiles_are_known_since_always_but_not_before():
    people = pl.DataFrame({"user_id": ["u"], "age": [30], "gender": ["F"]})
    state = MemoryReader.of(events(), SideTables(users=people))

    found = users_at(state, ("u", KNOWN_US - 1), ("u", KNOWN_US))

    assert found.select(schema.USER_AGE, schema.USER_IS_MALE).rows() == [(None, None), (30, 0)]


@pytest.mark.parametrize("gender", [None, "", "X", "other"])
def test_user_whose_gender_is_neither_is_unknown(gender: str | None):
    people = pl.DataFrame({"user_id": ["u"], "gender": [gender]}, schema_overrides={"gender": pl.String})
    state = MemoryReader.of(events(), SideTables(users=people))

    assert users_at(state, ("u", KNOWN_US))[schema.USER_IS_MALE].to_list() == [None]


def test_user_who_is_named_twice_keeps_the_first_row():
    people = pl.DataFrame({"user_id": ["u", "u"], "age": [20, 70]})

    found = users_at(MemoryReader.of(events(), SideTables(users=people)), ("u", KNOWN_US))

    assert found[schema.USER_AGE].to_list() == [20]


def test_nothing_built_gives_rows_of_nulls_and_nothing_asked_gives_none():
    state = MemoryReader.of(events())
    nobody, never = pl.Series([], dtype=pl.String), np.array([], np.int64)

    for rows in (users_at(state, ("u", DAY_US)), movies_at(state, ("a", DAY_US))):
        assert len(rows) == 1
        assert rows.null_count().row(0) == (1,) * rows.width
    assert dict(state.users(nobody, never).schema) == USER_COLUMNS
    assert dict(state.movies(nobody, never).schema) == MOVIE_COLUMNS
    assert state.contracts == {}
