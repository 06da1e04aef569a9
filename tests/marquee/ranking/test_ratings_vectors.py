import numpy as np
import scipy.sparse as sp

from marquee.ranking.ratings_vectors import Evidence, HalfDesign, Prior, Vectors

ONE = Vectors(np.array([[2.0, 0.5]]), np.zeros((1, 2, 2)))  # w = 2, c = 0.5, both certain


def one_rating(residual):
    return sp.csr_array([[1.0]]), sp.csr_array([[residual]])


def test_design_puts_the_constant_before_the_bias():
    design = ONE.design()

    assert design.mean.tolist() == [[2, 1, 0.5]]
    assert design.moment.reshape(3, 3).tolist() == [[4, 2, 1], [2, 1, 0.5], [1, 0.5, 0.25]]


def test_design_of_uncertain_vector_adds_its_covariance_and_none_to_the_constant():
    uncertain = Vectors(ONE.mean, np.array([[[1.0, 0.25], [0.25, 3.0]]]))

    added = (uncertain.design().moment - ONE.design().moment).reshape(3, 3)

    assert added.tolist() == [[1, 0, 0.25], [0, 0, 0], [0.25, 0, 3]]


def test_solve_is_the_posterior_of_a_regression():
    # 2 - c = 1.5 = 2 z + b, noise 0.5, prior N(0, I):
    # left = (2, 1)(2, 1)ᵀ / 0.5 + I = [[9, 4], [4, 3]], right = 1.5 (2, 1) / 0.5 = (6, 3), determinant 11
    evidence = Evidence.of(*one_rating(2.0), ONE.design())

    found = evidence.solve(np.zeros((1, 2)), np.eye(2), 0.5)

    np.testing.assert_allclose(found.mean, [[6 / 11, 3 / 11]])
    np.testing.assert_allclose(found.covariance, [[[3 / 11, -4 / 11], [-4 / 11, 9 / 11]]])


def test_solve_with_a_prior_mean_and_no_rating_is_the_prior():
    nothing = sp.csr_array((1, 1))
    evidence = Evidence.of(nothing, nothing, ONE.design())
    precision = np.array([[2.0, 1.0], [1.0, 2.0]])

    found = evidence.solve(np.array([[0.3, -0.4]]), precision, 0.5)

    np.testing.assert_allclose(found.mean, [[0.3, -0.4]])
    np.testing.assert_allclose(found.covariance[0], np.array([[2, -1], [-1, 2]]) / 3)


def test_solve_trusts_an_uncertain_item_less():
    # With variance 1 of w and covariance 0.25 of w and c: left = [[(4 + 1) / 0.5 + 1, 4], [4, 3]],
    # right = ((2 · 1.5 - 0.25) / 0.5, 3) = (5.5, 3), determinant 17
    uncertain = Vectors(ONE.mean, np.array([[[1.0, 0.25], [0.25, 3.0]]]))
    evidence = Evidence.of(*one_rating(2.0), uncertain.design())

    found = evidence.solve(np.zeros((1, 2)), np.eye(2), 0.5)

    np.testing.assert_allclose(found.mean, [[(5.5 * 3 - 4 * 3) / 17, (11 * 3 - 4 * 5.5) / 17]])


def test_solve_mean_is_the_mean_of_solve():
    rng = np.random.default_rng(0)
    items = Vectors(rng.normal(size=(6, 4)), np.tile(0.1 * np.eye(4), (6, 1, 1)))
    rated = sp.csr_array((rng.random((5, 6)) < 0.5).astype(float))
    evidence = Evidence.of(rated, rated * rng.normal(size=(5, 6)), items.design())
    prior = rng.normal(size=(5, 4)), 3 * np.eye(4), 0.7

    np.testing.assert_allclose(evidence.solve_mean(*prior), evidence.solve(*prior).mean)


def test_half_of_a_design_is_the_upper_triangles():
    half = HalfDesign.of(ONE.design())

    assert half.half.tolist() == [[4, 2, 1, 1, 0.5, 0.25]]
    assert half.place.reshape(3, 3).tolist() == [[0, 1, 2], [1, 3, 4], [2, 4, 5]]
    assert half.half.flags.c_contiguous  # or each product would copy it


def test_evidence_of_half_a_design_is_that_of_the_whole():
    rng = np.random.default_rng(0)
    factor = rng.normal(size=(6, 4, 4))
    design = Vectors(rng.normal(size=(6, 4)), factor @ factor.transpose(0, 2, 1)).design()
    rated = sp.csr_array((rng.random((5, 6)) < 0.5).astype(float))
    residual = rated * rng.normal(size=(5, 6))

    whole, half = Evidence.of(rated, residual, design), HalfDesign.of(design).evidence(rated, residual)

    np.testing.assert_array_equal(half.moment, whole.moment)
    np.testing.assert_array_equal(half.product, whole.product)


def test_means_are_linear_in_features():
    prior = Prior(weights=np.array([[1.0, 2.0], [10.0, 0.0]]), precision=np.eye(2))

    assert prior.means(np.array([[1.0, 0.0], [1.0, 3.0]])).tolist() == [[1, 2], [31, 2]]
