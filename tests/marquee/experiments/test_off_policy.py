"""Estimates of a policy from another's log: by hand, and where the truth is known."""

import numpy as np
import pytest

from marquee.errors import ContractError, NotEnoughDataError
from marquee.experiments.off_policy import Logged, doubly_robust, ips, snips

ACTIONS = 4
QUALITY = np.array([0.1, 0.2, 0.4, 0.7])
LOGGING = np.array([0.4, 0.3, 0.2, 0.1])
TARGET = np.array([0.1, 0.2, 0.3, 0.4])
TRUTH = float(TARGET @ QUALITY)


def logged(reward, propensity, target, user=None, **more) -> Logged:
    columns = [np.asarray(each, np.float64) for each in (reward, propensity, target)]
    return Logged(*columns, np.arange(len(reward)) if user is None else np.asarray(user), **more)


def simulated(n: int, *, seed: int, per_user: int = 1, quality=QUALITY) -> Logged:
    rng = np.random.default_rng(seed)
    action = rng.choice(ACTIONS, n, p=LOGGING)
    user = np.arange(n) // per_user
    reward = (rng.random(n) < QUALITY[action]).astype(float)
    return logged(
        reward,
        LOGGING[action],
        TARGET[action],
        user,
        predicted=quality[action],
        predicted_target=np.full(n, float(TARGET @ quality)),
    )


def test_estimates_by_hand():
    log = logged([1, 0, 1], [0.5, 0.25, 0.5], [0.25, 0.5, 0.5])  # weights .5, 2, 1

    assert ips(log).estimate == pytest.approx((0.5 + 0 + 1) / 3)
    assert snips(log).estimate == pytest.approx((0.5 + 1) / 3.5)
    assert ips(log).effective_n == pytest.approx(3.5**2 / (0.25 + 4 + 1))
    values = np.array([0.5, 0, 1])
    assert ips(log).standard_error == pytest.approx(values.std(ddof=1) / np.sqrt(3))


def test_doubly_robust_by_hand():
    log = logged(
        [1, 0], [0.5, 0.5], [0.25, 1.0], predicted=np.array([0.8, 0.4]), predicted_target=np.array([0.3, 0.4])
    )

    # .3 + .5 · (1 - .8) and .4 + 2 · (0 - .4)
    assert doubly_robust(log).estimate == pytest.approx((0.4 - 0.4) / 2)


def test_same_policy_gives_the_mean_and_all_rows_count():
    log = logged([1, 0, 1, 1], [0.3, 0.2, 0.1, 0.4], [0.3, 0.2, 0.1, 0.4])

    for estimate in (ips(log), snips(log)):
        assert estimate.estimate == 0.75
        assert estimate.effective_n == 4


@pytest.mark.parametrize("method", [ips, snips, doubly_robust])
def test_interval_holds_the_truth_as_often_as_it_says(method):
    found = [method(simulated(2_000, seed=seed)).interval for seed in range(200)]

    assert np.mean([each.low <= TRUTH <= each.high for each in found]) >= 0.9


def test_good_model_makes_the_estimate_steadier_and_a_bad_one_leaves_it_right():
    good, bad = simulated(4_000, seed=1), simulated(4_000, seed=1, quality=np.full(ACTIONS, 0.9))

    assert doubly_robust(good).standard_error < ips(good).standard_error
    assert doubly_robust(bad).interval.low <= TRUTH <= doubly_robust(bad).interval.high


def test_rows_of_one_user_say_less_than_those_of_many():
    log = simulated(2_000, seed=2)
    copied = Logged(*(np.repeat(each, 4) for each in (log.reward, log.propensity, log.target, log.user)))

    for method in (ips, snips):
        assert method(copied).estimate == pytest.approx(method(log).estimate)
        assert method(copied).standard_error == pytest.approx(method(log).standard_error)


def test_few_effective_rows_and_heavy_ones_are_warned_of():
    rare = logged([1] + [0] * 999, [0.001] + [0.5] * 999, [1.0] + [0.01] * 999)

    warnings = " ".join(ips(rare).warnings)

    assert "say as much as" in warnings
    assert "of all weight" in warnings
    assert snips(simulated(5_000, seed=3)).warnings == ()


def test_propensities_that_can_not_be_right_are_warned_of():
    log = simulated(5_000, seed=4)
    halved = logged(log.reward, log.propensity / 2, log.target)

    assert "weights' mean is 2.0" in " ".join(ips(halved).warnings)


@pytest.mark.parametrize("propensity", [0.0, np.nan, -0.1, 1.5])
@pytest.mark.parametrize("method", [ips, snips])
def test_missing_or_impossible_propensity_is_refused(propensity, method):
    with pytest.raises(ContractError, match="propensity") as refused:
        method(logged([1, 0], [0.5, propensity], [0.5, 0.5]))

    assert "row 1" in refused.value.problem
    assert "1 of 2" in refused.value.problem


def test_policy_that_never_does_what_was_logged_is_refused():
    with pytest.raises(ContractError, match="never does"):
        snips(logged([1, 0], [0.5, 0.5], [0.0, 0.0]))


def test_too_few_users_and_missing_predictions_are_refused():
    with pytest.raises(NotEnoughDataError):
        ips(logged([1, 0], [0.5, 0.5], [0.5, 0.5], user=[3, 3]))
    with pytest.raises(ValueError, match="predicted"):
        doubly_robust(logged([1, 0], [0.5, 0.5], [0.5, 0.5]))
    with pytest.raises(ValueError, match="aligned"):
        ips(logged([1, 0], [0.5, 0.5], [0.5, 0.5], user=[1, 2, 3]))
