"""A small seeded part of benchmarks/canary.py: the verdicts over whole rollouts."""

import pytest

from benchmarks.canary import HARM, VARIANTS, all_requests, roll_out
from benchmarks.canary_traffic import CHAMPION
from marquee.monitoring.canary_config import CanaryConfig

CONFIG = CanaryConfig()


@pytest.mark.parametrize("name", [name for name, (_, end) in VARIANTS.items() if end == "rolled_back"])
def test_bad_canary_is_gone_before_two_percent_of_all_requests_met_it(name: str):
    outcomes = [roll_out(VARIANTS[name][0], CONFIG, seed=seed) for seed in range(3)]

    assert {each.phase for each in outcomes} == {"rolled_back"}
    assert max(each.met for each in outcomes) < HARM * all_requests(CONFIG)


@pytest.mark.parametrize("name", [name for name, (_, end) in VARIANTS.items() if end == "promoted"])
def test_good_canary_is_promoted(name: str):
    outcomes = [roll_out(VARIANTS[name][0], CONFIG, seed=seed) for seed in range(3, 5)]

    assert {each.phase for each in outcomes} == {"promoted"}


def test_all_requests_are_those_of_the_least_period():
    assert all_requests(CONFIG) == 50 * 60 * (1 + 4 * 30 + 60)


def test_quiet_site_is_waited_for_and_not_guessed_at():
    # A tenth of a request a second: 1 % of it is 3.6 an hour, which proves nothing.
    config = CONFIG.model_copy(update={"max_hours": 3.5})

    outcome = roll_out(CHAMPION, config, seed=1, rps=0.1)

    assert (outcome.phase, outcome.percent) == ("rolled_back", 1)
    assert outcome.reason == "not promoted within 3.5 h of the start"
