import numpy as np

from marquee.candidates.sequential import Sequential, SequentialConfig
from tests.conformance import RouteConformance
from tests.factories import events, histories


class TestSequential(RouteConformance):
    def fit(self, interactions, seed):
        return Sequential.fit(interactions, SequentialConfig(), seed=seed)


def fit(*rows, **knobs):
    config = SequentialConfig(**{"shrinkage": 0, "decay": 0.5, "half_life_events": 1} | knobs)
    return Sequential.fit(events(*rows), config, seed=0)


def test_fit_transitions_are_shares_that_decay_with_each_step():
    # a: x → y → z and b: x → z. From x: y once next (1), z once after one step (0.5) and once next (1).
    route = fit(("a", "x", 1), ("a", "y", 2), ("a", "z", 3), ("b", "x", 1), ("b", "z", 2))

    expected = [[0, 1 / 2.5, 1.5 / 2.5], [0, 0, 1], [0, 0, 0]]
    np.testing.assert_allclose(route.transitions.toarray(), expected, rtol=1e-6)


def test_fit_shrinkage_pulls_shares_towards_zero():
    route = fit(("a", "x", 1), ("a", "y", 2), shrinkage=3)

    np.testing.assert_allclose(route.transitions.toarray(), [[0, 1 / (1 + 3)], [0, 0]], rtol=1e-6)


def test_fit_sequences_of_two_users_do_not_join():
    route = fit(("a", "x", 1), ("b", "y", 2))

    assert route.transitions.nnz == 0


def test_score_adds_up_from_the_latest_events():
    route = fit(("a", "x", 1), ("a", "y", 2), ("b", "z", 1), ("b", "y", 2))

    # z is the last event, x one before it: half its weight at a half-life of one event.
    scores = route.score(histories([(0, 1), (2, 2)]))

    np.testing.assert_allclose(scores, [[-np.inf, 0.5 * 1 + 1 * 1, -np.inf]], rtol=1e-6)


def test_fit_events_of_one_moment_teach_no_order_of_ids():
    # Fifty users watch x and y within one second: either way round about as often.
    rows = [(f"u{user}", item, 1) for user in range(50) for item in "xy"]

    forth, back = fit(*rows, shrinkage=50).transitions.toarray()[[0, 1], [1, 0]]

    # Shares of n and 50 - n transitions over 50 + n: 1/3 each if even, never 50/100 against 0.
    assert 0.2 < forth < 0.45
    assert 0.2 < back < 0.45


def test_fit_neighbours_keeps_the_strongest():
    rows = [("a", "x", 1), ("a", "y", 2), ("a", "z", 3)]

    route = fit(*rows, neighbours=1)

    assert route.transitions.toarray()[0].tolist() == [0, np.float32(1 / 1.5), 0]
