"""Forecasts of weeks that are known, and the back-test that chooses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marquee.candidates.traffic import (
    HOURS_OF_WEEK,
    TrafficConfig,
    back_test,
    hour_of_week,
    is_seasonal_better,
    naive,
    seasonal,
)

WEEK = HOURS_OF_WEEK
CONFIG = TrafficConfig()
LEAD = 6


def weeks(n, *, seed=0, growth=1.0):
    """Days and nights, busier on two days of the week; every week `growth` times the one before."""
    hour = np.arange(n * WEEK)
    usual = 100 + 80 * np.sin(2 * np.pi * hour / 24) + 40 * (hour // 24 % 7 >= 5)
    return np.random.default_rng(seed).poisson(usual * growth ** (hour // WEEK)).astype(float)


def made(totals):
    return seasonal(totals, lead=LEAD, steps_per_hour=1, config=CONFIG)


def test_naive_is_the_last_window_that_was_over():
    np.testing.assert_array_equal(naive(np.array([1, 2, 3, 4]), lead=2), [np.nan, np.nan, 1, 2])


def test_naive_of_a_past_shorter_than_a_window_knows_nothing():
    assert np.isnan(naive(np.array([1, 2]), lead=3)).all()


def test_hour_of_week_is_the_mean_of_that_hour_in_the_weeks_before():
    totals = np.concatenate([np.arange(WEEK), np.arange(WEEK) + 10, np.full(WEEK, 7)])

    forecast = hour_of_week(totals, lead=LEAD, steps_per_hour=1)

    assert np.isnan(forecast[:WEEK]).all()
    np.testing.assert_allclose(forecast[WEEK : 2 * WEEK], np.arange(WEEK))
    np.testing.assert_allclose(forecast[2 * WEEK :], np.arange(WEEK) + 5)


def test_seasonal_is_the_hours_mean_where_every_week_is_the_same():
    totals = np.tile(np.arange(WEEK) % 24 + 1.0, 4)

    forecast = made(totals)

    assert np.isnan(forecast[: 2 * WEEK + LEAD]).all()
    np.testing.assert_allclose(forecast[2 * WEEK + LEAD :], totals[2 * WEEK + LEAD :])


def test_seasonal_follows_a_busier_week_that_the_means_of_hours_lag_behind():
    totals = weeks(5, growth=1.5)
    late = np.arange(len(totals)) >= 4 * WEEK

    mean = hour_of_week(totals, lead=LEAD, steps_per_hour=1)

    assert back_test(totals, made(totals), where=late) < 0.5 * back_test(totals, mean, where=late)


@settings(max_examples=20)
@given(st.integers(2 * WEEK + LEAD, 4 * WEEK - 1), st.floats(0, 1e4))
def test_forecast_and_choice_do_not_see_the_future(step, later):
    totals = weeks(4)
    changed = totals.copy()
    changed[step - LEAD + 1 :] = later  # the newest window that was over at `step` ends before these

    one, other = made(totals), made(changed)
    chosen = [
        is_seasonal_better(each, forecast, lead=LEAD, config=CONFIG)
        for each, forecast in ((totals, one), (changed, other))
    ]

    np.testing.assert_array_equal(one[: step + 1], other[: step + 1])
    np.testing.assert_array_equal(chosen[0][: step + 1], chosen[1][: step + 1])


def test_back_test_believes_a_season_and_not_a_coin():
    calm, coin = weeks(6), np.random.default_rng(1).choice([0.0, 200.0], 6 * WEEK)

    believed = [
        is_seasonal_better(each, made(each), lead=LEAD, config=CONFIG)[-WEEK:].mean() for each in (calm, coin)
    ]

    assert believed == [1.0, 0.0]


@pytest.mark.parametrize("knobs", [{"least_gain": 0.99}, {"most_error": 0.01}])
def test_back_test_asks_for_gain_and_for_accuracy(knobs):
    totals = weeks(6)

    believed = is_seasonal_better(totals, made(totals), lead=LEAD, config=TrafficConfig(**knobs))

    assert not believed[-WEEK:].any()


def test_back_test_of_no_step_is_unknown():
    assert np.isnan(back_test(np.ones(3), np.ones(3), where=np.zeros(3, bool)))
