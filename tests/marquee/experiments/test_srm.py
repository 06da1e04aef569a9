"""Shares of users against those that were meant: by hand, and by simulation."""

import numpy as np
import pytest
from scipy import stats

from marquee.errors import NotEnoughDataError
from marquee.experiments.srm import Allotment, sample_ratio

HALVES = {"control": 0.5, "fresh": 0.5}


def test_ratio_of_one_step_is_pearsons_chi_square():
    found = sample_ratio([Allotment({"control": 60, "fresh": 40}, HALVES)])

    assert found.statistic == pytest.approx((60 - 50) ** 2 / 50 + (40 - 50) ** 2 / 50)
    assert found.p_value == pytest.approx(stats.chisquare([60, 40], [50, 50]).pvalue)
    assert (found.degrees_of_freedom, found.is_mismatch) == (1, False)


def test_ratio_of_uneven_shares_expects_them():
    users, shares = {"a": 880, "b": 120}, {"a": 0.9, "b": 0.1}

    found = sample_ratio([Allotment(users, shares)])

    assert found.expected == {"a": 900, "b": 100}
    assert found.p_value == pytest.approx(stats.chisquare([880, 120], [900, 100]).pvalue)


def test_ratio_of_a_ramp_adds_the_steps_up():
    ramp = [
        Allotment({"control": 950, "fresh": 50}, {"control": 0.95, "fresh": 0.05}),
        Allotment({"control": 500, "fresh": 500}, HALVES),
    ]

    found = sample_ratio(ramp)

    assert (found.statistic, found.degrees_of_freedom) == (0, 2)
    assert found.observed == {"control": 1450, "fresh": 550}
    pooled = sample_ratio([Allotment(found.observed, HALVES)])
    assert pooled.is_mismatch  # what one step with the last shares would have said


def test_arm_that_got_nobody_counts_as_nobody():
    assert sample_ratio([Allotment({"control": 40}, HALVES)]).is_mismatch


def test_step_without_users_says_nothing_but_all_without_users_is_an_error():
    empty, full = Allotment({}, HALVES), Allotment({"control": 5, "fresh": 5}, HALVES)

    assert sample_ratio([empty, full]).degrees_of_freedom == 1
    with pytest.raises(NotEnoughDataError):
        sample_ratio([empty])


@pytest.mark.parametrize(
    "step",
    [
        Allotment({"other": 1}, HALVES),
        Allotment({}, {"a": 0.5, "b": 0.4}),
        Allotment({}, {"a": 1.0, "b": 0.0}),
    ],
)
def test_shares_that_do_not_fit_are_refused(step):
    with pytest.raises(ValueError, match=r"share|Shares"):
        sample_ratio([step])


def share_found(n_users: int, loss: float, runs: int = 600) -> float:
    """In what share of experiments a mismatch is found when the treatment loses users."""
    rng = np.random.default_rng(5)
    treated = rng.binomial(n_users, 0.5, runs)
    kept = rng.binomial(treated, 1 - loss)
    steps = [
        Allotment({"control": n_users - int(all_), "fresh": int(left)}, HALVES)
        for all_, left in zip(treated, kept, strict=True)
    ]
    return float(np.mean([sample_ratio([step]).is_mismatch for step in steps]))


def test_loss_of_a_fiftieth_of_the_treated_is_found_with_100_000_users():
    assert share_found(100_000, 0.02) >= 0.4
    assert share_found(100_000, 0.05) == 1.0


def test_even_arms_are_next_to_never_called_a_mismatch():
    assert share_found(100_000, 0.0) <= 0.005
