import numpy as np
import pytest
import scipy.sparse as sp

from marquee.ranking import ratings_learn
from marquee.ranking.ratings_learn import PriorSums, Ratings, RatingsConfig, learn
from marquee.ranking.ratings_vectors import Vectors

NOISE = 0.3


def made(n_users=150, n_items=80, seed=0):
    """Ratings of half the pairs by two latent numbers, biases and noise."""
    rng = np.random.default_rng(seed)
    user, item = rng.normal(size=(n_users, 3)), rng.normal(size=(n_items, 3))
    truth = user[:, :2] @ item[:, :2].T + 0.5 * user[:, 2:] + 0.5 * item[:, 2:].T
    is_rated = rng.random(truth.shape) < 0.5
    residual = truth + rng.normal(0, NOISE, truth.shape)
    ones = np.ones((n_users, 1)), np.ones((n_items, 1))
    return Ratings(sp.csr_array(is_rated.astype(float)), sp.csr_array(residual * is_rated), *ones)


def learned(ratings, factors=4, iterations=25, seed=1):
    config = RatingsConfig(factors=factors, iterations=iterations, shrinkage=1.0)
    return learn(ratings, config, np.random.default_rng(seed))


def test_learn_finds_the_noise():
    assert learned(made()).noise == pytest.approx(NOISE**2, rel=0.1)


def test_learn_leaves_factors_that_nothing_needs_without_variance():
    items = learned(made(), factors=6).items.mean[:, :-1]
    prior = np.linalg.svd(items - items.mean(axis=0), compute_uv=False)

    assert prior[1] > 10 * prior[2]  # two were put in


def test_learn_in_blocks_of_users_is_the_same(monkeypatch):
    whole = learned(made(), iterations=3)
    monkeypatch.setattr(ratings_learn, "BLOCK_NUMBERS", 7 * (4 + 2) ** 2)

    blocks = learned(made(), iterations=3)

    np.testing.assert_allclose(blocks.items.mean, whole.items.mean, rtol=1e-8)
    assert blocks.noise == pytest.approx(whole.noise)


def test_learn_item_of_few_ratings_is_less_certain():
    ratings = made()
    few = np.ones(80)
    few[0] = 0
    thinned = sp.csr_array(ratings.rated * few), sp.csr_array(ratings.residual * few)
    ratings = Ratings(
        *(part.tolil().tocsr() for part in thinned), ratings.user_features, ratings.item_features
    )

    certainty = learned(ratings).items.covariance[:, -1, -1]

    assert certainty[0] > 5 * certainty[1:].max()


def test_learn_without_noise_keeps_some():
    rng = np.random.default_rng(0)
    residual = rng.normal(size=(60, 1)) @ rng.normal(size=(1, 40))
    ratings = Ratings(
        sp.csr_array(np.ones((60, 40))), sp.csr_array(residual), np.ones((60, 1)), np.ones((40, 1))
    )

    noise = learned(ratings, factors=2).noise

    assert noise == pytest.approx(ratings_learn.FLOOR * np.mean(residual**2))


def test_learn_of_ratings_all_alike_stays_finite():
    rated = sp.csr_array(np.ones((4, 3)))

    found = learned(Ratings(rated, rated * 0.0, np.ones((4, 1)), np.ones((3, 1))))

    assert np.isfinite(found.items.mean).all()
    assert abs(found.items.mean[:, -1]).max() < 0.01


def test_prior_sums_without_features_are_mean_and_covariance():
    vectors = Vectors(np.array([[1.0, 0.0], [3.0, 4.0]]), np.array([np.diag([1.0, 2.0])] * 2))

    prior = PriorSums.of(np.ones((2, 1)), vectors).prior(9.0, floor=0.5)

    assert prior.weights.tolist() == [[2, 2]]
    # Of the means: variances 1 and 4, covariance 2; to them the uncertainty and the floor are added.
    np.testing.assert_allclose(np.linalg.inv(prior.precision), [[1 + 1 + 0.5, 2], [2, 4 + 2 + 0.5]])


def test_prior_sums_shrink_all_weights_but_the_first():
    # Feature -1 and 1, number 0 and 2: slope Σfv ÷ (Σff + shrinkage) = 2 ÷ (2 + 2); the mean stays.
    features = np.array([[1.0, -1.0], [1.0, 1.0]])

    prior = PriorSums.of(features, Vectors(np.array([[0.0], [2.0]]), np.zeros((2, 1, 1)))).prior(
        2.0, floor=0.1
    )

    np.testing.assert_allclose(prior.weights, [[1], [0.5]])
    np.testing.assert_allclose(1 / prior.precision, [[0.5**2 + 0.1]])


def test_prior_sums_of_parts_add_up():
    rng = np.random.default_rng(0)
    features, mean = rng.normal(size=(6, 2)), rng.normal(size=(6, 3))
    parts = [PriorSums.of(features[rows], Vectors(mean[rows], np.tile(np.eye(3), (3, 1, 1)))) for rows in
             (slice(3), slice(3, 6))]  # fmt: skip

    whole = PriorSums.of(features, Vectors(mean, np.tile(np.eye(3), (6, 1, 1))))

    joined = parts[0] + parts[1]
    assert joined.n == 6
    np.testing.assert_allclose(joined.moment, whole.moment)
    np.testing.assert_allclose(joined.crossed, whole.crossed)
    np.testing.assert_allclose(joined.features, whole.features)
