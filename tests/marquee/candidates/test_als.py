import warnings

import implicit.utils
import numpy as np
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse
from threadpoolctl import threadpool_info, threadpool_limits

from marquee.candidates.als import AlsConfig, ImplicitAls
from tests.conformance import RouteConformance
from tests.factories import all_histories, checkerboard, histories


class TestImplicitAls(RouteConformance):
    def fit(self, interactions, seed):
        return ImplicitAls.fit(interactions, AlsConfig(factors=2, iterations=15), seed=seed)


@pytest.fixture(scope="module")
def als():
    return ImplicitAls.fit(checkerboard(), AlsConfig(factors=3, half_life_events=None), seed=1)


def test_fold_in_whole_history_is_what_implicit_itself_calculates(als):
    board = checkerboard()
    theirs = AlternatingLeastSquares(factors=3, regularization=als.regularization)
    theirs.item_factors = als.item_factors
    confidence = np.full(len(board), 1 + als.confidence, np.float32)
    matrix = sparse.csr_matrix((confidence, (board.user_index, board.item_index)), shape=(8, 8))

    with threadpool_limits(1, "blas"):
        expected = theirs.recalculate_user(np.arange(8), matrix)

    np.testing.assert_allclose(als.fold_in(all_histories(board)), expected, rtol=1e-3, atol=1e-4)


def test_fold_in_solves_the_normal_equations():
    # One factor: Y = (1, 2), λ = 0.5, α = 3, half-life of one event. History: item 0, then item 1.
    # left  = YᵀY + λ + α (0.5·1² + 1·2²) = 5 + 0.5 + 13.5 = 19
    # right = (1 + α) (0.5·1 + 1·2) = 10
    als = ImplicitAls(
        item_factors=np.array([[1], [2]], np.float32),
        known=np.array([True, True]),
        regularization=0.5,
        confidence=3.0,
        half_life_events=1.0,
    )

    asked = histories([(0, 1), (1, 2)], ())

    np.testing.assert_allclose(als.fold_in(asked), [[10 / 19], [0]], rtol=1e-6)
    np.testing.assert_allclose(als.score(asked), [[10 / 19, 20 / 19], [0, 0]], rtol=1e-6)


def test_similar_is_the_cosine_of_factors():
    als = ImplicitAls(
        item_factors=np.array([[3, 4], [4, 3], [0, 2], [-3, -4]], np.float32),
        known=np.array([True, True, True, True]),
        regularization=1.0,
        confidence=1.0,
        half_life_events=None,
    )

    np.testing.assert_allclose(als.similar(0), [-np.inf, 24 / 25, 8 / 10, -1], rtol=1e-6)


def test_fit_other_seed_gives_other_factors():
    board, config = checkerboard(), AlsConfig(factors=3, iterations=1)

    one, other = (ImplicitAls.fit(board, config, seed=seed).item_factors for seed in (1, 2))

    assert not np.array_equal(one, other)


def test_fit_leaves_no_warning_and_no_limit_on_threads(monkeypatch):
    # implicit warns once a process, of more than one BLAS thread: make it look again, and find two.
    monkeypatch.setattr(implicit.utils, "_checked_blas_config", False)

    with threadpool_limits(2, "blas"), warnings.catch_warnings():
        warnings.simplefilter("error")
        before = [pool["num_threads"] for pool in threadpool_info()]
        ImplicitAls.fit(checkerboard(), AlsConfig(factors=2, iterations=1), seed=0)
        after = [pool["num_threads"] for pool in threadpool_info()]

    assert after == before
    assert 2 in after
