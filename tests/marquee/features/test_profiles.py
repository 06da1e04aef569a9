import numpy as np
import polars as pl

from marquee import schema
from marquee.data.interactions import Vocabulary
from marquee.features.memory_reader import MemoryReader
from marquee.features.profiles import MovieProfiles
from marquee.features.state import SideTables
from tests.factories import DAY_S, SECOND_US, events, movie_table

NAN = np.nan
ABC = Vocabulary.of(["a", "b", "c"])


def profiles(table: pl.DataFrame | None) -> MovieProfiles:
    """Of the movies a, b and c, as of 1970-01-11."""
    state = MemoryReader.of(events(), SideTables(movies=table))
    return MovieProfiles.read(state, ABC, time_us=10 * DAY_S * SECOND_US)


def test_movies_genres_are_rows_of_length_one():
    table = movie_table({schema.ITEM_ID: ["b", "a"], schema.GENRES: [["Drama"], ["Action", "Drama"]]})

    genres = profiles(table).genres

    half = np.sqrt(1 / 2)
    np.testing.assert_allclose(genres.toarray(), [[half, half], [0, 1], [0, 0]], rtol=1e-6)
    assert genres.dtype == np.float32


def test_movies_label_named_twice_counts_once():
    table = movie_table({schema.ITEM_ID: ["a"], schema.GENRES: [["Drama", "Drama", None]]})

    np.testing.assert_array_equal(profiles(table).genres.toarray(), [[1], [0], [0]])


def test_movies_director_and_actor_of_one_name_are_two_people():
    table = movie_table(
        {schema.ITEM_ID: ["a", "b"], schema.DIRECTORS: [["Welles"], None], schema.CAST: [None, ["Welles"]]}
    )

    people = profiles(table).people.toarray()

    assert people.shape == (3, 2)
    assert people[0] @ people[1] == 0


def test_movies_two_by_one_cast_are_partly_alike():
    table = movie_table({schema.ITEM_ID: ["a", "b"], schema.CAST: [["x", "y", "z"], ["z"]]})

    people = profiles(table).people.toarray()

    np.testing.assert_allclose(people[0] @ people[1], 1 / np.sqrt(3), rtol=1e-6)


def test_movies_numbers_are_aligned():
    table = movie_table({schema.ITEM_ID: ["c", "a"], schema.YEAR: [1995, 1941]})

    movies = profiles(table)

    np.testing.assert_array_equal(movies.year, np.array([1941, NAN, 1995], np.float32))


def test_movies_without_a_table_or_a_column_are_unknown():
    for table in (None, pl.DataFrame({schema.ITEM_ID: ["a"]})):
        movies = profiles(table)

        assert np.isnan(movies.year).all()
        assert movies.genres.shape == movies.people.shape == (3, 0)


def test_movies_order_of_the_table_does_not_matter():
    table = movie_table(
        {schema.ITEM_ID: ["a", "b", "c"], schema.GENRES: [["D", "A"], ["C", "A", "B"], ["B"]]}
    )

    one, other = profiles(table).genres, profiles(table.reverse()).genres

    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(one, part), getattr(other, part))


def test_movies_named_twice_keep_the_first_row():
    table = movie_table({schema.ITEM_ID: ["a", "a"], schema.YEAR: [1941, 1995]})

    assert profiles(table).year[0] == 1941
