"""Bars: every value is in exactly one, whatever the values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.features.report.bins import bins_of

FINITE = st.floats(-(2.0**126), 2.0**126, width=32)


@given(st.lists(FINITE, min_size=1, max_size=80), st.integers(2, 40))
def test_bins_of_any_finite_values_hold_each_once_and_rise(values: list[float], n_bins: int):
    numbers = np.array(values, np.float64)

    bins = bins_of(numbers, n_bins=n_bins)

    assert bins.count(numbers).sum() == len(values)
    assert (np.diff(bins.edges) > 0).all()
    places = bins.position(bins.edges)
    assert np.isfinite(places).all()
    assert (places[0], places[-1]) == (0, 1)
    assert (np.diff(places) >= 0).all()


def test_bins_of_few_whole_numbers_are_one_a_value_gaps_included():
    bins = bins_of(np.array([1.0, 1, 2, 4]), n_bins=30)

    assert bins.values.tolist() == [1, 2, 3, 4]
    assert bins.count(np.array([1.0, 1, 2, 4])).tolist() == [2, 1, 0, 1]


def test_bins_of_one_value_are_one_bar():
    bins = bins_of(np.array([7.0, 7.0]), n_bins=30)

    assert bins.count(np.array([7.0, 7.0])).tolist() == [2]


def test_bins_of_a_heavy_tail_go_by_magnitude():
    values = np.concatenate([np.arange(1.0, 901), [1e5] * 99, [1e9]])

    bins = bins_of(values, n_bins=30)

    assert bins.scale == "magnitude"
    assert (bins.count(values) > 0).sum() >= 6  # by size alone nearly all would share the first bar


def test_bins_of_an_even_spread_are_linear_and_equally_wide():
    bins = bins_of(np.linspace(0.5, 99.5, 400), n_bins=10)

    assert bins.scale == "linear"
    assert np.allclose(np.diff(bins.edges), 9.9)


def test_bins_of_a_single_far_outlier_keep_the_middle_apart():
    values = np.append(np.linspace(1900.5, 1999.5, 999), -5000.5)

    bins = bins_of(values, n_bins=30)

    assert bins.edges[0] > 1890
    assert bins.count(values).sum() == 1000


@pytest.mark.parametrize("size", [1.5, 1e30])
def test_bins_of_values_on_both_sides_of_zero_cover_both(size: float):
    values = np.concatenate([-np.geomspace(1, 1e6, 100), np.geomspace(1, 1e6, 100)]) * size

    bins = bins_of(values, n_bins=30)

    assert bins.scale == "magnitude"
    counts = bins.count(values)
    assert counts[: len(counts) // 2].sum() == 100
