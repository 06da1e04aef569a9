import numpy as np
import pytest

from marquee import schema
from marquee.data.interactions import Vocabulary
from marquee.features.cross import DAYS_A_YEAR, RECENT_HALF_LIFE_EVENTS, Catalogue, cross_features
from marquee.features.movie_statistics import MovieStatistics
from marquee.features.profiles import MovieProfiles, UserProfiles
from tests.factories import DAY_S, movie_table, queries

NAN = np.nan
HALF = np.sqrt(1 / 2)
OLD = 0.5 ** (1 / 3)
"""The recent weight of the first of two events."""


def catalogue() -> Catalogue:
    table = movie_table(
        {
            schema.ITEM_ID: ["0", "1", "2", "3"],
            schema.GENRES: [["Action"], ["Drama"], ["Action", "Drama"], None],
            schema.DIRECTORS: [["Ford"], ["Lang"], ["Ford"], None],
            schema.YEAR: [1940, 1950, 1960, None],
        }
    )
    statistics = np.zeros((4, len(schema.MOVIE_STATISTICS)), np.float32)
    for name, values in {
        schema.ITEM_EVENTS_ALL: [np.e - 1, np.e**2 - 1, np.e**3 - 1, 0],  # log1p of them: 1, 2, 3, 0
        schema.ITEM_AUDIENCE_AGE_MEAN: [20, 30, 40, NAN],
        schema.ITEM_AUDIENCE_MALE_SHARE: [0.25, 0.5, 0.75, NAN],
    }.items():
        statistics[:, schema.MOVIE_STATISTICS.index(name)] = values
    return Catalogue(
        users=UserProfiles(np.array([35, NAN], np.float32), np.array([0, NAN], np.float32)),
        movies=MovieProfiles.of(Vocabulary.of(["0", "1", "2", "3"]), table),
        statistics=MovieStatistics(statistics, 0),
    )


# One known user saw movie 0, then movie 1; one unknown user saw nothing. Both asked in January 1971.
QUERIES = queries([(0, 10), (1, 20)], [], users=[0, -1], time_s=365.2425 * DAY_S)
PAIRS = ([0, 0, 1], [2, 3, 2])  # (query, candidate): candidate 2, candidate 3, candidate 2

EXPECTED = {
    schema.ITEM_YEARS_SINCE_RELEASE: [1971 - 1960, NAN, 1971 - 1960],
    schema.CROSS_AUDIENCE_AGE_GAP: [abs(35 - 40), NAN, NAN],
    schema.CROSS_AUDIENCE_GENDER_GAP: [abs(0 - 0.75), NAN, NAN],
    # The history is half Action, half Drama; candidate 2 is √½ of each, candidate 3 has no genre.
    schema.CROSS_GENRE_AFFINITY: [(1 / 2) * HALF + (1 / 2) * HALF, 0, 0],
    schema.CROSS_GENRE_AFFINITY_RECENT: [HALF * OLD / (OLD + 1) + HALF * 1 / (OLD + 1), 0, 0],
    # Ford directed one of two seen movies, the older one.
    schema.CROSS_PEOPLE_AFFINITY: [1 / 2, 0, 0],
    schema.CROSS_YEAR_GAP: [1960 - (1940 + 1950) / 2, NAN, NAN],
    schema.CROSS_YEAR_GAP_RECENT: [1960 - (1940 * OLD + 1950) / (OLD + 1), NAN, NAN],
    schema.CROSS_POPULARITY_GAP: [3 - (1 + 2) / 2, 0 - (1 + 2) / 2, NAN],
    schema.CROSS_POPULARITY_GAP_RECENT: [
        3 - (1 * OLD + 2) / (OLD + 1),
        0 - (1 * OLD + 2) / (OLD + 1),
        NAN,
    ],
}


def cross(asked=QUERIES, pairs=PAIRS) -> np.ndarray:
    return cross_features(asked, np.array(pairs[0], np.int64), np.array(pairs[1], np.int32), catalogue())


def column(name: str, **arguments) -> np.ndarray:
    return cross(**arguments)[:, schema.CROSS_FEATURES.index(name)]


def test_expectations_cover_every_feature():
    assert tuple(EXPECTED) == schema.CROSS_FEATURES
    assert RECENT_HALF_LIFE_EVENTS == 3
    assert DAYS_A_YEAR == 365.2425


@pytest.mark.parametrize("name", schema.CROSS_FEATURES)
def test_cross_feature_equals_arithmetic_by_hand(name):
    np.testing.assert_allclose(column(name), EXPECTED[name], rtol=1e-5, atol=1e-6)


def test_gap_leaves_seen_movies_of_unknown_year_out_of_the_mean():
    asked = queries([(3, 10), (0, 20)])

    assert column(schema.CROSS_YEAR_GAP, asked=asked, pairs=([0], [2])).tolist() == [1960 - 1940]


def test_gap_history_of_unknown_years_only_is_unknown():
    asked = queries([(3, 10)])

    assert np.isnan(column(schema.CROSS_YEAR_GAP, asked=asked, pairs=([0], [2]))).all()


def test_recent_events_of_one_moment_weigh_alike():
    asked = queries([(0, 10), (1, 10)])

    assert column(schema.CROSS_YEAR_GAP_RECENT, asked=asked, pairs=([0], [2])).tolist() == [1960 - 1945]


def test_no_pair_gives_no_row():
    assert cross(pairs=([], [])).shape == (0, len(schema.CROSS_FEATURES))
    assert cross().dtype == np.float32
