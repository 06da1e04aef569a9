import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from marquee.candidates import nearest
from marquee.candidates.nearby import Nearby, NearbyConfig
from tests.conformance import RouteConformance
from tests.factories import events

PLAIN = {"half_life_pairs": 1, "source_damping": 0, "target_damping": 0, "shrinkage": 1, "backward": 0}


class TestNearby(RouteConformance):
    def fit(self, interactions, seed):
        return Nearby.fit(interactions, NearbyConfig(), seed=seed)


def fit(*rows, **knobs):
    return Nearby.fit(events(*rows), NearbyConfig(**PLAIN | knobs), seed=0).items.matrix.toarray()


ROWS = [("a", "x", 1), ("a", "y", 2), ("a", "z", 3), ("b", "x", 1), ("b", "z", 2)]


def test_fit_pairs_count_half_for_each_event_between():
    # x → y once next; x → z once over y (half) and once next; y → z once. Undamped, over 1 + shrinkage 1.
    expected = np.array([[0, 1, 1.5], [0, 0, 1], [0, 0, 0]]) / (1 + 1)

    np.testing.assert_allclose(fit(*ROWS), expected, rtol=1e-6)


def test_fit_backward_share_counts_what_came_before():
    forward = fit(*ROWS)

    np.testing.assert_allclose(fit(*ROWS, backward=0.25), forward + 0.25 * forward.T, rtol=1e-6)


def test_fit_window_leaves_out_pairs_further_apart():
    # The pair of x and z in a's sequence is two apart, in b's one.
    np.testing.assert_allclose(fit(*ROWS, window_events=1)[0], [0, 1 / 2, 1 / 2], rtol=1e-6)


def test_fit_damping_divides_by_the_sums_of_rows_and_columns():
    # Rows add up to x 2.5, y 1, z 0; columns to x 0, y 1, z 2.5.
    counts = np.array([[0, 1, 1.5], [0, 0, 1], [0, 0, 0]])
    norm = np.outer(np.array([2.5, 1, 0]) ** 0.6, np.array([0, 1, 2.5]) ** 0.3) + 1

    np.testing.assert_allclose(fit(*ROWS, source_damping=0.6, target_damping=0.3), counts / norm, rtol=1e-6)


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from("pqrst")), min_size=1, max_size=10, unique=True
    ),
    st.floats(0, 1),
    st.integers(1, 4),
)
def test_fit_masses_are_the_sums_of_the_counts(pairs, backward, window):
    rows = [(user, item, moment) for moment, (user, item) in enumerate(pairs)]
    knobs = {"backward": backward, "window_events": window}
    counts = 2 * fit(*rows, **knobs)  # undamped, over 1 + 1

    damped = fit(*rows, **knobs, source_damping=1, target_damping=1)

    norm = np.outer(counts.sum(axis=1), counts.sum(axis=0)) + 1
    np.testing.assert_allclose(damped, counts / norm, rtol=1e-4, atol=1e-6)


def test_fit_sequences_of_two_users_do_not_join():
    assert not fit(("a", "x", 1), ("b", "y", 2), backward=1).any()


def test_fit_events_of_one_moment_teach_no_order_of_ids():
    rows = [(f"u{user}", item, 1) for user in range(50) for item in "xy"]

    forth, back = fit(*rows, shrinkage=49)[[0, 1], [1, 0]] * (1 + 49)

    assert forth + back == 50
    assert 15 < forth < 35  # a fair coin is outside less than once in 300 seeds


def test_fit_in_blocks_is_as_in_one(monkeypatch):
    whole = fit(*ROWS, backward=0.5)
    monkeypatch.setattr(nearest, "BLOCK_CELLS", 3)  # one item a block

    np.testing.assert_array_equal(fit(*ROWS, backward=0.5), whole)


def test_fit_max_user_events_learns_from_the_latest():
    assert fit(*ROWS, max_user_events=2)[0, 1] == 0  # a's x is its third latest
