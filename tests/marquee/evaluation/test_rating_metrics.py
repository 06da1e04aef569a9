import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.evaluation.rating_metrics import METRICS, mae, r2, rating_metrics, rmse, within

GIVEN = np.array([1.0, 2.0, 4.0, 5.0])
PREDICTED = np.array([1.0, 2.5, 3.0, 2.0])  # errors 0, 0.5, 1, 3


def test_rmse_is_the_root_of_the_mean_square():
    assert rmse(PREDICTED, GIVEN) == pytest.approx(((0 + 0.25 + 1 + 9) / 4) ** 0.5)


def test_mae_is_the_mean_distance():
    assert mae(PREDICTED, GIVEN) == pytest.approx((0 + 0.5 + 1 + 3) / 4)


def test_r2_is_the_explained_share_of_the_variance():
    # The mean is 3, so that the spread is 4 + 1 + 1 + 4.
    assert r2(PREDICTED, GIVEN) == pytest.approx(1 - 10.25 / 10)


def test_r2_of_the_mean_is_nothing_and_of_the_truth_all():
    assert r2(np.full(4, 3.0), GIVEN) == pytest.approx(0)
    assert r2(GIVEN, GIVEN) == 1


def test_r2_of_ratings_that_are_all_alike_is_not_defined():
    assert np.isnan(r2(np.array([1.0, 3.0]), np.array([2.0, 2.0])))


@pytest.mark.parametrize(("stars", "share"), [(0.49, 1 / 4), (0.5, 2 / 4), (1.0, 3 / 4), (3.0, 1)])
def test_within_counts_errors_on_the_bound(stars, share):
    assert within(stars)(PREDICTED, GIVEN) == share


def test_rating_metrics_names_all_of_them():
    found = rating_metrics(PREDICTED.astype(np.float32), GIVEN.astype(np.float32))

    assert list(found) == list(METRICS) == ["rmse", "mae", "r2", "within_0.5", "within_1.0"]
    assert found["within_0.5"] == 2 / 4
    assert found["within_1.0"] == 3 / 4
    assert found["mae"] == pytest.approx(4.5 / 4)


@given(st.lists(st.tuples(st.floats(1, 5), st.floats(1, 5)), min_size=1))
def test_rating_metrics_of_one_scale_are_bounded_and_in_order(pairs):
    predicted, stars = np.array(pairs).T

    found = rating_metrics(predicted, stars)

    assert 0 <= found["mae"] <= found["rmse"] * (1 + 1e-12) <= 4 * (1 + 1e-12)
    assert 0 <= found["within_0.5"] <= found["within_1.0"] <= 1
    assert np.isnan(found["r2"]) or found["r2"] <= 1


@pytest.mark.parametrize(
    ("predicted", "stars", "says"),
    [
        ([1.0, 2.0], [1.0], "aligned"),
        ([[1.0]], [[1.0]], "aligned"),
        ([], [], "no rating"),
        ([np.nan, 1.0], [1.0, 1.0], "finite"),
        ([1.0], [np.inf], "finite"),
    ],
)
def test_rating_metrics_refuses_what_has_no_error(predicted, stars, says):
    with pytest.raises(ValueError, match=says):
        rating_metrics(np.array(predicted), np.array(stars))
