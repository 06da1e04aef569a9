import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from marquee.monitoring.canary import decide, postpone, record_of, replay, start
from marquee.monitoring.canary_checks import checks, critical
from marquee.monitoring.canary_config import CanaryConfig, CanaryStep
from marquee.monitoring.canary_counts import Arm, Histogram, Observation
from marquee.monitoring.canary_state import LOG_LENGTH, CanaryState, DecisionRecord
from tests.marquee.monitoring.canary_factory import (
    BAD,
    GOOD,
    GOOD_CHAMPION,
    NOW,
    arm,
    at_step,
    minutes,
    seen,
)

CONFIG = CanaryConfig()
NOTHING = Observation(is_ready=True, missing="no series")


def standing(canary: Arm, champion: Arm = GOOD_CHAMPION) -> dict[str, str]:
    return {check.name: check.standing for check in checks(champion, canary, CONFIG)}


def test_checks_of_like_arms_are_all_kept():
    assert set(standing(GOOD).values()) == {"kept"}


@pytest.mark.parametrize(
    ("name", "canary"),
    [
        ("error share", arm(2_000, errors=42)),
        ("empty share", arm(2_000, empty=100)),
        ("degraded share", arm(2_000, degraded=100)),
        ("p99", arm(2_000, slow=0.08)),
    ],
)
def test_checks_name_the_one_that_is_broken(name: str, canary: Arm):
    broken = [each for each, found in standing(canary).items() if found == "broken"]

    assert broken == [name]


def test_checks_of_a_tiny_sample_are_neither_broken_nor_kept():
    assert set(standing(arm(20, errors=1, empty=1, degraded=1)).values()) == {"unsure"}


def test_check_of_p99_beyond_the_buckets_proves_nothing():
    beyond = Arm(requests=50_000, seconds=Histogram(bounds=(0.01,), counts=(25_000, 25_000)))

    assert standing(beyond, beyond)["p99"] == "unsure"


def test_check_of_scores_in_other_buckets_proves_nothing():
    one, other = (
        GOOD.model_copy(update={"scores": Histogram(bounds=bounds, counts=(500, 500))})
        for bounds in ((0.0,), (1.0,))
    )

    assert standing(one, other)["score distance"] == "unsure"


@pytest.mark.parametrize(
    ("new", "expected"), [({"ease": 950, "als": 1_050}, "kept"), ({"popular": 2_000}, "broken")]
)
def test_check_of_sources_compares_routes_by_name(new: dict[str, float], expected: str):
    old = GOOD_CHAMPION.model_copy(update={"sources": {"als": 50_000.0, "ease": 50_000.0}})

    assert standing(GOOD.model_copy(update={"sources": new}), old)["source distance"] == expected


def test_critical_needs_more_than_a_few_errors():
    assert critical(arm(2, errors=2), CONFIG) == ""  # one in a hundred at a true share of 10 %
    assert "surely over 10%" in critical(arm(30, errors=15), CONFIG)


def test_decide_before_the_minutes_are_over_continues():
    state, decision = decide(at_step(1), seen(GOOD), now=NOW + minutes(29))

    assert (decision.verdict, decision.reason) == ("continue", "29.0 of 30 min at 1 %")
    assert (state.step, state.last_good_at) == (1, NOW + minutes(29))


def test_decide_with_too_few_requests_continues():
    _, decision = decide(at_step(1), seen(arm(999)), now=NOW + minutes(31))

    assert (decision.verdict, decision.reason) == ("continue", "999 of 1000 requests an arm at 1 %")


def test_decide_when_all_is_proven_promotes_to_the_next_step():
    state, decision = decide(at_step(1), seen(GOOD), now=NOW + minutes(30))

    assert (decision.verdict, state.phase) == ("promote", "stepping")
    assert (state.current.percent, state.step_since) == (5, None)
    assert state.reference == GOOD_CHAMPION


def test_decide_when_the_minimum_is_there_but_proves_nothing_holds():
    state, decision = decide(at_step(1), seen(arm(1_000, errors=4)), now=NOW + minutes(31))

    assert decision.verdict == "hold"
    assert decision.reason.startswith("not proven yet: error share +0.30 pp")
    assert (state.step, state.failed_checks) == (1, 0)


def test_decide_on_two_failed_checks_in_a_row_rolls_back():
    first, one = decide(at_step(1), seen(BAD), now=NOW + minutes(1))
    second, two = decide(first, seen(BAD), now=NOW + minutes(2))

    assert (one.verdict, first.failed_checks) == ("hold", 1)
    assert (two.verdict, second.phase) == ("roll_back", "rolling_back")
    assert two.reason.startswith("failed check 2 of 2: error share +2.90 pp")


