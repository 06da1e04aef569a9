import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from marquee.candidates.trending import Trending, TrendingConfig, surge_scores
from tests.conformance import RouteConformance
from tests.factories import DAY_S, events


class TestTrending(RouteConformance):
    personal = False

    def fit(self, interactions, seed):
        return Trending.fit(interactions, TrendingConfig())


def views(item, n, day):
    return [(f"u{item}{day}{number}", item, day * DAY_S) for number in range(n)]


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


def test_fit_no_event_knows_nothing():
    board = events(("a", "x", 1))
    route = Trending.fit(board.take(np.zeros(1, bool)), TrendingConfig())

    assert np.isneginf(route.surge).all()
