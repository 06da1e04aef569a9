import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from marquee import schema
from marquee.candidates.trending import (
    Trending,
    TrendingConfig,
    popularity_lately,
    surge_scores,
)
from marquee.data.interactions import Interactions
from marquee.features.memory_reader import MemoryReader
from marquee.features.movie_states import MovieStates
from marquee.features.state.events import events_of
from marquee.features.surprise import gamma_poisson_surprise
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


def test_surge_scores_are_the_surprise_at_the_usual_share():
    # Shares (39 + 1) ÷ (40 + 2) and (1 + 1) ÷ (40 + 2) of 42 recent events: 40 and 2 are expected.
    scores = surge_scores(np.array([12, 30]), np.array([39, 1]), prior_events=1)

    expected = gamma_poisson_surprise(np.array([30]), np.array([2.0]), shape=8)
    np.testing.assert_allclose(scores, [0, expected[0]], rtol=1e-6)


@pytest.mark.parametrize(("users", "surges"), [(4, False), (5, True)])
def test_surge_scores_of_a_handful_of_users_are_none(users, surges):
    scores = surge_scores(np.array([users, 20]), np.array([0, 90_000]), prior_events=0.1)

    assert (scores[0] > 0) == surges


def test_popularity_lately_counts_the_week_and_a_twentieth_of_all():
    lately = popularity_lately(np.array([4, 0]), np.array([20, 60]))

    np.testing.assert_allclose(lately, [5 / 6, 3 / 6])  # 4 + 1 and 3, of the best and one


def test_fit_surging_item_leads_and_the_others_follow_by_the_last_week():
    surge = fit(
        views("riser", 14, 30), views("steady", 60, 10), views("steady", 20, 30), views("old", 20, 1),
        views("late", 3, 29),
    )  # fmt: skip

    late, old, riser, steady = surge  # by their ids
    assert riser > 1 > steady > late > old > 0


def test_fit_busy_week_alone_is_no_surge():
    surge = fit(views("x", 4, 1), views("y", 2, 1), views("x", 40, 30), views("y", 20, 30), prior_events=1e-9)

    assert (surge < 1).all()


def test_fit_what_was_usual_before_its_window_does_not_hide_a_surge():
    late = (views("x", 8, 90), views("y", 50, 90), views("x", 20, 115), views("y", 2, 115))

    without, with_past = fit(*late), fit(views("x", 500, 1), *late)

    assert with_past[0] - without[0] == pytest.approx(0, abs=1)  # but for popularity lately
    assert with_past[0] > 4.6


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
        *views("steady", 90, 20),
        *views("steady", 9, 35),
        *views("riser", 1, 20),
        *views("riser", 14, 35),
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
    assert levels[0].max() > 1
    assert levels[1].argmax() == both.items.index_of("silent")  # the fit never saw it rise


def test_levels_of_a_moment_without_state_are_those_of_the_fit():
    board = events(*views("a", 5, 1), *views("b", 2, 9))
    route = Trending.fit(board, TrendingConfig())
    unknown = MovieStates(np.zeros(1, np.int64), np.full((1, 2, len(schema.MOVIE_STATE)), np.nan, np.float32))

    lately, surge = route.parts(unknown)

    np.testing.assert_array_equal(route.levels(unknown), [route.surge])
    np.testing.assert_array_equal(lately, [route.surge])
    assert not surge.any()


def test_config_usual_window_must_be_the_longer():
    with pytest.raises(ValidationError, match="recent_days 30 must be fewer than usual_days 30"):
        TrendingConfig(recent_days=30, usual_days=30)


def test_fit_no_event_knows_nothing():
    board = events(("a", "x", 1))
    route = Trending.fit(board.take(np.zeros(1, bool)), TrendingConfig())

    assert np.isneginf(route.surge).all()
