import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import ValidationError

from marquee.evaluation import significance
from marquee.evaluation.significance import (
    BootstrapConfig,
    Interval,
    bootstrap_means,
    difference_interval,
    lift_interval,
    mean_interval,
)

QUICK = BootstrapConfig(resamples=200)
VALUES = hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 1, width=32))


@given(VALUES)
@settings(max_examples=40)
def test_difference_of_identical_values_is_exactly_zero_without_width(values):
    assert difference_interval(values, values.copy(), seed=1, config=QUICK) == Interval(0.0, 0.0, 0.0)


@given(VALUES.filter(lambda values: values.min() > 0))
@settings(max_examples=40)
def test_lift_of_identical_values_is_exactly_zero_without_width(values):
    assert lift_interval(values, values.copy(), seed=1, config=QUICK) == Interval(0.0, 0.0, 0.0)


@given(VALUES, st.integers(0, 99))
@settings(max_examples=40)
def test_mean_interval_lies_within_the_values_and_around_their_mean(values, seed):
    found = mean_interval(values, seed=seed, config=QUICK)

    assert found.estimate == values.mean()
    assert values.min() - 1e-12 <= found.low <= found.high <= values.max() + 1e-12


def test_bootstrap_means_of_two_values_follow_the_exact_distribution():
    # Two draws from {0, 1}: means 0, 1/2, 1 with chances 1/4, 1/2, 1/4.
    means = bootstrap_means(np.array([[0.0], [1.0]]), seed=5)[:, 0]

    shares = [np.mean(means == value) for value in (0, 0.5, 1)]
    assert shares == pytest.approx([1 / 4, 1 / 2, 1 / 4], abs=0.02)  # 4 standard errors of 10,000


def test_mean_interval_of_three_values_equals_the_enumerated_bootstrap():
    values = np.array([0.0, 0.3, 1.0])
    every_resample = [np.mean(draw) for draw in itertools.product(values, repeat=3)]
    config = BootstrapConfig(resamples=20_000, confidence=0.8)

    found = mean_interval(values, seed=11, config=config)

    assert found.low == pytest.approx(np.quantile(every_resample, 0.1, method="inverted_cdf"))
    assert found.high == pytest.approx(np.quantile(every_resample, 0.9, method="inverted_cdf"))


def test_bootstrap_columns_see_the_same_draws():
    rng = np.random.default_rng(0)
    column = rng.random(30)

    means = bootstrap_means(np.column_stack([column, 1 - column]), seed=2, config=QUICK)

    assert means.sum(axis=1) == pytest.approx(np.ones(200))


def test_difference_is_paired_so_that_shared_difficulty_cancels():
    difficulty = np.linspace(0, 0.9, 50)

    found = difference_interval(difficulty + 0.1, difficulty, seed=0, config=QUICK)

    assert found.low == pytest.approx(0.1)
    assert found.high == pytest.approx(0.1)
    alone = mean_interval(difficulty, seed=0, config=QUICK)
    assert alone.high - alone.low > 0.1


def test_lift_is_ratio_of_means_not_mean_of_ratios():
    values, reference = np.array([0.2, 0.9]), np.array([0.1, 0.9])

    found = lift_interval(values, reference, seed=0, config=QUICK)

    assert found.estimate == pytest.approx((0.2 + 0.9) / (0.1 + 0.9) - 1)
    assert found.low == pytest.approx(0)  # both draws the second query
    assert found.high == pytest.approx(1)  # both draws the first


def test_lift_over_nothing_is_undefined():
    found = lift_interval(np.array([0.5, 0.2]), np.zeros(2), seed=0, config=QUICK)

    assert np.isnan([found.estimate, found.low, found.high]).all()
    assert found.to_dict() == {"estimate": None, "low": None, "high": None}


def test_intervals_cover_the_truth_as_often_as_they_claim():
    rng = np.random.default_rng(20)
    n_experiments, config = 400, BootstrapConfig(resamples=400)
    covered = 0
    for seed in range(n_experiments):
        reference = rng.beta(0.5, 1.5, size=120)
        values = reference + rng.normal(0.03, 0.2, size=120)  # the true difference is 0.03
        found = difference_interval(values, reference, seed=seed, config=config)
        covered += found.low <= 0.03 <= found.high

    # 95 % less the percentile interval's known shortfall, give or take 3 standard errors of 1.1 %.
    assert 0.91 <= covered / n_experiments <= 0.98


def test_wider_confidence_gives_a_wider_interval():
    values = np.random.default_rng(1).random(60)

    narrow, wide = (
        mean_interval(values, seed=3, config=BootstrapConfig(resamples=500, confidence=confidence))
        for confidence in (0.5, 0.99)
    )

    assert wide.low < narrow.low < narrow.high < wide.high


def test_same_seed_repeats_to_the_last_bit_and_another_seed_does_not():
    values = np.random.default_rng(1).random(60)

    first, again, other = (mean_interval(values, seed=seed, config=QUICK) for seed in (7, 7, 8))

    assert first == again
    assert first != other


def test_chunks_change_nothing(monkeypatch):
    values = np.random.default_rng(1).random((60, 2))
    whole = bootstrap_means(values, seed=7, config=QUICK)

    monkeypatch.setattr(significance, "_CHUNK_DRAWS", 60 * 7)
    chunked = bootstrap_means(values, seed=7, config=QUICK)

    np.testing.assert_array_equal(chunked, whole)


@pytest.mark.parametrize("values", [np.array([]), np.array([0.1, np.nan]), np.array([0.1, np.inf])])
def test_mean_interval_of_nothing_or_nan_is_refused(values):
    with pytest.raises(ValueError, match=r"finite|rows to draw"):
        mean_interval(values, seed=0, config=QUICK)


def test_difference_of_other_lengths_is_refused():
    with pytest.raises(ValueError, match=r"\(3,\) against \(1,\)"):
        difference_interval(np.zeros(3), np.zeros(1), seed=0)


@pytest.mark.parametrize("fault", [{"resamples": 10}, {"confidence": 1.0}, {"seed": 3}])
def test_bootstrap_config_out_of_range_is_refused(fault):
    with pytest.raises(ValidationError):
        BootstrapConfig.model_validate(fault)
