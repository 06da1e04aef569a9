import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from marquee.monitoring.canary_bounds import (
    above,
    difference,
    quantile,
    share,
    total_variation,
    value_above_which,
)
from marquee.monitoring.canary_counts import Histogram

counts = st.lists(st.integers(0, 1_000), min_size=4, max_size=4)


def histogram(*each: float) -> Histogram:
    return Histogram(bounds=(0.01, 0.02, 0.04), counts=each)


@given(st.integers(1, 5_000), st.data())
def test_share_limits_equal_those_of_scipy(n: int, data: st.DataObject):
    count = data.draw(st.integers(0, n))

    found = share(count, n, alpha=0.01)

    independent = binomtest(count, n).proportion_ci(0.98, method="exact")
    assert found == pytest.approx((independent.low, count / n, independent.high))


def test_share_of_three_errors_in_three_requests_says_little():
    assert share(3, 3, alpha=0.001).low == pytest.approx(0.001 ** (1 / 3))


def test_share_without_requests_is_unknown():
    assert share(0, 0, alpha=0.01) == (0, 0, 1)


def test_difference_of_equal_shares_is_zero_and_symmetric():
    one = share(50, 1_000, alpha=0.05)

    found = difference(one, one)

    assert found.estimate == 0
    assert found.low == -found.high == -math.hypot(one.estimate - one.low, one.high - one.estimate)


@pytest.mark.parametrize(("n_canary", "n_champion"), [(300, 30_000), (1_000, 1_000)])
def test_difference_bound_is_beyond_the_truth_as_seldom_as_it_says(n_canary: int, n_champion: int):
    rng = np.random.default_rng(5)
    alpha, runs = 0.01, 3_000

    wrong = sum(
        difference(
            share(rng.binomial(n_canary, 0.006), n_canary, alpha=alpha),
            share(rng.binomial(n_champion, 0.001), n_champion, alpha=alpha),
        ).low
        > 0.005
        for _ in range(runs)
    )

    assert wrong <= alpha * runs  # 30; exact limits leave room


def test_above_inside_a_bucket_follows_a_power_of_the_value():
    # 100 above 10 ms, 25 above 20 ms: the tail falls with the square, so 1.5 times leaves 100 / 2.25.
    assert above(histogram(0, 75, 25, 0), 0.015) == pytest.approx(100 / 2.25)


@pytest.mark.parametrize(("value", "expected"), [(0.0, 16), (0.01, 15), (0.02, 12), (0.04, 8), (9.0, 8)])
def test_above_at_a_bound_is_what_was_counted(value: float, expected: float):
    assert above(histogram(1, 3, 4, 8), value) == pytest.approx(expected)


@given(counts, st.floats(0.0, 0.05), st.floats(0.0, 0.05))
def test_above_never_grows_with_the_value(each: list[int], one: float, other: float):
    low, high = sorted((one, other))

    assert above(histogram(*each), low) >= above(histogram(*each), high) - 1e-9


@given(st.lists(st.integers(5, 1_000), min_size=4, max_size=4), st.floats(0.02, 0.98))
def test_value_above_which_undoes_above(each: list[int], part: float):
    made = histogram(*each)
    count = each[3] + part * (made.total - each[3])

    assert above(made, value_above_which(made, count)) == pytest.approx(count, rel=1e-6)


def test_quantile_beyond_the_last_bound_is_infinite():
    assert quantile(histogram(0, 0, 0, 100), 0.99, alpha=0.05).estimate == math.inf


def test_quantile_of_nothing_is_unknown():
    assert quantile(histogram(0, 0, 0, 0), 0.99, alpha=0.05) == (0, math.inf, math.inf)


def test_quantile_bounds_are_beyond_the_truth_as_seldom_as_they_say():
    rng = np.random.default_rng(11)
    bounds = tuple(np.geomspace(0.001, 1, 400).tolist())  # so fine that the buckets hide nothing
    truth = math.exp(2.3263479) * 0.01
    alpha, runs, too_high, too_low = 0.02, 1_000, 0, 0
    for _ in range(runs):
        values = 0.01 * np.exp(rng.standard_normal(2_000))
        inside, _ = np.histogram(values, [0, *bounds, math.inf])
        found = quantile(Histogram(bounds=bounds, counts=tuple(inside.tolist())), 0.99, alpha=alpha)
        too_high += found.low > truth * 1.02  # a bucket is 1.7 % wide
        too_low += found.high < truth / 1.02

    assert max(too_high, too_low) <= alpha * runs


def test_total_variation_of_what_has_nothing_in_common_is_one():
    assert total_variation((10, 0), (0, 10), alpha=0.05).estimate == 1


def test_total_variation_of_the_same_is_hardly_ever_surely_above_zero():
    rng = np.random.default_rng(3)
    shares = [0.1, 0.2, 0.3, 0.4]

    wrong = sum(
        total_variation(rng.multinomial(200, shares), rng.multinomial(20_000, shares), alpha=0.01).low > 0
        for _ in range(1_000)
    )

    assert wrong <= 10


@given(counts, counts)
def test_total_variation_bounds_enclose_the_estimate(one: list[int], other: list[int]):
    low, estimate, high = total_variation(one, other, alpha=0.01)

    assert 0 <= low <= estimate <= high <= 1