def test_decide_on_a_good_check_between_two_failed_ones_goes_on():
    state = at_step(1)
    for minute, observation in enumerate((seen(BAD), seen(GOOD), seen(BAD)), start=1):
        state, decision = decide(state, observation, now=NOW + minutes(minute))

    assert (decision.verdict, state.failed_checks) == ("hold", 1)


def test_decide_on_two_failed_checks_of_one_moment_counts_one():
    first, _ = decide(at_step(1), seen(BAD), now=NOW + minutes(1))
    second, decision = decide(first, seen(BAD), now=NOW + minutes(1.1))

    assert (decision.verdict, second.failed_checks) == ("hold", 1)


def test_decide_on_a_critical_check_rolls_back_at_once():
    state, decision = decide(at_step(1), seen(arm(100, errors=40)), now=NOW + minutes(1))

    assert (decision.verdict, state.phase) == ("roll_back", "rolling_back")


def test_decide_on_a_fault_of_the_last_minutes_fails_the_check():
    _, decision = decide(at_step(3), seen(GOOD, recent=arm(500, errors=40)), now=NOW + minutes(25))

    assert decision.verdict == "hold"
    assert "lately error share" in decision.reason


@pytest.mark.parametrize("observation", [NOTHING, seen(GOOD).model_copy(update={"is_ready": False})])
def test_decide_without_metrics_holds_then_rolls_back(observation: Observation):
    state, first = decide(at_step(1), observation, now=NOW + minutes(1))
    state, before = decide(state, observation, now=NOW + minutes(15.9))
    state, after = decide(state, observation, now=NOW + minutes(16))

    assert [each.verdict for each in (first, before, after)] == ["hold", "hold", "roll_back"]
    assert state.phase == "rolling_back"


def test_decide_with_metrics_again_forgets_that_they_were_missing():
    state, _ = decide(at_step(1), NOTHING, now=NOW + minutes(1))
    state, _ = decide(state, seen(GOOD), now=NOW + minutes(10))
    state, decision = decide(state, NOTHING, now=NOW + minutes(17))

    assert decision.verdict == "hold"


def test_decide_keeps_failed_checks_over_missing_metrics():
    state, _ = decide(at_step(1), seen(BAD), now=NOW + minutes(1))
    state, _ = decide(state, NOTHING, now=NOW + minutes(2))
    state, decision = decide(state, seen(BAD), now=NOW + minutes(3))

    assert decision.verdict == "roll_back"


@pytest.mark.parametrize(
    ("canary", "champion", "words"),
    [
        (arm(0), arm(99_000), "the canary answered none of about 1000 requests that were due"),
        (arm(100), arm(0), "the champion answered none of about 9900 requests that were due"),
    ],
)
def test_decide_takes_an_arm_without_its_requests_for_unmeasured(canary: Arm, champion: Arm, words: str):
    _, decision = decide(at_step(1), seen(canary, champion), now=NOW + minutes(1))

    assert decision.verdict == "hold"
    assert words in decision.reason


def test_decide_at_zero_percent_needs_a_ready_canary_and_no_metrics():
    waiting, hold = decide(at_step(0), Observation(is_ready=False), now=NOW + minutes(2))
    state, promote = decide(waiting, Observation(is_ready=True), now=NOW + minutes(3))

    assert (hold.verdict, promote.verdict) == ("hold", "promote")
    assert state.current.percent == 1


def test_decide_at_a_hundred_percent_compares_with_the_champion_before():
    baking = at_step(5, reference=GOOD_CHAMPION)
    alone = arm(0)

    _, early = decide(baking, seen(GOOD, alone), now=NOW + minutes(59))
    state, decision = decide(baking, seen(GOOD, alone), now=NOW + minutes(60))
    _, bad = decide(baking, seen(BAD, alone), now=NOW + minutes(60))

    assert (early.verdict, bad.verdict) == ("continue", "hold")
    assert (decision.verdict, state.phase) == ("promote", "promoting")


def test_decide_at_a_hundred_percent_leaves_room_for_another_load():
    worse = arm(100_000, errors=800)  # + .7 pp: more than .5, less than twice that

    at_fifty, _ = decide(at_step(4), seen(worse), now=NOW + minutes(30))
    at_hundred, decision = decide(
        at_step(5, reference=GOOD_CHAMPION), seen(worse, arm(0)), now=NOW + minutes(30)
    )

    assert (at_fifty.failed_checks, at_hundred.failed_checks, decision.verdict) == (1, 0, "continue")


