import tracemalloc
import warnings

import implicit.utils
import numpy as np
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse
from threadpoolctl import threadpool_info, threadpool_limits

from marquee.candidates.als import AlsConfig, ImplicitAls
from marquee.errors import ConfigError
from tests.conformance import RouteConformance
from tests.factories import all_histories, checkerboard, histories


class TestImplicitAls(RouteConformance):
    def fit(self, interactions, seed):
        return ImplicitAls.fit(
            interactions, AlsConfig(factors=2, iterations=15, regularization=0.1), seed=seed
        )


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


def test_fold_in_memory_does_not_grow_with_queries_times_factors_squared():
    n_queries, n_factors = 500, 100
    als = ImplicitAls(
        item_factors=np.eye(n_factors, dtype=np.float32),
        known=np.ones(n_factors, bool),
        regularization=0.1,
        confidence=1.0,
        half_life_events=None,
    )
    asked = histories(*([(query % n_factors, 1)] for query in range(n_queries)))

    tracemalloc.start()
    try:
        vectors = als.fold_in(asked)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    # Chosen: (1 + α) / (1 + λ + α) = 2 / 2.1 in the chosen direction, nothing elsewhere.
    np.testing.assert_allclose(vectors[7], 2 / 2.1 * np.eye(n_factors)[7], atol=1e-6)
    assert peak < n_queries * n_factors**2 * 8 / 10


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_fit_without_a_solution_names_its_knobs():
    with pytest.raises(ConfigError) as caught:
        ImplicitAls.fit(checkerboard(), AlsConfig(factors=2, confidence=1e300), seed=1)

    assert "routes.als" in caught.value.problem
    assert "1e+300" in caught.value.problem
