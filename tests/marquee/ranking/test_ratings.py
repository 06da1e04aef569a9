import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from threadpoolctl import threadpool_limits

from marquee.ranking.ratings import RatingModel
from marquee.ranking.ratings_learn import RatingsConfig
from marquee.ranking.ratings_tastes import Tastes
from marquee.ranking.ratings_vectors import Prior, Vectors
from tests.factories import all_histories, events, histories

QUICK = RatingsConfig(factors=3, tastes=2, shrinkage=5.0)
PAIR = np.array([0])


def by_hand(**differences):
    """One factor, no tastes. Item 0: w = 2, c = 0.5; item 1: w = 1, c = -1, nothing uncertain; N(0, I)."""
    known = {
        "items": Vectors(np.array([[2.0, 0.5], [1.0, -1.0]]), np.zeros((2, 2, 2))),
        "user_prior": Prior(np.zeros((1, 2)), np.eye(2)),
        "tastes": Tastes(np.empty((2, 0), np.float32)),
        "noise": 0.5,
        "mean": 3.0,
        "low": 1.0,
        "high": 5.0,
        "rated_above": -np.inf,
    }
    return RatingModel(**known | differences)


def made_table(n_users=100, n_items=50, seed=0):
    """Events of half the pairs: ratings from 1 to 5 in halves by two latent numbers and biases."""
    rng = np.random.default_rng(seed)
    user, item = rng.normal(size=(n_users, 3)), rng.normal(size=(n_items, 3))
    stars = 3 + 0.7 * user[:, :2] @ item[:, :2].T + 0.4 * user[:, 2:] + 0.4 * item[:, 2:].T
    stars = np.clip(np.round(2 * stars) / 2, 1, 5)
    pairs = np.argwhere(rng.random(stars.shape) < 0.5)
    return events(*((f"{u:03}", f"{i:03}", 100 * u + i, stars[u, i]) for u, i in pairs.tolist()))


@pytest.fixture(scope="module")
def made():
    return made_table()


@pytest.fixture(scope="module")
def model(made):
    return RatingModel.fit(made, QUICK, seed=1)


def test_fold_in_solves_for_the_user():
    # Item 0 rated 5: 5 - 3 - 0.5 = 1.5 = 2 z + b; left [[9, 4], [4, 3]], right (6, 3), determinant 11.
    asked = histories([(0, 1, 5.0)], [])

    np.testing.assert_allclose(by_hand().fold_in(asked), [[6 / 11, 3 / 11], [0, 0]])


def test_predict_is_mean_and_biases_and_product():
    asked = histories([(0, 1, 5.0)], [])

    found = by_hand().predict(asked, np.array([1, 0, 1]), np.array([0, 1, 1]))

    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [3 + 0.5, 3 + 6 / 11 + 3 / 11 - 1, 3 - 1], rtol=1e-6)


def test_predict_expects_of_a_taste_what_the_prior_says():
    # A choice of item 1 is a taste of 2, from which z = 3 · 2 is expected and b = 0.1 · 2.
    tastes = Tastes(np.array([[0.0], [2.0]], np.float32))
    prior = Prior(np.array([[0.0, 0.0], [3.0, 0.1]]), np.eye(2))
    unrated = histories([(1, 1)])

    fitted = by_hand(user_prior=prior, tastes=tastes, high=100.0)

    np.testing.assert_allclose(fitted.predict(unrated, PAIR, np.array([0])), [3 + 6 * 2 + 0.2 + 0.5])


def test_predict_stays_on_the_scale():
    loved, hated = [(0, 1, 5.0), (1, 2, 5.0)], [(0, 1, 1.0), (1, 2, 1.0)]

    found = by_hand(low=2.5, high=3.5).predict(histories(loved, hated), np.array([0, 1]), np.array([0, 0]))

    assert found.tolist() == [3.5, 2.5]


