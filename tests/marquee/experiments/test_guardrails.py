"""Guardrails: when they break, when they are kept, and how often they are wrong."""

import numpy as np
import pytest

from marquee.experiments.comparison import Arm, Comparison, compare
from marquee.experiments.guardrails import (
    Durations,
    Guardrail,
    check_increase,
    check_never,
    check_quantile_ratio,
    split,
)
from marquee.experiments.sequential import one_sided_width

DEGRADED = Guardrail(metric="degraded", kind="increase", limit=0.01)
LATENCY = Guardrail(metric="latency_ms", kind="quantile_ratio", limit=1.2)


def shares(control: float, treatment: float, *, error: float, n: int = 10_000) -> Comparison:
    return Comparison(control, treatment, n, n, treatment - control, error**2, 0.0, 0.0)


@pytest.mark.parametrize(
    ("treatment", "error", "status"),
    [(0.05, 0.001, "broken"), (0.021, 0.001, "kept"), (0.021, 0.02, "open"), (0.031, 0.001, "open")],
)
def test_increase_is_judged_by_where_its_bounds_are(treatment, error, status):
    found = check_increase(DEGRADED, shares(0.02, treatment, error=error), alpha=0.05)

    assert found.status == status
    assert found.estimate == pytest.approx(treatment - 0.02)
    width = one_sided_width(error**2, 0.01**2, alpha=0.05)
    assert (found.low, found.high) == pytest.approx((found.estimate - width, found.estimate + width))


def test_breaking_shares_alpha_and_keeping_does_not():
    compared = shares(0.02, 0.02, error=0.001)

    alone = check_increase(DEGRADED, compared, alpha=0.05)
    one_of_four = check_increase(DEGRADED, compared, alpha=0.05, n_guardrails=4)

    assert split(0.05, 4) == 0.0125
    assert one_of_four.low == pytest.approx(0 - one_sided_width(1e-6, 1e-4, alpha=0.0125))
    assert one_of_four.low < alone.low
    assert one_of_four.high == alone.high


def test_share_that_was_never_seen_is_not_zero():
    few, many = (
        check_increase(DEGRADED, compare(zeros, zeros), alpha=0.05)
        for zeros in (Arm(np.zeros(200), np.ones(200)), Arm(np.zeros(5_000), np.ones(5_000)))
    )

    assert few.status == "open"  # none in 200 can be 1 in 70
    assert many.status == "kept"


def test_guardrail_before_its_first_look_is_too_early():
    broken = shares(0.0, 0.9, error=0.001, n=199)

    assert check_increase(DEGRADED, broken, alpha=0.05).status == "too_early"


def test_increase_without_room_is_refused():
    with pytest.raises(ValueError, match="limit"):
        check_increase(Guardrail(metric="x", kind="increase", limit=0), shares(0, 0, error=1), alpha=0.05)


def test_what_may_never_happen_needs_one_case():
    never = Guardrail(metric="policy_violations", kind="never", limit=0)

    assert check_never(never, 5, 0).status == "kept"
    assert check_never(never, 0, 1).status == "broken"


def requests(factor: float, *, users: int, seed: int) -> Durations:
    """Four requests of each user, some users slower than others."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), 4)
    base = rng.lognormal(0, 0.2, users)[user]
    return Durations(base * rng.lognormal(3, 0.4, len(user)) * factor, user)


def test_quantiles_by_hand():
    ten = Durations(np.arange(1.0, 11.0), np.arange(10))
    twice = Durations(np.arange(2.0, 21.0, 2.0), np.arange(10))
    median = Guardrail(metric="latency_ms", kind="quantile_ratio", limit=3, quantile=0.5)

    found = check_quantile_ratio(median, ten, twice, alpha=0.05, min_users=2)

    assert (found.control, found.treatment, found.estimate) == (5, 10, 2)


def test_weights_count_a_request_as_often_as_they_say():
    values, weights = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 1.0, 1.0, 5.0])
    repeated = np.repeat(values, weights.astype(int))
    median = Guardrail(metric="latency_ms", kind="quantile_ratio", limit=3, quantile=0.5)
    other = Durations(values, np.arange(4))

    weighted = check_quantile_ratio(median, Durations(values, np.arange(4), weights), other, alpha=0.05)
    plain = check_quantile_ratio(median, Durations(repeated, np.arange(8)), other, alpha=0.05)

    assert weighted.control == plain.control == 4


def test_treatment_of_one_and_a_half_times_the_latency_breaks_and_an_equal_one_is_kept():
    control = requests(1.0, users=20_000, seed=1)

    slow = check_quantile_ratio(LATENCY, control, requests(1.5, users=20_000, seed=2), alpha=0.05)
    same = check_quantile_ratio(LATENCY, control, requests(1.0, users=20_000, seed=3), alpha=0.05)

    assert slow.estimate == pytest.approx(1.5, rel=0.05)
    assert (slow.status, same.status) == ("broken", "kept")
    assert slow.low < 1.5 < slow.high


def test_tail_of_few_requests_is_too_early():
    few, enough = (
        check_quantile_ratio(
            LATENCY, requests(1.0, users=n, seed=1), requests(3.0, users=n, seed=2), alpha=0.05
        ).status
        for n in (1_249, 1_250)  # 4,996 and 5,000 requests: 50 are the slowest hundredth
    )

    assert (few, enough) == ("too_early", "broken")


def test_latency_at_its_limit_is_seldom_called_broken():
    found = [
        check_quantile_ratio(
            LATENCY,
            requests(1.0, users=1_500, seed=seed),
            requests(1.2, users=1_500, seed=500 + seed),
            alpha=0.05,
        ).status
        for seed in range(150)
    ]

    assert found.count("too_early") == 0
    assert found.count("broken") <= 7  # one look: far below 5 %
    assert found.count("kept") <= 7
