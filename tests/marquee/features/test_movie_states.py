"""Which state of the movies a query reads, and how many of them are held."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee import schema
from marquee.data.interactions import Vocabulary
from marquee.errors import FeatureStoreError
from marquee.features import movie_states
from marquee.features.context import DAY_US
from marquee.features.item_matrix import ItemMatrix, export_item_matrix
from marquee.features.memory_reader import MemoryReader
from marquee.features.movie_states import MovieStates, read_movie_states, refresh_moments
from marquee.features.state import SideTables
from tests.factories import DAY_S, events, movie_table
from tests.marquee.features.item_tables import AS_OF, NOW, item_table

BYTES_A_MOVIE = 4 * len(schema.MOVIE_STATE)


def empty_states(moments_us: list[int]) -> MovieStates:
    return MovieStates(
        np.array(moments_us), np.empty((len(moments_us), 0, len(schema.MOVIE_STATE)), np.float32)
    )


# --- the moment that is read -----------------------------------------------------------------------------


def test_moment_of_is_the_newest_that_is_not_after_the_query_and_the_first_before_all():
    moment = empty_states([10, 20, 30]).moment_of(np.array([9, 10, 19, 20, 21, 30, 99]))

    assert moment.tolist() == [0, 0, 0, 1, 1, 2, 2]


def test_rows_of_a_query_begin_with_the_first_movie_at_its_moment():
    matrix = np.arange(2 * 3 * len(schema.MOVIE_STATE), dtype=np.float32).reshape(2, 3, -1)
    states = MovieStates(np.array([10, 20]), matrix)

    begin = states.begin_of(np.array([5, 20]))

    np.testing.assert_array_equal(states.rows[begin + 2], matrix[[0, 1], 2])


def test_refresh_moments_are_the_midnights_of_the_days_with_queries():
    times = [3 * DAY_US - 1, 3 * DAY_US, 3 * DAY_US + 5, 9 * DAY_US + 1]

    assert refresh_moments(np.array(times), 10).tolist() == [2 * DAY_US, 3 * DAY_US, 9 * DAY_US]


@pytest.mark.parametrize(
    ("fit", "kept"), [(7, [0, 1, 2, 3, 4, 5, 6]), (6, [0, 2, 4, 6]), (3, [0, 3, 6]), (0, [0])]
)
def test_refresh_moments_that_do_not_fit_are_thinned_evenly(monkeypatch, fit, kept):
    monkeypatch.setattr(movie_states, "MAX_BYTES", fit * 5 * BYTES_A_MOVIE)

    assert (refresh_moments(np.arange(7) * DAY_US, 5) // DAY_US).tolist() == kept


times_us = st.lists(st.integers(0, 400 * DAY_US), min_size=1, max_size=60).map(
    lambda times: np.array(times, np.int64)
)


@given(times_us, st.integers(0, 40), st.integers(1, 2**18))
def test_refresh_moments_stay_within_memory_and_are_never_of_later_than_the_day_begins(
    times, n_items, budget
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(movie_states, "MAX_BYTES", budget)
        moments = refresh_moments(times, n_items)

    days = np.unique(times // DAY_US) * DAY_US
    read = moments[empty_states(moments.tolist()).moment_of(times)]
    assert (read <= times // DAY_US * DAY_US).all()
    assert len(moments) == 1 or len(moments) * n_items * BYTES_A_MOVIE <= budget
    if len(days) * max(n_items, 1) * BYTES_A_MOVIE <= budget:
        np.testing.assert_array_equal(moments, days)


# --- what is read ------------------------------------------------------------------------------------------

BOARD = events(("u0", "a", 0), ("u1", "a", DAY_S), ("u0", "c", DAY_S))
STATE = MemoryReader.of(BOARD, SideTables(movies=movie_table({"item_id": ["a", "b"], "year": [1941, 1972]})))
ITEMS = Vocabulary.of(["a", "b", "c"])


def test_read_gives_every_movie_at_every_moment():
    states = MovieStates.read(STATE, ITEMS, np.array([DAY_US, 2 * DAY_US]))

    assert states.matrix.shape == (2, 3, len(schema.MOVIE_STATE))
    assert states.matrix.dtype == np.float32
    # At the first midnight a had one event, at the second two; b never had one, c one at the second.
    expected = np.array([[1, np.nan, np.nan], [2, np.nan, 1]], np.float32)
    np.testing.assert_array_equal(states.column(schema.ITEM_EVENTS_ALL), expected)
    years = np.array([[1941, 1972, np.nan]] * 2, np.float32)
    np.testing.assert_array_equal(states.column(schema.MOVIE_YEAR), years)


def test_read_movie_states_reads_on_the_days_of_the_queries():
    states = read_movie_states(STATE, ITEMS, np.array([2 * DAY_US + 7, DAY_US, 2 * DAY_US]))

    assert states.moments_us.tolist() == [DAY_US, 2 * DAY_US]
    assert states.column(schema.ITEM_EVENTS_ALL)[:, 0].tolist() == [1, 2]


# --- of what a server holds --------------------------------------------------------------------------------


@pytest.fixture
def held(tmp_path: Path) -> ItemMatrix:
    rows = item_table(
        ["a", "b", "d"], **{schema.ITEM_EVENTS_ALL: [10.0, 20.0, 40.0], schema.MOVIE_YEAR: [1.0, None, 4.0]}
    )
    return export_item_matrix(rows, tmp_path, as_of=AS_OF, now=NOW)


def test_of_matrix_is_aligned_with_the_models_items_and_unknown_where_it_lacks_one(held: ItemMatrix):
    states = MovieStates.of_matrix(held, ITEMS)

    assert states.moments_us.tolist() == [AS_OF.timestamp() * 1_000_000]
    np.testing.assert_array_equal(
        states.column(schema.ITEM_EVENTS_ALL), np.array([[10, 20, np.nan]], np.float32)
    )
    np.testing.assert_array_equal(
        states.column(schema.MOVIE_YEAR), np.array([[1, np.nan, np.nan]], np.float32)
    )
    assert np.isnan(states.matrix[0, 2]).all()


def test_of_matrix_with_other_columns_is_refused(held: ItemMatrix):
    with pytest.raises(FeatureStoreError, match="other columns than this program"):
        MovieStates.of_matrix(replace(held, columns=held.columns[::-1]), ITEMS)