def test_predict_takes_no_fraction_watched_for_stars():
    viewed = histories([(0, 1, 1.0), (1, 2, 0.3)], [])

    stars = by_hand(rated_above=1.0).predict(viewed, np.array([0, 1]), np.array([0, 0]))

    assert stars[0] == stars[1]
    assert by_hand().predict(viewed, PAIR, PAIR)[0] < stars[0]  # where all values are ratings it is one star


def test_predict_no_pairs_and_no_queries_are_empty():
    assert by_hand().predict(histories(), np.empty(0, int), np.empty(0, int)).shape == (0,)
    assert by_hand().predict(histories([]), np.empty(0, int), np.empty(0, int)).shape == (0,)


def test_fit_predicts_held_out_ratings_better_than_biases_can():
    table = made_table(seed=3)
    is_test = np.random.default_rng(0).random(len(table)) < 0.2
    train, test = table.take(~is_test), table.take(is_test)

    fitted = RatingModel.fit(train, QUICK, seed=1)
    error = fitted.predict(all_histories(train), test.user_index, test.item_index) - test.value

    # Rounding to halves alone costs 0.5 ÷ √12 = 0.14; without the product 0.7 √2 ≈ 1 remains.
    assert np.sqrt(np.mean(error**2)) < 0.4


def test_fit_user_that_it_never_saw_is_personal_by_history_alone(made):
    is_known = made.user_index < 90
    fitted = RatingModel.fit(made.take(is_known), QUICK, seed=1)
    new = made.take(~is_known)
    is_asked = np.arange(len(new)) % 4 == 0
    asked = all_histories(new.take(~is_asked))
    test = new.take(is_asked)

    error = fitted.predict(asked, test.user_index, test.item_index) - test.value

    assert np.sqrt(np.mean(error**2)) < 0.5


def test_fit_without_ratings_has_nothing():
    views = events(("a", "x", 1, 0.9, "view"), ("b", "x", 2, None, "like"))

    assert RatingModel.fit(views, QUICK, seed=0) is None
    assert RatingModel.fit(views.take(np.empty(0, int)), QUICK, seed=0) is None


def test_fit_takes_the_scale_of_ratings_and_not_of_views():
    mixed = events(("a", "x", 1, 2.0), ("b", "x", 2, 4.5), ("b", "y", 3, 0.1, "view"))

    fitted = RatingModel.fit(mixed, QUICK, seed=0)

    assert (fitted.low, fitted.high, fitted.mean) == (2.0, 4.5, (2 + 4.5) / 2)
    assert fitted.rated_above == 1


def test_fit_only_ratings_takes_every_value_for_one(model):
    assert model.rated_above == -np.inf


def test_fit_newest_rating_of_a_pair_counts():
    again = events(("a", "x", 1, 1.0), ("a", "x", 8, 5.0), ("b", "x", 2, 4.0), ("c", "x", 9, 3.0))
    once = events(("a", "x", 8, 5.0), ("b", "x", 2, 4.0), ("c", "x", 9, 3.0))

    assert RatingModel.fit(again, QUICK, seed=0).mean == (5 + 4 + 3) / 3
    for name, array in RatingModel.fit(again, QUICK, seed=0).arrays().items():
        np.testing.assert_array_equal(array, RatingModel.fit(once, QUICK, seed=0).arrays()[name])


def test_fit_passes_over_impressions():
    seen = events(("a", "x", 1, 2.0), ("b", "y", 2, 4.0), ("a", "y", 3, None, "impression"))
    unseen = events(("a", "x", 1, 2.0), ("b", "y", 2, 4.0))

    for name, array in RatingModel.fit(seen, QUICK, seed=0).arrays().items():
        np.testing.assert_array_equal(array, RatingModel.fit(unseen, QUICK, seed=0).arrays()[name])


def test_fit_item_without_ratings_has_a_prediction():
    table = events(*((user, item, 1, 4.0) for user in "abc" for item in "wx"), items=["z"])

    found = RatingModel.fit(table, QUICK, seed=0).predict(histories([]), PAIR, np.array([2]))

    assert found.tolist() == [4.0]  # all that is known of the scale


