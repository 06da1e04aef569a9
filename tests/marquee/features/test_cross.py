import numpy as np
import pytest

from marquee import schema
from marquee.features.context import Calendar
from marquee.features.cross import DAYS_A_YEAR, RECENT_HALF_LIFE_EVENTS, Catalogue, cross_features
from marquee.features.movie_states import MovieStates
from marquee.features.profiles import MovieProfiles
from marquee.features.state.facts import movie_profile
from tests.factories import DAY_S, SECOND_US, movie_table, queries

NAN = np.nan
HALF = np.sqrt(1 / 2)
OLD = 0.5 ** (1 / 3)
"""The recent weight of the first of two events."""
MOVIES = MovieProfiles.of(
    movie_profile(
        movie_table(
            {
                schema.ITEM_ID: ["0", "1", "2", "3"],
                schema.GENRES: [["Action"], ["Drama"], ["Action", "Drama"], None],
                schema.DIRECTORS: [["Ford"], ["Lang"], ["Ford"], None],
                schema.YEAR: [1940, 1950, 1960, None],
            }
        )
    )
)
EVENTS = [np.e - 1, np.e**2 - 1, np.e**3 - 1, 0]
"""Of the four movies; log1p of them: 1, 2, 3, 0."""


def states(*moments: tuple[float, list[float]]) -> MovieStates:
    """The movies at moments of (seconds, numbers of events); what else is known never changes."""
    matrix = np.zeros((len(moments), 4, len(schema.MOVIE_STATE)), np.float32)
    for name, values in {
        schema.ITEM_EVENTS_ALL: [counts for _, counts in moments],
        schema.ITEM_AUDIENCE_AGE_MEAN: [20, 30, 40, NAN],
        schema.ITEM_AUDIENCE_MALE_SHARE: [0.25, 0.5, 0.75, NAN],
    }.items():
        matrix[:, :, schema.MOVIE_STATE.index(name)] = values
    return MovieStates(np.array([time * SECOND_US for time, _ in moments], np.int64), matrix)


# One known user saw movie 0, then movie 1; one unknown user saw nothing. Both asked in January 1971.
QUERIES = queries(
    [(0, 10), (1, 20)],
    [],
    users=[0, -1],
    time_s=365.2425 * DAY_S,
    **{schema.USER_AGE: [35, NAN], schema.USER_IS_MALE: [0, NAN]},
)
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


def cross(asked=QUERIES, pairs=PAIRS, known=None) -> np.ndarray:
    catalogue = Catalogue(MOVIES, known or states((0, EVENTS)), Calendar.of(None))
    row, item_index = np.array(pairs[0], np.int64), np.array(pairs[1], np.int32)
    return cross_features(asked, row, item_index, catalogue.states.begin_of(asked.time_us), catalogue)


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


def test_query_reads_history_and_candidate_as_of_its_own_moment():
    known = states((0, [0, 0, np.e - 1, 0]), (100, [np.e**2 - 1, 0, np.e**5 - 1, 0]))
    early, late = (queries([(0, 10)], time_s=time) for time in (99, 100))

    def gap(asked):
        return column(schema.CROSS_POPULARITY_GAP, asked=asked, pairs=([0], [2]), known=known)

    np.testing.assert_allclose([gap(early), gap(late)], [[1 - 0], [5 - 2]], rtol=1e-5)


def test_queries_of_two_moments_together_are_as_each_alone():
    known = states((0, EVENTS), (100, [7, 70, 700, 7000]))
    asked = queries([(0, 10), (1, 20)], [(1, 10)], [(2, 5)], **{schema.USER_AGE: [35, 20, 50]})
    asked.time_us[:] = [50 * SECOND_US, 150 * SECOND_US, 100 * SECOND_US]

    together = cross(asked, ([0, 1, 1, 2], [3, 0, 2, 1]), known)

    alone = [
        cross(asked.take(np.array([query])), ([0] * len(items), items), known)
        for query, items in ((0, [3]), (1, [0, 2]), (2, [1]))
    ]
    np.testing.assert_array_equal(together, np.concatenate(alone))


def test_query_without_history_alone_is_as_beside_another():
    stranger = QUERIES.take(np.array([1]))

    np.testing.assert_array_equal(cross(stranger, ([0], [2])), cross()[2:])


def test_no_pair_gives_no_row():
    assert cross(pairs=([], [])).shape == (0, len(schema.CROSS_FEATURES))
    assert cross(queries(), ([], [])).shape == (0, len(schema.CROSS_FEATURES))
    assert cross().dtype == np.float32
