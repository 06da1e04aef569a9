import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from marquee.candidates.ease import Ease, EaseConfig, _solve_by_items, _solve_by_users
from marquee.errors import ConfigError
from tests.conformance import RouteConformance
from tests.factories import checkerboard, events, histories


class TestEase(RouteConformance):
    def fit(self, interactions, seed):
        return Ease.fit(interactions, EaseConfig(regularization=0.5))


def direct(matrix: np.ndarray, regularization: float) -> np.ndarray:
    """Eq. 8 of the paper, word for word."""
    inverse = np.linalg.inv(matrix.T @ matrix + regularization * np.eye(matrix.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


def interactions_of(matrix: np.ndarray):
    return events(
        *((f"{user:03}", f"{item:03}", user * 50 + item) for user, item in np.argwhere(matrix)),
        items=[f"{item:03}" for item in range(matrix.shape[1])],
    )


@given(seed=st.integers(0, 2**32 - 1), regularization=st.floats(0.5, 500))
def test_fit_weights_equal_the_formula(seed, regularization):
    matrix = np.random.default_rng(seed).random((12, 7)) < 0.4
    matrix[0] = True  # every item has a user
    matrix = matrix.astype(float)

    ease = Ease.fit(interactions_of(matrix), EaseConfig(regularization=regularization))

    np.testing.assert_allclose(ease.weights, direct(matrix, regularization), rtol=1e-4, atol=1e-6)


@given(seed=st.integers(0, 2**32 - 1), regularization=st.floats(0.5, 500))
def test_fit_weights_of_few_users_and_many_items_equal_the_formula(seed, regularization):
    matrix = np.random.default_rng(seed).random((5, 14)) < 0.4
    matrix[0] = True  # every item has a user
    matrix = matrix.astype(float)

    ease = Ease.fit(interactions_of(matrix), EaseConfig(regularization=regularization))

    np.testing.assert_allclose(ease.weights, direct(matrix, regularization), rtol=1e-4, atol=1e-6)


def test_fit_two_items_equals_arithmetic_by_hand():
    # x has 2 users, y has 1, one of them has both; with λ = 1, G = [[3, 1], [1, 2]], det = 5,
    # P = [[2, -1], [-1, 3]] / 5, and B = -P ÷ diag(P) column by column.
    ease = Ease.fit(
        events(("a", "x", 1), ("a", "y", 2), ("b", "x", 3)),
        EaseConfig(regularization=1, half_life_events=None),
    )

    np.testing.assert_allclose(ease.weights, [[0, 1 / 3], [1 / 2, 0]], rtol=1e-6)
    np.testing.assert_allclose(ease.score(histories([(0, 1)], [(1, 1)])), [[0, 1 / 3], [1 / 2, 0]], rtol=1e-6)


def test_score_older_event_counts_half_after_its_half_life():
    board = checkerboard()
    recent = Ease.fit(board, EaseConfig(regularization=1, half_life_events=1))
    plain = recent.with_half_life(None)

    # 3 stands one event back of 2: half its weight; both of 4 and 5 share the last moment.
    np.testing.assert_allclose(
        recent.score(histories([(3, 1), (2, 2)])),
        0.5 * plain.score(histories([(3, 1)])) + plain.score(histories([(2, 2)])),
        rtol=1e-6,
    )
    np.testing.assert_allclose(
        recent.score(histories([(4, 2), (5, 2)])), plain.score(histories([(4, 2), (5, 2)])), rtol=1e-6
    )


def test_fit_max_items_leaves_out_the_least_chosen():
    board = events(("a", "x", 1), ("b", "x", 2), ("a", "y", 3), ("b", "z", 4), ("c", "z", 5))

    ease = Ease.fit(board, EaseConfig(max_items=2))

    assert ease.modelled.tolist() == [0, 2]
    assert np.isneginf(ease.score(histories([(0, 1)]))[0, 1])


def test_score_history_of_items_left_out_is_zero():
    board = events(("a", "x", 1), ("b", "x", 2), ("a", "y", 3), ("b", "z", 4), ("c", "z", 5))
    ease = Ease.fit(board, EaseConfig(max_items=2))

    assert ease.score(histories([(1, 1)]))[0, [0, 2]].tolist() == [0, 0]


def test_fit_regularization_below_rounding_is_refused_with_its_name():
    # Four users with x and y each: [[4, 4], [4, 4]] + 1e-30 has no inverse.
    twins = events(*((user, item, 1) for user in "abcd" for item in "xy"))

    with pytest.raises(ConfigError) as caught:
        Ease.fit(twins, EaseConfig(regularization=1e-30))

    assert "ease.regularization" in caught.value.problem


@pytest.mark.parametrize("n_users", [1_200, 100], ids=["by items", "by users"])
def test_fit_memory_stays_near_twelve_bytes_per_pair_of_items(n_users):
    n_items = 400
    rng = np.random.default_rng(0)
    matrix = sp.csr_array((rng.random((n_users, n_items)) < 0.02).astype(np.float32))
    solve = _solve_by_items if n_users > n_items else _solve_by_users
    solve(matrix, 100)  # what is loaded once is not counted

    tracemalloc.start()
    try:
        solve(matrix, 100)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 14 * n_items**2


@given(seed=st.integers(0, 2**32 - 1), half_life=st.none() | st.floats(0.5, 9))
def test_summands_of_all_events_add_up_to_the_score(seed, half_life):
    rng = np.random.default_rng(seed)
    board = events(*((f"u{user}", f"i{item}", 1) for user, item in rng.integers(0, 9, (40, 2)).tolist()))
    ease = Ease.fit(board, EaseConfig(regularization=1, half_life_events=half_life, max_items=5))
    asked = histories([(item, 60 * at) for at, item in enumerate(rng.permutation(len(board.items))[:6])])

    summands = ease.summands(asked, np.arange(len(board.items)))

    score = ease.score(asked)[0]
    assert summands.shape == (6, len(board.items))
    np.testing.assert_allclose(summands.sum(axis=0), np.where(np.isfinite(score), score, 0), atol=1e-5)


def test_summands_of_events_from_and_to_items_left_out_are_zero():
    board = events(("a", "x", 1), ("b", "x", 2), ("a", "y", 3), ("b", "z", 4), ("c", "z", 5))
    ease = Ease.fit(board, EaseConfig(max_items=2, half_life_events=None))  # y is left out

    summands = ease.summands(histories([(0, 1), (1, 2)]), np.array([2, 1]))

    assert summands[0, 0] == ease.score(histories([(0, 1)]))[0, 2] > 0
    assert summands[0, 1] == 0
    assert summands[1].tolist() == [0, 0]
