import numpy as np
import pytest
import scipy.sparse as sp

from marquee.ranking.ratings_tastes import FARTHEST, Tastes


def two_groups(n=12):
    """Users choose the items of their own parity, all but one; and item 0, which everybody knows."""
    user, item = np.indices((n, n))
    return sp.csr_array((((user + item) % 2 == 0) & ((user + 2) % n != item) | (item == 0)).astype(float))


def fitted(chosen, n_tastes, seed=0):
    return Tastes.fit(chosen, n_tastes, np.random.default_rng(seed))


def test_of_users_first_direction_tells_the_groups_apart():
    chosen = two_groups()

    place = fitted(chosen, 1)[0].of_users(chosen)[:, 1]

    assert set(np.sign(place[::2])) == {np.sign(place[0])}
    assert set(np.sign(place[1::2])) == {-np.sign(place[0])}


def test_fit_items_lie_where_their_users_do():
    chosen = two_groups()

    tastes, features = fitted(chosen, 1)

    of_user, of_item = tastes.of_users(chosen)[:, 1], features[:, 2]
    assert (np.sign(of_item[1:]) == np.sign(of_user[1:])).all()
    assert abs(of_item[0]) < abs(of_item[1:]).min()  # everybody's


def test_fit_spread_of_places_is_one():
    chosen = two_groups()

    tastes, features = fitted(chosen, 2)

    np.testing.assert_allclose((tastes.of_users(chosen)[:, 1:] ** 2).mean(axis=0), 1, rtol=1e-5)
    np.testing.assert_allclose((features[:, 2:] ** 2).mean(axis=0), 1, rtol=1e-5)


def test_fit_log_of_number_is_that_of_choices_from_the_mean():
    chosen = sp.csr_array(np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))

    _, features = fitted(chosen, 0)

    mean = (np.log(4) + np.log(2)) / 2  # of the items that were chosen at all
    np.testing.assert_allclose(features, [[1, np.log(4) - mean], [1, np.log(2) - mean], [1, -mean]])


def test_of_users_without_choices_are_of_no_taste():
    tastes, _ = fitted(two_groups(), 3)

    features = tastes.of_users(sp.csr_array((2, 12)))

    assert features.tolist() == [[1, 0, 0, 0], [1, 0, 0, 0]]


def test_of_users_far_out_are_cut():
    tastes = Tastes(np.array([[100.0], [-100.0]], np.float32))

    assert tastes.of_users(sp.csr_array(np.eye(2))).tolist() == [[1, FARTHEST], [1, -FARTHEST]]


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (2, 2), (3, 3)])
def test_fit_of_few_has_fewer_directions(shape):
    chosen = sp.csr_array(np.ones(shape))  # all alike: nothing beyond the first direction

    tastes, features = fitted(chosen, 20)

    assert tastes.of_users(chosen).shape == (shape[0], 1)
    assert features.shape == (shape[1], 2)
    assert np.isfinite(features).all()


def test_fit_is_of_its_seed_even_where_singular_values_repeat():
    one, again, other = (fitted(two_groups(), 4, seed)[0].from_item for seed in (1, 1, 2))

    assert np.array_equal(one, again)
    assert not np.allclose(one, other)  # within a repeated value any rotation is as good


def test_fit_directions_are_those_of_the_dense_decomposition():
    chosen = sp.csr_array((np.random.default_rng(5).random((60, 40)) < 0.3).astype(float))
    scaled = chosen.toarray() / np.sqrt(np.outer(chosen.sum(axis=1), chosen.sum(axis=0)))

    _, features = fitted(chosen, 3)

    expected = np.linalg.svd(scaled).Vh[1:4].T * np.sqrt(40)
    likeness = np.abs((features[:, 2:] * expected).mean(axis=0))
    np.testing.assert_allclose(likeness, 1, atol=0.02)
