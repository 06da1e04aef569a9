import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from marquee import schema
from marquee.candidates.trending import Trending, TrendingConfig, surge_scores
from marquee.data.interactions import Interactions
from marquee.features.memory_reader import MemoryReader
from marquee.features.movie_states import MovieStates
from marquee.features.state.events import events_of
from tests.conformance import RouteConformance
from tests.factories import DAY_S, events


class TestTrending(RouteConformance):
    personal = False

    def fit(self, interactions, seed):
        return Trending.fit(interactions, TrendingConfig())


def views(item, n, day):
    return [(f"u{item}{day}{number}", item, day * DAY_S) for number in range(n)]


def event_board(one, other):
    """The events of both, which have the same items."""
    tables = [events_of(board) for board in (one, other)]
    return Interactions.from_table(pl.concat(tables))


def fit(*rows, **knobs):
    config = TrendingConfig(**{"recent_days": 7, "usual_days": 30, "prior_events": 1} | knobs)
    return Trending.fit(events(*[event for row in rows for event in row]), config).surge


def test_surge_scores_are_anscombe_distances_from_the_usual_share():
    # Shares (3 + 1) ÷ (4 + 2) and (1 + 1) ÷ (4 + 2) of 6 recent events: 4 and 2 are expected.
    scores = surge_scores(np.array([1, 5]), np.array([3, 1]), prior_events=1)

    expected = [2 * (np.sqrt(1.375) - np.sqrt(4.375)), 2 * (np.sqrt(5.375) - np.sqrt(2.375))]
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


def test_fit_rising_item_leads_and_a_steady_favourite_does_not():
    surge = fit(views("steady", 30, 1), views("steady", 10, 30), views("riser", 2, 1), views("riser", 8, 30))

    assert surge.argmax() == 0  # riser, by its id
    assert surge[0] > 0 > surge[1]


def test_fit_busy_week_alone_is_no_trend():
    surge = fit(views("x", 4, 1), views("y", 2, 1), views("x", 40, 30), views("y", 20, 30), prior_events=1e-9)

    np.testing.assert_allclose(surge, 0, atol=1e-3)


def test_fit_events_before_the_usual_window_are_forgotten():
    late = (views("x", 5, 90), views("y", 5, 90), views("x", 3, 100), views("y", 3, 100))

    np.testing.assert_array_equal(fit(*late), fit(views("x", 50, 1), *late))


def test_fit_one_view_of_an_unknown_movie_is_less_than_many_of_a_known_one():
    surge = fit(views("known", 5, 1), views("known", 15, 30), views("one", 1, 30), views("other", 40, 1))

    assert surge[0] > surge[1]


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=8), st.floats(0.1, 20)
)
def test_surge_scores_rise_with_recent_events(counts, prior):
    recent, usual = np.array(counts).T
    more = recent.copy()
    more[0] += 1

    one = surge_scores(recent, usual, prior_events=prior)
    other = surge_scores(more, usual, prior_events=prior)

    assert other[0] >= one[0] - 1e-5
    assert (other[1:] <= one[1:] + 1e-5).all()  # their share of a busier week was higher


def test_levels_are_the_fit_of_that_midnight_from_the_state_of_the_movies():
    until_midnight = [("z", "steady", 40 * DAY_S - 1)]
    board = events(
        *views("steady", 30, 20),
        *views("steady", 9, 35),
        *views("riser", 2, 20),
        *views("riser", 8, 35),
        *until_midnight,
        items=["silent"],
    )
    later = events(*views("silent", 99, 41), items=["riser", "steady"])
    midnights = np.array([40, 42]) * DAY_S * 1_000_000
    both = event_board(board, later)
    states = MovieStates.read(MemoryReader.of(both), both.items, midnights)
    route = Trending.fit(board, TrendingConfig())

    levels = route.levels(states)

    np.testing.assert_allclose(levels[0], route.surge, rtol=1e-6)
    assert levels[1].argmax() == both.items.index_of("silent")  # the fit never saw it rise


def test_levels_of_a_moment_without_state_are_those_of_the_fit():
    board = events(*views("a", 5, 1), *views("b", 2, 9))
    route = Trending.fit(board, TrendingConfig())
    unknown = MovieStates(np.zeros(1, np.int64), np.full((1, 2, len(schema.MOVIE_STATE)), np.nan, np.float32))

    np.testing.assert_array_equal(route.levels(unknown), [route.surge])


def test_config_usual_window_must_be_the_longer():
    with pytest.raises(ValidationError, match="recent_days 30 must be fewer than usual_days 30"):
        TrendingConfig(recent_days=30, usual_days=30)


def test_fit_no_event_knows_nothing():
    board = events(("a", "x", 1))
    route = Trending.fit(board.take(np.zeros(1, bool)), TrendingConfig())

    assert np.isneginf(route.surge).all()
