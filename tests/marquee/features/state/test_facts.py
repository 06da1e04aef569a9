from datetime import UTC, date, datetime

import polars as pl

from marquee import schema
from marquee.features.state.facts import STATIC_KNOWN_AT, movie_profile, movie_publicity, user_profile


def observed(*rows) -> pl.DataFrame:
    """Rows of (item, day of 2026-01, source, mentions[, audience count])."""
    return pl.DataFrame(
        {
            "item_id": [row[0] for row in rows],
            "observed_at": [datetime(2026, 1, row[1], tzinfo=UTC) for row in rows],
            "source": [row[2] for row in rows],
            "mentions": [row[3] for row in rows],
            "audience_count": [row[4] if len(row) > 4 else None for row in rows],
        }
    )


def test_profile_of_a_user_is_known_since_always_and_null_where_unknown():
    users = pl.DataFrame({"user_id": ["b", "a"], "age": [30, None], "gender": ["female", "X"]})

    table = user_profile(users)

    assert table["user_id"].to_list() == ["a", "b"]
    assert table[schema.EVENT_TIMESTAMP].unique().to_list() == [STATIC_KNOWN_AT]
    assert table[schema.USER_AGE].to_list() == [None, 30.0]
    assert table[schema.USER_IS_MALE].to_list() == [None, 0.0]


def test_profile_of_a_movie_has_days_since_1970():
    table = movie_profile(
        pl.DataFrame({"item_id": ["a"], "released_on": [date(1970, 1, 11)], "year": [1970]})
    )

    assert table["movie_released_day"].to_list() == [10]
    assert table["movie_genres"].to_list() == [None]


def test_publicity_carries_the_newest_known_value_of_each_fact_forward():
    table = movie_publicity(observed(("a", 1, "x", 5, 100), ("a", 3, "y", None, 120), ("b", 2, "x", 1)), None)

    assert table["item_id"].to_list() == ["a", "a", "b"]
    assert table["pub_mentions"].to_list() == [5.0, 5.0, 1.0]
    assert table["pub_audience_count"].to_list() == [100.0, 120.0, None]


def test_publicity_of_one_moment_is_one_row_of_the_last_source():
    table = movie_publicity(observed(("a", 1, "y", 7), ("a", 1, "x", 5)), None)

    assert table["pub_mentions"].to_list() == [7.0]


def test_change_of_mentions_looks_seven_days_back_and_is_null_before():
    table = movie_publicity(
        observed(("a", 1, "x", 5), ("a", 7, "x", 8), ("a", 8, "x", 9), ("b", 8, "x", 3)), None
    )

    assert table[schema.PUB_MENTIONS_CHANGE_7D].to_list() == [None, None, 4.0, None]


def test_days_since_release_count_from_the_movies_table():
    movies = pl.DataFrame({"item_id": ["a"], "released_on": [date(2025, 12, 31)]})

    table = movie_publicity(observed(("a", 2, "x", 5), ("b", 2, "x", 5)), movies)

    assert table[schema.PUB_DAYS_SINCE_RELEASE].to_list() == [2.0, None]


def test_tables_that_a_data_set_lacks_are_empty_with_all_columns():
    for table, view in (
        (user_profile(None), schema.USER_PROFILE_VIEW),
        (movie_profile(None), schema.MOVIE_PROFILE_VIEW),
        (movie_publicity(None, None), schema.MOVIE_PUBLICITY_VIEW),
    ):
        assert dict(table.schema) == schema.view_columns(view)
        assert table.is_empty()
