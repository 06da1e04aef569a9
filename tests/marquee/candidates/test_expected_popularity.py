import numpy as np
import polars as pl

from marquee import schema
from marquee.candidates.expected_popularity import expected_log_events
from marquee.candidates.movie_facts import MovieFacts


def facts(*, reviews, genres=None):
    columns = {"pub_critic_count": pl.Series(reviews, dtype=pl.Float32)}
    if genres is not None:
        columns[schema.MOVIE_GENRES] = pl.Series(genres, dtype=pl.List(pl.String))
    return MovieFacts.of(pl.DataFrame(columns))


def test_expected_of_movies_without_events_follows_their_publicity():
    counts = np.array([1, 3, 9, 30, 100, 0, 0])
    known = facts(reviews=[1, 3, 9, 30, 100, 2, 80])

    expected = expected_log_events(counts, known, ridge=0.01)

    # log(1 + events) equals log(1 + reviews) here, so that the regression can be read off.
    np.testing.assert_allclose(expected, np.log1p([1, 3, 9, 30, 100, 2, 80]), atol=0.05)


def test_expected_where_nothing_is_known_is_the_mean():
    counts = np.array([3, 7, 0])

    expected = expected_log_events(counts, MovieFacts.unknown(3), ridge=1)

    np.testing.assert_allclose(expected, np.log1p([3, 7]).mean())


def test_expected_heavy_ridge_is_the_mean():
    expected = expected_log_events(np.array([1, 100, 0]), facts(reviews=[1, 100, 100]), ridge=1e12)

    np.testing.assert_allclose(expected, np.log1p([1, 100]).mean(), rtol=1e-6)


def test_expected_follows_the_genre():
    counts = np.array([90] * 5 + [2] * 5 + [0, 0])
    genres = [["Drama"]] * 5 + [["Short"]] * 5 + [["Drama"], ["Short"]]

    expected = expected_log_events(counts, facts(reviews=[None] * 12, genres=genres), ridge=0.1)

    assert expected[10] > np.log1p(counts[:10]).mean() > expected[11]


def test_expected_of_no_event_is_zero():
    assert expected_log_events(np.zeros(2, int), facts(reviews=[1, 2]), ridge=1).tolist() == [0, 0]
