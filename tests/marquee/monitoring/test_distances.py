import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

from marquee.monitoring import distances

counts = (
    st.lists(st.integers(0, 50), min_size=3, max_size=3).filter(any).map(lambda each: np.array(each, float))
)


def numbers(*values: float) -> np.ndarray:
    return np.array(values, np.float64)


def test_wasserstein_is_the_mean_move_in_deviations_of_the_reference():
    there = numbers(0, 2, 4, 6)  # deviation √5

    assert distances.wasserstein(there, there + 1) == pytest.approx(1 / math.sqrt(5))


def test_wasserstein_against_a_constant_divides_by_the_least_scale():
    assert distances.wasserstein(numbers(3, 3), numbers(4, 4)) == pytest.approx(1 / 1e-3)


def test_wasserstein_of_counts_is_that_of_the_samples():
    support, there, here = numbers(1, 2, 5), numbers(2, 0, 1), numbers(0, 3, 1)

    found = distances.wasserstein_of_counts(support, there, here)

    assert found == pytest.approx(distances.wasserstein(numbers(1, 1, 5), numbers(2, 2, 2, 5)))


@pytest.mark.parametrize("empty", [numbers(), numbers(math.nan)])
def test_distance_to_nothing_is_unknown(empty: np.ndarray):
    assert math.isnan(distances.wasserstein(numbers(1, 2), empty))
    assert math.isnan(distances.psi_of_numbers(numbers(1, 2), empty))
    assert math.isnan(distances.welch_t(numbers(1, 2), empty))
    assert math.isnan(distances.psi(numbers(1, 2), numbers(0, 0)))
    assert math.isnan(distances.chi_square(numbers(1, 2), numbers(0, 0)))


def test_psi_is_the_sum_over_bins():
    expected = (0.2 - 0.5) * math.log(0.2 / 0.5) + (0.8 - 0.5) * math.log(0.8 / 0.5)

    assert distances.psi(numbers(5, 5), numbers(2, 8)) == pytest.approx(expected)


def test_psi_counts_an_empty_bin_as_a_ten_thousandth():
    expected = (1e-4 - 0.5) * math.log(1e-4 / 0.5) + (1 - 0.5) * math.log(1 / 0.5)

    assert distances.psi(numbers(5, 5), numbers(0, 8)) == pytest.approx(expected)


def test_psi_of_numbers_takes_the_reference_s_quantiles_so_that_an_outlier_hides_nothing():
    rng = np.random.default_rng(0)
    there = rng.normal(0, 1, 2000)
    moved = np.append(rng.normal(1, 1, 2000), 1e6)

    assert distances.psi_of_numbers(there, moved) > 0.5


def test_psi_of_a_constant_reference_sees_who_is_on_its_other_side():
    assert distances.psi_of_numbers(numbers(3, 3, 3), numbers(3, 3, 3)) == 0
    assert distances.psi_of_numbers(numbers(3, 3, 3), numbers(1, 1, 1)) > 1


@given(counts, counts)
def test_jensen_shannon_is_scipy_s_and_at_most_the_root_of_ln_2(there: np.ndarray, here: np.ndarray):
    found = distances.jensen_shannon(there, here)

    assert found == pytest.approx(float(np.nan_to_num(distance.jensenshannon(there, here))), abs=1e-7)
    assert 0 <= found <= math.sqrt(math.log(2)) + 1e-12
    assert found == pytest.approx(distances.jensen_shannon(here, there), abs=1e-9)


@given(counts, counts)
def test_psi_is_not_negative_and_zero_for_equal_shares(there: np.ndarray, here: np.ndarray):
    assert distances.psi(there, here) >= -1e-12
    assert distances.psi(there, 3 * there) == pytest.approx(0)


def test_kolmogorov_smirnov_of_disjoint_samples_of_three_is_one_in_ten():
    # 2 of the 6-choose-3 = 20 ways to deal six numbers into two hands of three keep them apart
    assert distances.kolmogorov_smirnov(numbers(1, 2, 3), numbers(4, 5, 6)) == pytest.approx(2 / 20)


def test_chi_square_takes_both_for_samples():
    # 30:20 against 20:30, expected 25 each: 4 · 5² / 25 = 4, one degree of freedom
    assert distances.chi_square(numbers(30, 20), numbers(20, 30)) == pytest.approx(stats.chi2.sf(4, 1))


def test_chi_square_leaves_out_categories_that_neither_has():
    with_empty = distances.chi_square(numbers(30, 0, 20), numbers(20, 0, 30))

    assert with_empty == distances.chi_square(numbers(30, 20), numbers(20, 30))


def test_welch_t_has_the_sign_of_a_fall():
    # means 4 and 1, variances 2 over 2 users each: 3 / √(2/2 + 2/2)
    assert distances.welch_t(numbers(3, 5), numbers(0, 2)) == pytest.approx(3 / math.sqrt(2))
    assert distances.welch_t(numbers(0, 2), numbers(3, 5)) == pytest.approx(-3 / math.sqrt(2))


def test_welch_t_of_constants_is_zero_or_beyond_all_bounds():
    assert distances.welch_t(numbers(1, 1), numbers(1, 1)) == 0
    assert distances.welch_t(numbers(2, 2), numbers(1, 1)) == math.inf
