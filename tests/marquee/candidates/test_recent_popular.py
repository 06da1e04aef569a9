import numpy as np

from marquee.candidates.recent_popular import RecentPopular, RecentPopularConfig
from tests.conformance import RouteConformance
from tests.factories import DAY_S, events, histories


class TestRecentPopular(RouteConformance):
    personal = False

    def fit(self, interactions, seed):
        return RecentPopular.fit(interactions, RecentPopularConfig())


def fit(*rows, items=(), **knobs):
    return RecentPopular.fit(events(*rows, items=items), RecentPopularConfig(**knobs)).counts


def test_fit_events_decay_to_the_background():
    # Ages of 0, 1 and 2 days at a half-life of one: 1, 1/2, 1/4 of the part above the background.
    counts = fit(
        ("a", "x", 2 * DAY_S), ("a", "y", DAY_S), ("b", "x", 0), items=["z"], half_life_days=1, background=0.2
    )

    np.testing.assert_allclose(counts, [(0.2 + 0.8) + (0.2 + 0.8 / 4), 0.2 + 0.8 / 2, 0], rtol=1e-6)


def test_fit_events_decades_old_still_count_more_than_none():
    counts = fit(("a", "x", 0), ("a", "y", 20_000 * DAY_S), items=["z"], half_life_days=1)

    assert counts[0] > counts[2] == 0


def test_fit_recent_choice_outranks_two_old_ones():
    counts = fit(("a", "x", 0), ("b", "x", 0), ("a", "y", 30 * DAY_S), half_life_days=1, background=0.01)

    assert counts[1] > counts[0]


def test_fit_no_event_is_silent():
    board = events(("a", "x", 1))
    route = RecentPopular.fit(board.take(np.zeros(1, bool)), RecentPopularConfig())

    assert route.score(histories(())).tolist() == [[0]]