@pytest.mark.parametrize("knobs", [{}, {"tastes": 0}, {"iterations": 1}, {"factors": 100, "iterations": 2}])
def test_fit_of_one_rating_predicts_it(knobs):
    fitted = RatingModel.fit(events(("a", "x", 1, 3.5)), RatingsConfig(**knobs), seed=0)

    assert fitted.predict(histories([(0, 1, 3.5)]), PAIR, PAIR).tolist() == [3.5]


def test_fit_is_the_same_whatever_the_threads():
    table = made_table(2_000, 60)  # large enough for BLAS to share the work out
    config = RatingsConfig(iterations=2)

    fitted = []
    for threads in (1, 2):
        with threadpool_limits(threads, "blas"):
            fitted.append(RatingModel.fit(table, config, seed=4).arrays())

    one, two = fitted
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_fit_is_of_its_seed(made, model):
    again, other = (RatingModel.fit(made, QUICK, seed=seed).items.mean for seed in (1, 2))

    assert np.array_equal(again, model.items.mean)
    assert not np.array_equal(other, model.items.mean)


def test_from_arrays_predicts_alike_to_the_bit(made, model, tmp_path):
    np.savez(tmp_path / "model.npz", **model.arrays())
    with np.load(tmp_path / "model.npz", allow_pickle=False) as stored:
        read = RatingModel.from_arrays(dict(stored))

    asked = all_histories(made), made.user_index, made.item_index
    assert np.array_equal(read.predict(*asked), model.predict(*asked))
    assert all(np.array_equal(read.arrays()[name], array) for name, array in model.arrays().items())


def test_predict_many_at_once_is_one_by_one(made, model):
    asked = all_histories(made)
    item = np.arange(len(made.items))

    together = model.predict(asked, np.repeat([5, 70], len(item)), np.tile(item, 2))
    alone = [model.predict(asked.take(np.array([user])), np.zeros_like(item), item) for user in (5, 70)]

    assert np.array_equal(together, np.concatenate(alone))


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(8)))
def test_fold_in_does_not_depend_on_the_order_of_events(model, order):
    rated = [(item, 1, 1.0 + item % 5) for item in range(8)]

    ordered, mixed = histories(rated), histories([rated[at] for at in order])

    np.testing.assert_allclose(model.fold_in(mixed), model.fold_in(ordered), rtol=1e-9, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcd"),
            st.sampled_from("wxyz"),
            st.integers(1, 50),
            st.one_of(st.none(), st.floats(0.5, 10, width=32)),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_predict_is_finite_and_on_the_scale_whatever_was_rated(rows):
    table = events(*((*row, "view" if row[3] is None else "rating") for row in rows))
    fitted = RatingModel.fit(table, RatingsConfig(factors=2, tastes=3, iterations=4), seed=0)
    stars = table.value[np.isfinite(table.value)]
    if fitted is None:
        assert not len(stars)
        return

    user, item = np.indices((len(table.users), len(table.items)))
    found = fitted.predict(all_histories(table), user.ravel(), item.ravel())

    assert (found >= stars.min()).all()
    assert (found <= stars.max()).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 49), st.integers(0, 49))
def test_predict_more_stars_for_an_item_mean_more_for_itself(model, item, other):
    rated = [(other, 1, 3.0)] if other != item else []

    low, high = (model.fold_in(histories([*rated, (item, 2, stars)]))[0] for stars in (2.0, 4.0))

    own = np.append(model.items.mean[item, :-1], 1)
    assert high @ own > low @ own


@pytest.mark.parametrize("wrong", [{"factors": 101}, {"factors": 0}, {"shrinkage": 0}, {"epochs": 3}])
def test_config_refuses_what_is_out_of_range_or_unknown(wrong):
    with pytest.raises(ValidationError):
        RatingsConfig(**wrong)
