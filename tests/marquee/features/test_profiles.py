import numpy as np
import polars as pl
import pytest

from marquee import schema
from marquee.data.interactions import UNKNOWN_INDEX, Vocabulary
from marquee.features.profiles import MovieProfiles, UserProfiles
from tests.factories import movie_table

NAN = np.nan
ABC = Vocabulary.of(["a", "b", "c"])


def test_users_are_aligned_and_the_unknown_one_is_last():
    table = pl.DataFrame(
        {
            schema.USER_ID: ["c", "a", "stranger"],
            schema.AGE: [30, None, 99],
            schema.GENDER: ["female", "M", "M"],
        }
    )

    profiles = UserProfiles.of(ABC, table)

    np.testing.assert_array_equal(profiles.age, np.array([NAN, NAN, 30, NAN], np.float32))
    np.testing.assert_array_equal(profiles.is_male, np.array([1, NAN, 0, NAN], np.float32))
    assert np.isnan(profiles.age[UNKNOWN_INDEX])
    assert profiles.age.dtype == profiles.is_male.dtype == np.float32


@pytest.mark.parametrize("gender", [None, "", "X", "other"])
def test_users_gender_that_is_neither_is_unknown(gender):
    table = pl.DataFrame(
        {schema.USER_ID: ["a"], schema.GENDER: [gender]}, schema_overrides={"gender": pl.String}
    )

    assert np.isnan(UserProfiles.of(ABC, table).is_male).all()


def test_users_without_a_table_or_a_column_are_unknown():
    bare = pl.DataFrame({schema.USER_ID: ["a", "b"]})

    for table in (None, bare):
        profiles = UserProfiles.of(ABC, table)

        assert np.isnan(profiles.age).tolist() == np.isnan(profiles.is_male).tolist() == [True] * 4


def test_users_named_twice_keep_the_first_row():
    table = pl.DataFrame({schema.USER_ID: ["a", "a"], schema.AGE: [20, 70], schema.GENDER: ["F", "M"]})

    assert UserProfiles.of(ABC, table).age[0] == 20


def test_movies_genres_are_rows_of_length_one():
    table = movie_table({schema.ITEM_ID: ["b", "a"], schema.GENRES: [["Drama"], ["Action", "Drama"]]})

    genres = MovieProfiles.of(ABC, table).genres

    half = np.sqrt(1 / 2)
    np.testing.assert_allclose(genres.toarray(), [[half, half], [0, 1], [0, 0]], rtol=1e-6)
    assert genres.dtype == np.float32


def test_movies_label_named_twice_counts_once():
    table = movie_table({schema.ITEM_ID: ["a"], schema.GENRES: [["Drama", "Drama", None]]})

    np.testing.assert_array_equal(MovieProfiles.of(ABC, table).genres.toarray(), [[1], [0], [0]])


def test_movies_director_and_actor_of_one_name_are_two_people():
    table = movie_table(
        {schema.ITEM_ID: ["a", "b"], schema.DIRECTORS: [["Welles"], None], schema.CAST: [None, ["Welles"]]}
    )

    people = MovieProfiles.of(ABC, table).people.toarray()

    assert people.shape == (3, 2)
    assert people[0] @ people[1] == 0


def test_movies_two_by_one_cast_are_partly_alike():
    table = movie_table({schema.ITEM_ID: ["a", "b"], schema.CAST: [["x", "y", "z"], ["z"]]})

    people = MovieProfiles.of(ABC, table).people.toarray()

    np.testing.assert_allclose(people[0] @ people[1], 1 / np.sqrt(3), rtol=1e-6)


def test_movies_numbers_are_aligned():
    table = movie_table({schema.ITEM_ID: ["c", "a"], schema.YEAR: [1995, 1941], schema.MIN_AGE: [None, 12]})

    movies = MovieProfiles.of(ABC, table)

    np.testing.assert_array_equal(movies.year, np.array([1941, NAN, 1995], np.float32))
    np.testing.assert_array_equal(movies.min_age, np.array([12, NAN, NAN], np.float32))


def test_movies_without_a_table_or_a_column_are_unknown():
    for table in (None, pl.DataFrame({schema.ITEM_ID: ["a"]})):
        movies = MovieProfiles.of(ABC, table)

        assert np.isnan(movies.year).all()
        assert np.isnan(movies.min_age).all()
        assert movies.genres.shape == movies.people.shape == (3, 0)


def test_movies_order_of_the_table_does_not_matter():
    table = movie_table(
        {schema.ITEM_ID: ["a", "b", "c"], schema.GENRES: [["D", "A"], ["C", "A", "B"], ["B"]]}
    )

    one, other = MovieProfiles.of(ABC, table).genres, MovieProfiles.of(ABC, table.reverse()).genres

    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(one, part), getattr(other, part))
