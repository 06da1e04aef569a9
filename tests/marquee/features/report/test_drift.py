"""The population stability index, on numbers that can be checked by hand."""

from math import log

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.features.report.config import ReportConfig
from marquee.features.report.drift import (
    number_drift,
    population_stability_index,
    sampling_noise,
    text_drift,
)

CONFIG = ReportConfig()


def test_index_is_the_sum_of_share_differences_times_log_ratios():
    before, after = np.array([2, 7]), np.array([7, 2])

    index = population_stability_index(before, after)

    # with half a row more in each bin the shares are 2.5 and 7.5 of 10
    assert index == pytest.approx((0.75 - 0.25) * log(3) + (0.25 - 0.75) * log(1 / 3))


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=2, max_size=12))
def test_index_is_symmetric_never_negative_and_zero_for_equal_counts(pairs: list[tuple[int, int]]):
    before, after = (np.array(side) for side in zip(*pairs, strict=True))

    index = population_stability_index(before, after)

    assert index >= 0
    assert index == pytest.approx(population_stability_index(after, before))
    assert population_stability_index(before, before) == 0


def test_noise_is_what_samples_of_one_distribution_stay_below():
    rng = np.random.default_rng(7)
    limit = sampling_noise(500, 800, n_bins=5, confidence=0.95)
    shares = [0.1, 0.2, 0.3, 0.2, 0.2]

    indexes = [
        population_stability_index(rng.multinomial(500, shares), rng.multinomial(800, shares))
        for _ in range(2000)
    ]

    assert np.mean(np.array(indexes) < limit) == pytest.approx(0.95, abs=0.02)


def test_drift_of_a_moved_distribution_is_high_and_of_the_same_none():
    values = np.arange(1000.0)

    assert number_drift(values, values, CONFIG).level == "none"
    assert number_drift(values, values + 500, CONFIG).level == "high"
    assert number_drift(values, values + 30, CONFIG).level == "none"


def test_drift_of_a_few_rows_is_chance():
    assert number_drift(np.array([1.0, 2, 3]), np.array([3.0, 4, 5]), CONFIG).level == "none"


@pytest.mark.parametrize("now", [-1.0, 1.0])
def test_drift_of_a_constant_that_moved_either_way_is_seen(now: float):
    assert number_drift(np.zeros(100), np.full(100, now), CONFIG).level == "high"


def test_drift_threshold_is_the_configs():
    values, strict = np.arange(1000.0), ReportConfig(drift_moderate=0.001, drift_confidence=0.01)

    assert number_drift(values, values + 20, CONFIG).level == "none"
    assert number_drift(values, values + 20, strict).level == "moderate"


def test_drift_of_texts_counts_frequent_ones_and_all_others():
    before = pl.Series(["a"] * 50 + ["b"] * 50)

    assert text_drift(before, before.reverse(), CONFIG).psi == 0
    assert text_drift(before, pl.Series(["a"] * 95 + ["b"] * 5), CONFIG).level == "high"
    assert text_drift(before, pl.Series(["new"] * 100), CONFIG).level == "high"


def test_drift_of_rare_texts_that_only_change_names_is_none():
    common = ["a"] * 900
    before = pl.Series(common + [f"old{n}" for n in range(100)])
    after = pl.Series(common + [f"new{n}" for n in range(100)])

    assert text_drift(before, after, CONFIG).psi == 0