def test_decide_at_a_hundred_percent_without_a_reference_is_unmeasured():
    _, decision = decide(at_step(5), seen(GOOD), now=NOW + minutes(60))

    assert decision.reason.startswith("the champion was never measured")


def test_decide_after_the_longest_time_rolls_back_even_a_good_one():
    state, decision = decide(at_step(1), seen(GOOD), now=NOW + minutes(12 * 60 + 1))

    assert (decision.verdict, decision.reason) == ("roll_back", "not promoted within 12 h of the start")
    assert state.phase == "rolling_back"


@pytest.mark.parametrize("changes", [{"phase": "promoted"}, {"step_since": None}])
def test_decide_where_nothing_is_to_be_decided_refuses(changes: dict[str, object]):
    with pytest.raises(ValueError, match="nothing to decide"):
        decide(at_step(1).model_copy(update=changes), seen(GOOD), now=NOW)


def test_postpone_waits_and_then_goes_back():
    state, first = postpone(at_step(1), "not ready", now=NOW)
    state, last = postpone(state, "not ready", now=NOW + minutes(15))

    assert (first.verdict, last.verdict, state.phase) == ("hold", "roll_back", "rolling_back")


amounts = st.integers(0, 5_000)
arms = st.builds(
    lambda n, errors, empty, degraded, slow: arm(
        n + errors, errors=errors, empty=min(empty, n), degraded=min(degraded, n), slow=slow
    ),
    amounts, amounts, amounts, amounts, st.floats(0, 0.1),
)  # fmt: skip


@given(arms, arms, st.integers(0, 5), st.integers(0, 800), st.booleans())
def test_decide_replayed_from_its_json_gives_the_same_verdict(
    canary: Arm, champion: Arm, step: int, minute: int, is_ready: bool
):
    before = at_step(step, reference=GOOD_CHAMPION)
    observation = seen(canary, champion).model_copy(update={"is_ready": is_ready})
    now = NOW + minutes(minute)
    after, decision = decide(before, observation, now=now)

    text = record_of(before, observation, after, decision, now=now).model_dump_json()

    assert replay(DecisionRecord.model_validate_json(text)) == decision


@given(arms, st.integers(1, 4), st.integers(0, 700))
def test_decide_never_promotes_what_fails_and_never_skips_a_step(canary: Arm, step: int, minute: int):
    state, decision = decide(at_step(step), seen(canary), now=NOW + minutes(minute))

    broken = any(check.standing == "broken" for check in checks(GOOD_CHAMPION, canary, CONFIG))
    assert state.step in {step, step + 1}
    assert (state.step == step + 1) == (decision.verdict == "promote")
    assert not (broken and decision.verdict == "promote")


def test_state_survives_its_json():
    state, _ = decide(at_step(1), seen(GOOD), now=NOW + minutes(30))

    assert CanaryState.model_validate_json(state.model_dump_json()) == state


def test_log_makes_one_entry_of_equal_verdicts_and_stays_short():
    state = at_step(1)
    for minute in range(5):
        state, _ = decide(state, seen(GOOD), now=NOW + minutes(minute))
    long = state
    for minute in range(300):
        long = long.noted("observed", "again", at=NOW + minutes(minute))

    assert [(entry.verdict, entry.times) for entry in state.log] == [("start", 1), ("continue", 5)]
    assert state.log[-1].until == NOW + minutes(4)
    assert len(long.log) == LOG_LENGTH


def test_start_without_a_zone_is_refused():
    with pytest.raises(ValidationError, match="timezone"):
        start("old", "new", now=NOW.replace(tzinfo=None))


@pytest.mark.parametrize(
    ("percents", "words"),
    [
        ((0, 50), "end with 100"),
        ((1, 100), "begin with 0"),
        ((0, 5, 5, 100), "grow"),
        ((100,), "at least two"),
    ],
)
def test_config_refuses_steps_that_lead_nowhere(percents: tuple[int, ...], words: str):
    steps = tuple(CanaryStep(percent=percent, minutes=1, requests=1) for percent in percents)

    with pytest.raises(ValidationError, match=words):
        CanaryConfig(steps=steps)


def test_config_refuses_a_time_in_which_the_steps_can_not_be_done():
    with pytest.raises(ValidationError, match="more than max_hours"):
        CanaryConfig(max_hours=3)


def test_histogram_refuses_what_is_none():
    with pytest.raises(ValidationError, match="one count a bound"):
        Histogram(bounds=(1.0,), counts=(1.0,))
