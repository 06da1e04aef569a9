"""Always-valid intervals: against other ways to write them, and by looking sixty times."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from marquee.experiments.comparison import Comparison
from marquee.experiments.sequential import (
    SequentialConfig,
    always_valid_p,
    half_width,
    look,
    one_sided_width,
    tau2_of_effect,
    tau2_of_horizon,
)

CONFIG = SequentialConfig()


def compared(difference: float, *, error: float, n: int = 1_000, control: float = 10.0) -> Comparison:
    lift = difference / control
    return Comparison(control, control + difference, n, n, difference, error**2, lift, (error / control) ** 2)


def test_half_width_by_hand():
    # V = 1, tau² = 3: √(2 · 1 · 4 / 3 · (ln 20 + ½ ln 4))
    assert half_width(1.0, 3.0) == pytest.approx(math.sqrt(8 / 3 * (math.log(20) + math.log(2))))


def test_half_width_is_where_the_mixture_of_likelihood_ratios_reaches_one_over_alpha():
    variance, tau2, alpha = 0.4, 0.9, 0.05
    estimate = half_width(variance, tau2, alpha=alpha)

    def weighted(effect):
        ratio = math.exp(effect * estimate / variance - effect**2 / (2 * variance))
        return ratio * stats.norm.pdf(effect, scale=math.sqrt(tau2))

    mixture, _ = integrate.quad(weighted, -20, 20)
    assert mixture == pytest.approx(1 / alpha)


def test_one_sided_width_is_where_the_mixture_over_gains_reaches_one_over_alpha():
    variance, tau2, alpha = 0.4, 0.9, 0.02
    estimate = one_sided_width(variance, tau2, alpha=alpha)

    def weighted(effect):
        ratio = math.exp(effect * estimate / variance - effect**2 / (2 * variance))
        return ratio * 2 * stats.norm.pdf(effect, scale=math.sqrt(tau2))

    mixture, _ = integrate.quad(weighted, 0, 20)
    assert mixture == pytest.approx(1 / alpha)
    assert one_sided_width(variance, tau2, alpha=alpha) < half_width(variance, tau2, alpha=alpha)


def test_horizon_gives_the_asymptotic_confidence_sequence():
    t, t_opt, sigma, alpha = 800.0, 5_000.0, 2.0, 0.05

    found = half_width(2 * sigma**2 / t, tau2_of_horizon(sigma**2, t_opt, alpha=alpha), alpha=alpha)

    # Waudby-Smith et al. (2024), Theorem 2.2, for pairs of users, whose difference has variance 2σ².
    rho2 = (-math.log(alpha**2) + math.log(1 - math.log(alpha**2))) / t_opt
    paper = math.sqrt(2 * (t * rho2 + 1) / (t**2 * rho2) * math.log(math.sqrt(t * rho2 + 1) / alpha))
    assert found == pytest.approx(math.sqrt(2) * sigma * paper)
    assert tau2_of_horizon(1.0, t_opt) ** 0.5 == pytest.approx(0.056, abs=0.001)


def test_interval_is_narrowest_for_the_number_of_users_that_tau_was_set_for():
    widths = {
        t_opt: half_width(2 / 5_000, tau2_of_horizon(1.0, t_opt))
        for t_opt in (500, 2_500, 5_000, 10_000, 50_000)
    }

    assert min(widths, key=widths.get) == 5_000


def test_p_value_is_alpha_at_the_edge_of_the_interval():
    edge = half_width(0.3, 0.2, alpha=0.013)

    assert always_valid_p(edge, 0.3, 0.2) == pytest.approx(0.013)
    assert always_valid_p(0.0, 0.3, 0.2) == 1.0


def test_widths_take_arrays_and_are_zero_without_variance():
    variances = np.array([0.0, 1.0, 4.0])

    for width in (half_width, one_sided_width):
        found = width(variances, 2.0)
        assert found.tolist() == [0.0, width(1.0, 2.0), width(4.0, 2.0)]


@pytest.mark.parametrize(
    ("difference", "error", "verdict"),
    [(2.0, 0.1, "better"), (-2.0, 0.1, "worse"), (0.0, 1.0, "undecided"), (0.0, 0.005, "harmless")],
)
def test_look_says_where_the_interval_lies(difference, error, verdict):
    found = look(compared(difference, error=error), CONFIG)

    assert found.verdict == verdict
    assert found.tau2 == tau2_of_effect(10.0, 0.05) == 0.25
    half = half_width(error**2, 0.25)
    assert (found.low, found.high) == pytest.approx((difference - half, difference + half))
    assert (found.lift_low, found.lift_high) == pytest.approx((found.low / 10, found.high / 10))


def test_look_at_what_should_fall_turns_the_verdict_round():
    better = look(compared(-2.0, error=0.1), CONFIG, higher_is_better=False)
    worse = look(compared(2.0, error=0.1), CONFIG, higher_is_better=False)

    assert (better.verdict, worse.verdict) == ("better", "worse")


def test_look_before_its_time_says_nothing():
    assert look(compared(2.0, error=0.1, n=199), CONFIG).verdict == "too_early"
    assert look(compared(2.0, error=0.1, n=200), CONFIG).verdict == "better"
    assert look(compared(2.0, error=0.1, control=0.0001), CONFIG).low < 2.0
    assert math.isinf(look(compared(2.0, error=0.1, n=199), CONFIG).high)


def looks_at_equal_arms(effect: float = 0.0, *, runs: int = 300, users: int = 6_000):
    """Difference and variance at 60 looks, log-spaced from 200 users per arm; minutes, many of them 0."""
    rng = np.random.default_rng(11)
    at = np.unique(np.geomspace(200, users, 60).astype(int))
    moments = []
    for scale in (1.0, 1.0 + effect):
        minutes = rng.lognormal(3, 1, (runs, users)) * (rng.random((runs, users)) > 0.4) * scale
        sums = np.cumsum(minutes, axis=1)[:, at - 1]
        squares = np.cumsum(minutes**2, axis=1)[:, at - 1]
        moments.append((sums / at, (squares - sums**2 / at) / (at - 1) / at))
    (control, left), (treatment, right) = moments
    return control, treatment - control, left + right


def test_sixty_looks_at_equal_arms_deceive_a_t_test_and_not_the_interval():
    control, difference, variance = looks_at_equal_arms()

    naive = (np.abs(difference) > 1.96 * np.sqrt(variance)).any(axis=1).mean()
    widths = np.stack(
        [
            half_width(v, tau2_of_effect(float(c), 0.05))
            for v, c in zip(variance, control.mean(axis=1), strict=True)
        ]
    )
    always = (np.abs(difference) > widths).any(axis=1).mean()

    assert naive >= 0.25
    assert always <= 0.05


def test_one_sided_bound_holds_at_all_sixty_looks():
    control, difference, variance = looks_at_equal_arms()

    width = one_sided_width(variance, tau2_of_effect(float(control.mean()), 0.05))

    assert (difference > width).any(axis=1).mean() <= 0.05


def test_effect_of_a_sixth_is_found_in_most_experiments():
    control, difference, variance = looks_at_equal_arms(1 / 6)

    width = half_width(variance, tau2_of_effect(float(control.mean()), 0.1))

    assert (difference > width).any(axis=1).mean() >= 0.8
