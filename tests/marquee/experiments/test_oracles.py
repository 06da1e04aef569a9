"""Our statistics beside those of packages that were written by others."""

import math

import numpy as np
import pyarrow as pa
import pytest
import tea_tasting
from experiment_toolkit import apply_cuped, compute_theta, msprt_pvalue, ratio_metric_variance
from ville import AsymptoticABTest

from marquee.experiments.comparison import Arm, compare
from marquee.experiments.sequential import always_valid_p, half_width, tau2_of_horizon
from marquee.experiments.srm import Allotment, sample_ratio

ALPHA = 0.05


def arm(n: int, *, seed: int, lift: float = 1.0) -> Arm:
    """Users who watch skewed minutes in a few requests each, much as they did before."""
    rng = np.random.default_rng(seed)
    before = rng.lognormal(3, 1, n) * (rng.random(n) > 0.4)
    requests = rng.poisson(4, n) + 1.0
    return Arm(total=lift * (0.6 * before + rng.lognormal(2, 1, n)), base=requests, covariate=before)


CONTROL, TREATMENT = arm(4_000, seed=1), arm(3_000, seed=2, lift=1.05)


def without(which: Arm, *names: str) -> Arm:
    """The arm without these of its columns."""
    kept = {"total": which.total, "base": which.base, "covariate": which.covariate}
    return Arm(**kept | dict.fromkeys(names))


def judged_by_tea_tasting(
    **metrics: tea_tasting.metrics.MetricBase,
) -> tea_tasting.experiment.ExperimentResult:
    arms = (CONTROL, TREATMENT)
    columns = {
        "variant": np.repeat([0, 1], [len(each.total) for each in arms]),
        "minutes": np.concatenate([each.total for each in arms]),
        "requests": np.concatenate([each.base for each in arms]),
        "before": np.concatenate([each.covariate for each in arms]),
    }
    return tea_tasting.Experiment(**metrics).analyze(pa.table(columns))


def test_comparison_of_means_agrees_with_tea_tasting():
    theirs = judged_by_tea_tasting(y=tea_tasting.Mean("minutes", use_t=False))["y"]
    ours = compare(without(CONTROL, "base", "covariate"), without(TREATMENT, "base", "covariate"))
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-6)
    assert ours.interval(alpha=ALPHA).low == pytest.approx(theirs.effect_size_ci_lower, rel=1e-6)
    assert ours.lift == pytest.approx(theirs.rel_effect_size, rel=1e-9)


def test_comparison_of_ratios_agrees_with_tea_tasting():
    theirs = judged_by_tea_tasting(y=tea_tasting.RatioOfMeans("minutes", "requests", use_t=False))["y"]
    ours = compare(without(CONTROL, "covariate"), without(TREATMENT, "covariate"))
    assert ours.difference == pytest.approx(theirs.effect_size, rel=1e-9)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-3)


def test_cuped_agrees_with_tea_tasting():
    theirs = judged_by_tea_tasting(y=tea_tasting.Mean("minutes", covariate="before", use_t=False))["y"]
    ours = compare(without(CONTROL, "base"), without(TREATMENT, "base"))
    assert ours.difference == pytest.approx(theirs.effect_size, rel=0.01)
    assert ours.interval(alpha=ALPHA).low == pytest.approx(theirs.effect_size_ci_lower, rel=0.02)


def test_cuped_leaves_the_variance_that_the_toolkit_leaves():
    theta = compute_theta(CONTROL.total, CONTROL.covariate)
    adjusted = apply_cuped(CONTROL.total, CONTROL.covariate, theta=theta)
    left = np.var(adjusted, ddof=1) / np.var(CONTROL.total, ddof=1)
    twin = without(CONTROL, "base")
    assert compare(twin, twin).variance_factor == pytest.approx(left, rel=1e-3)


def test_variance_of_a_ratio_agrees_with_the_toolkit():
    errors = [ratio_metric_variance(each.total, each.base)[1] for each in (CONTROL, TREATMENT)]
    theirs = sum(error**2 for error in errors)
    ours = compare(without(CONTROL, "covariate"), without(TREATMENT, "covariate"))
    assert ours.variance == pytest.approx(theirs, rel=1e-3)


def test_sample_ratio_agrees_with_tea_tasting():
    theirs = judged_by_tea_tasting(split=tea_tasting.SampleRatio())["split"]
    users = {"a": len(CONTROL.total), "b": len(TREATMENT.total)}
    ours = sample_ratio([Allotment(users=users, shares={"a": 0.5, "b": 0.5})])
    # Theirs corrects for continuity: (|3000 − 3500| − ½)² instead of (…)².
    assert theirs.pvalue < 1e-20
    assert ours.p_value < 1e-20
    assert math.log(ours.p_value) == pytest.approx(math.log(theirs.pvalue), rel=0.01)


@pytest.mark.parametrize(("difference", "n"), [(0.1, 500), (0.5, 2_000), (0.02, 50_000)])
def test_always_valid_p_agrees_with_the_toolkit(difference: float, n: int):
    sigma, tau = 3.0, 0.2
    theirs = msprt_pvalue(difference, sigma, n, tau)
    assert always_valid_p(difference, 2 * sigma**2 / n, tau**2) == pytest.approx(theirs, rel=1e-9)


def test_always_valid_interval_is_as_wide_as_that_of_ville():
    rng = np.random.default_rng(3)
    treated = rng.random(20_000) < 0.5
    outcome = rng.lognormal(3, 1, 20_000)
    theirs = AsymptoticABTest(alpha=ALPHA, propensity=0.5, t_opt=10_000, min_samples=200).fit(
        outcome, treated
    )
    arms = [outcome[treated], outcome[~treated]]
    variance = sum(float(np.var(each, ddof=1)) / len(each) for each in arms)
    tau2 = tau2_of_horizon(float(np.var(outcome, ddof=1)), 5_000, alpha=ALPHA)
    width = 2 * half_width(variance, tau2, alpha=ALPHA)
    assert width == pytest.approx(theirs.upper_[-1] - theirs.lower_[-1], rel=0.01)
