from dataclasses import replace

import pytest

from marquee.adapters.deployment import DeploymentStatus
from marquee.canary_loop import Act, reconcile
from tests.marquee.monitoring.canary_factory import NOW, at_step, minutes

SEEN = DeploymentStatus(
    stable="old", canary="new", percent=5, is_stable_ready=True, is_canary_ready=True, version="7"
)
LATER = NOW + minutes(3)


def test_reconcile_of_what_is_as_it_should_be_does_nothing():
    assert reconcile(at_step(2), SEEN, now=LATER) == (at_step(2), None)


def test_reconcile_of_a_step_that_is_wanted_sets_its_weight():
    state, act = reconcile(at_step(2, step_since=None), replace(SEEN, percent=1), now=LATER)

    assert (state.step_since, act) == (None, Act("set", 5))


def test_reconcile_of_a_step_that_came_into_force_starts_its_clock():
    state, act = reconcile(at_step(2, step_since=None), SEEN, now=LATER)

    assert (state.step_since, act) == (LATER, None)


@pytest.mark.parametrize(
    ("percent", "step", "since", "act"),
    [(25, 3, LATER, None), (1, 1, LATER, None), (10, 2, LATER, None), (30, 3, None, Act("set", 25))],
)
def test_reconcile_takes_a_weight_set_by_hand_for_the_step_below(percent, step, since, act):
    state, found = reconcile(at_step(2), replace(SEEN, percent=percent), now=LATER)

    if percent == 10:  # the step below is the one that was in force: its weight is set again
        since, act = None, Act("set", 5)
    assert (state.step, state.step_since, found) == (step, since, act)
    assert state.log[-1].verdict == "observed"


@pytest.mark.parametrize("canary", [None, "third"])
def test_reconcile_of_a_canary_that_is_not_ours_ends_and_touches_nothing(canary):
    state, act = reconcile(at_step(2), replace(SEEN, canary=canary, percent=0), now=LATER)

    assert (state.phase, act) == ("rolled_back", None)


def test_reconcile_of_a_promotion_by_hand_tells_the_registry():
    state, act = reconcile(at_step(2), replace(SEEN, stable="new", canary=None, percent=0), now=LATER)

    assert (state.phase, act) == ("promoting", Act("crown"))


def test_reconcile_beside_another_champion_takes_the_canary_back():
    state, act = reconcile(at_step(2), replace(SEEN, stable="third"), now=LATER)

    assert (state.phase, act) == ("rolling_back", Act("drop"))
    assert "the champion is third by now" in state.log[-1].reason


def test_reconcile_of_what_is_over_never_acts():
    over = at_step(2, phase="rolled_back")

    assert reconcile(over, SEEN, now=LATER) == (over, None)
