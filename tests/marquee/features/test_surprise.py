"""Decimals of a chance, beside scipy's distributions and sums done by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from marquee.features.surprise import (
    MOST_DECIMALS,
    binomial_surprise,
    gamma_poisson_surprise,
    smoothed_share,
)

counts = st.integers(0, 400)
levels = st.floats(1e-3, 200)


def test_gamma_poisson_of_shape_one_is_geometric():
    # At an expected 1 each further user has chance 1 ÷ 2: P(X ≥ 3) = 1/8.
    surprise = gamma_poisson_surprise(np.array([0, 1, 3]), np.ones(3), shape=1)

    np.testing.assert_allclose(surprise, np.log10([1, 2, 8]), atol=1e-12)


def test_binomial_of_two_users_is_counted_by_hand():
    # P(at least 1 of 2) = 1 − .9² = .19, P(both) = .01.
    surprise = binomial_surprise(np.array([0, 1, 2]), np.full(3, 0.1), n=2)

    np.testing.assert_allclose(10**-surprise, [1, 0.19, 0.01], rtol=1e-12)


@given(counts, levels, st.floats(0.5, 50))
def test_gamma_poisson_is_scipys_negative_binomial(count, level, shape):
    surprise = gamma_poisson_surprise(np.array([count]), np.array([level]), shape=shape)[0]

    tail = stats.nbinom.sf(count - 1, shape, shape / (shape + level))
    assert surprise == pytest.approx(min(-np.log10(max(tail, 1e-320)), MOST_DECIMALS), abs=1e-6, rel=1e-6)


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(1e-4, 1))
def test_binomial_is_scipys(drawn, chance):
    count, n = drawn

    surprise = binomial_surprise(np.array([count]), np.array([chance]), n=n)[0]

    tail = stats.binom.sf(count - 1, n, chance)
    assert surprise == pytest.approx(min(-np.log10(max(tail, 1e-320)), MOST_DECIMALS), abs=1e-6, rel=1e-6)


@given(counts, levels)
def test_more_users_surprise_more_and_a_higher_level_less(count, level):
    one, more = gamma_poisson_surprise(np.array([count, count + 1]), np.full(2, level), shape=8)
    calm = gamma_poisson_surprise(np.array([count]), np.array([2 * level]), shape=8)[0]

    assert more >= one >= calm >= 0


@given(counts, levels)
def test_crowds_surprise_less_than_poissons_equals_far_above_the_level(count, level):
    far = np.array([count + round(5 * level) + 10])

    crowd, poisson = (gamma_poisson_surprise(far, np.array([level]), shape=shape)[0] for shape in (8, 1e9))

    assert crowd <= poisson


def test_surprise_beyond_what_a_float_holds_is_the_most():
    assert gamma_poisson_surprise(np.array([10**6]), np.array([1e-3]), shape=8)[0] == MOST_DECIMALS


def test_smoothed_shares_of_all_items_are_one():
    shares = smoothed_share(np.array([3, 0, 1]), 4, 3, prior=2)

    np.testing.assert_allclose(shares, [0.5, 0.2, 0.3])  # of 4 + 3 · 2
