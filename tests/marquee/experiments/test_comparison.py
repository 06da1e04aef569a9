"""Differences of means and ratios: by hand, by other formulas, and by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from marquee.experiments.comparison import Arm, compare, compare_steps

A = np.array([1.0, 2.0, 3.0, 6.0])
B = np.array([2.0, 4.0, 6.0])


def test_difference_of_means_by_hand():
    found = compare(Arm(A), Arm(B))

    assert (found.control, found.treatment, found.difference) == (3, 4, 1)
    var_a = (4 + 1 + 0 + 9) / 3 / 4
    var_b = (4 + 0 + 4) / 2 / 3
    assert found.variance == pytest.approx(var_a + var_b)
    assert found.lift == pytest.approx(1 / 3)
    assert found.lift_variance == pytest.approx((var_b + (4 / 3) ** 2 * var_a) / 3**2)
    assert (found.n_control, found.n_treatment) == (4, 3)


def test_difference_over_its_error_is_welchs_statistic():
    rng = np.random.default_rng(0)
    a, b = rng.exponential(3, 400), rng.exponential(4, 300)

    found = compare(Arm(a), Arm(b))

    welch = stats.ttest_ind(b, a, equal_var=False)
    assert found.difference / math.sqrt(found.variance) == pytest.approx(welch.statistic)
    interval = found.interval()
    assert (interval.low, interval.high) == pytest.approx(
        (
            found.difference - 1.959964 * math.sqrt(found.variance),
            found.difference + 1.959964 * math.sqrt(found.variance),
        )
    )
    assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(welch.statistic)))


def test_ratio_has_the_variance_of_the_delta_method():
    clicks, requests = np.array([1.0, 0.0, 4.0]), np.array([2.0, 3.0, 5.0])
    same = Arm(clicks, requests)

    found = compare(same, same)

    ratio, mean_requests = 5 / 10, 10 / 3
    residual = clicks - ratio * requests  # 0, -1.5, 1.5: they add up to 0
    one = (0 + 1.5**2 + 1.5**2) / 2 / (3 * mean_requests**2)
    assert residual.tolist() == [0, -1.5, 1.5]
    assert found.control == ratio
    assert found.variance == pytest.approx(2 * one)


def test_ratio_over_ones_is_the_mean():
    by_ratio = compare(Arm(A, np.ones(4)), Arm(B, np.ones(3)))

    assert by_ratio == compare(Arm(A), Arm(B))


def test_covariate_gives_the_slope_of_a_regression_on_arm_and_covariate():
    rng = np.random.default_rng(1)
    x = rng.gamma(2, 3, 600)
    treated = rng.random(600) < 0.4
    y = 2 * x + 0.5 * treated + rng.normal(size=600) * 3

    found = compare(Arm(y[~treated], covariate=x[~treated]), Arm(y[treated], covariate=x[treated]))

    design = np.column_stack([np.ones(600), treated, x])
    coefficients = np.linalg.lstsq(design, y, rcond=None)[0]
    assert found.difference == pytest.approx(coefficients[1])
    correlation = np.corrcoef(
        np.concatenate([y[~treated], y[treated] - 0.5]), np.r_[x[~treated], x[treated]]
    )[0, 1]
    assert found.variance_factor == pytest.approx(1 - correlation**2, abs=0.01)


def test_covariate_that_is_the_same_for_all_changes_nothing():
    found = compare(Arm(A, covariate=np.full(4, 7.0)), Arm(B, covariate=np.full(3, 7.0)))

    assert found == compare(Arm(A), Arm(B))


def test_covariate_moves_a_lucky_draw_back():
    heavy, light = np.array([10.0, 12.0, 14.0]), np.array([1.0, 3.0, 5.0])

    found = compare(Arm(light, covariate=light), Arm(heavy, covariate=heavy))

    assert found.difference == pytest.approx(0)  # what differs was so before the experiment


def test_steps_are_weighted_by_inverse_variance():
    first = (Arm(A), Arm(B))
    second = (Arm(A * 10), Arm(B * 10 + 5))
    alone = [compare(*first), compare(*second)]

    found = compare_steps([first_with(first, 0), first_with(second, 100)])

    weights = np.array([1 / each.variance for each in alone])
    weights /= weights.sum()
    assert found.difference == pytest.approx(weights @ [each.difference for each in alone])
    assert found.variance == pytest.approx(1 / sum(1 / each.variance for each in alone))
    assert (found.n_steps, found.n_control, found.n_treatment) == (2, 8, 6)


def first_with(arms, first):
    control, treatment = arms
    return (
        Arm(control.total, user=np.arange(first, first + len(control.total))),
        Arm(treatment.total, user=np.arange(first + 50, first + 50 + len(treatment.total))),
    )


def test_user_in_two_steps_is_one_user():
    once = first_with((Arm(A), Arm(B)), 0)

    found = compare_steps([once, once])

    alone = compare(*once)
    assert found.variance == pytest.approx(alone.variance)  # and not half of it: nothing was learned anew
    assert found.lift_variance == pytest.approx(alone.lift_variance)
    assert (found.n_control, found.n_treatment) == (4, 3)


def test_step_without_spread_has_no_say():
    flat = (Arm(np.zeros(3)), Arm(np.zeros(3)))

    assert compare_steps([flat, (Arm(A), Arm(B))]).difference == 1
    assert compare_steps([flat]).variance == 0
    assert compare_steps([flat]).p_value == 1


def test_lift_over_nothing_is_unknown():
    found = compare(Arm(np.zeros(3)), Arm(B))

    assert math.isnan(found.lift)
    assert math.isnan(found.lift_variance)
    assert found.difference == 4


outcomes = st.lists(st.integers(0, 50), min_size=2, max_size=20).filter(any)


@given(outcomes, outcomes, st.sampled_from([0.5, 2.0, 8.0]), st.randoms(use_true_random=False))
def test_comparison_does_not_depend_on_order_unit_or_side(left, right, unit, chance):
    a, b = np.array(left, float), np.array(right, float)
    found = compare(Arm(a), Arm(b))
    chance.shuffle(left)

    shuffled = compare(Arm(np.array(left, float)), Arm(b))
    scaled = compare(Arm(a * unit), Arm(b * unit))
    swapped = compare(Arm(b), Arm(a))

    assert shuffled.variance == pytest.approx(found.variance)
    assert (scaled.difference, scaled.lift) == pytest.approx((found.difference * unit, found.lift))
    assert (scaled.variance, scaled.lift_variance) == pytest.approx(
        (found.variance * unit**2, found.lift_variance)
    )
    assert (swapped.difference, swapped.variance) == pytest.approx((-found.difference, found.variance))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Arm(np.array([1.0])),
        lambda: Arm(A, B),
        lambda: compare(Arm(A, A), Arm(B)),
        lambda: compare(Arm(A, covariate=A), Arm(B)),
        lambda: compare(Arm(A, np.zeros(4)), Arm(B, B)),
        lambda: compare_steps([]),
    ],
)
def test_arms_that_can_not_be_compared_are_refused(make):
    with pytest.raises(ValueError, match=r".+"):
        make()


def false_alarms(found) -> float:
    return float(np.mean([each.p_value < 0.05 for each in found]))


def test_users_as_the_unit_keep_type_i_where_requests_do_not():
    rng = np.random.default_rng(2)
    by_user, by_request = [], []
    for _ in range(400):
        arms = []
        for _ in range(2):
            requests = rng.poisson(8, 300) + 1.0
            clicks = rng.binomial(requests.astype(int), rng.beta(1, 9, 300)).astype(float)
            arms.append(Arm(clicks, requests))
        by_user.append(compare(*arms))
        rates = [arm.total.sum() / arm.base.sum() for arm in arms]
        error = math.sqrt(sum(r * (1 - r) / arm.base.sum() for r, arm in zip(rates, arms, strict=True)))
        by_request.append(abs(rates[1] - rates[0]) / error > 1.96)

    assert false_alarms(by_user) <= 0.08
    assert np.mean(by_request) >= 0.12


def test_pooled_ramp_finds_what_is_not_there_and_steps_do_not():
    rng = np.random.default_rng(3)
    pooled, stepwise = [], []
    for _ in range(200):
        steps = []
        for share, rate in ((0.05, 0.12), (0.25, 0.10), (0.5, 0.08)):
            treated = rng.binomial(4_000, share)
            control = (rng.random(4_000 - treated) < rate).astype(float)
            steps.append((Arm(control), Arm((rng.random(treated) < rate).astype(float))))
        arms = [Arm(np.concatenate([step[side].total for step in steps])) for side in (0, 1)]
        pooled.append(compare(*arms))
        stepwise.append(compare_steps([numbered(step, 10_000 * number) for number, step in enumerate(steps)]))

    assert false_alarms(pooled) >= 0.3
    assert false_alarms(stepwise) <= 0.09


def numbered(step, first):
    """The same arms with users of their own."""
    sizes = [len(arm.total) for arm in step]
    return (
        Arm(step[0].total, user=np.arange(first, first + sizes[0])),
        Arm(step[1].total, user=np.arange(first + sizes[0], first + sum(sizes))),
    )
