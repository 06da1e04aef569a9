import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.monitoring.drift_config import DriftPolicyConfig
from marquee.monitoring.drift_policy import DriftState, Outcome, decide
from marquee.monitoring.evidence import Observation
from marquee.monitoring.omnibus import OMNIBUS
from marquee.monitoring.signals import KINDS, QUALITY, SIGNALS, SURPRISE

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
INPUT = "genre_psi"


def seen(number: int = 0, *, days: float = 1.0, **differences) -> Observation:
    """A quiet window of 100 users, `days` after the one before."""
    values = {
        "window_id": f"w{number}", "ended_at_us": round(number * days * DAY_US), "bundle_id": "one",
        "users": 100, "pool": 500, "z": dict.fromkeys(SIGNALS, 0.0),
    }  # fmt: skip
    return Observation(**{**values, **differences})


def loud(number: int, signal: str = INPUT, z: float = 4.5, **differences) -> Observation:
    return seen(number, z={**dict.fromkeys(SIGNALS, 0.0), signal: z}, **differences)


def run(*windows: Observation, state: DriftState | None = None, **config) -> list[Outcome]:
    state, made = state or DriftState(), []
    for window in windows:
        outcome, state = decide(state, window, DriftPolicyConfig(**config))
        made.append(outcome)
    return made


def verdicts(*windows: Observation, **more) -> list[str]:
    return [each.verdict for each in run(*windows, **more)]


def test_quiet_window_asks_for_nothing():
    assert verdicts(seen()) == ["none"]


def test_one_loud_window_is_watched_and_the_second_of_three_retrains():
    assert verdicts(loud(0), seen(1), loud(2)) == ["watch", "none", "retrain"]


def test_loud_windows_further_apart_are_no_alarm():
    assert verdicts(loud(0), seen(1), seen(2), loud(3)) == ["watch", "none", "none", "watch"]


def test_signal_at_the_threshold_does_not_speak():
    assert verdicts(loud(0, z=4.0), loud(1, z=4.0)) == ["none", "none"]


def test_quality_in_one_window_and_inputs_in_another_are_an_alarm_of_the_later_one():
    newest = run(loud(0, QUALITY), seen(1), loud(2))[-1]

    assert (newest.verdict, newest.tier) == ("retrain", "B")
    assert "(2 of the last 3 windows)" in newest.reason
    assert run(loud(0), loud(1, QUALITY))[-1].tier == "A"
    assert verdicts(loud(0, QUALITY), seen(1), seen(2), loud(3)) == ["watch", "none", "none", "watch"]


def test_quality_beyond_all_doubt_needs_no_second_window():
    outcome = run(loud(0, QUALITY, 5.1))[0]

    assert (outcome.verdict, outcome.tier) == ("retrain", "A")
    assert verdicts(loud(0, QUALITY, 4.9)) == ["watch"]


@pytest.mark.parametrize(
    ("windows", "cause"),
    [
        ([loud(0, QUALITY, 5.1)], "decline"),
        ([loud(0, QUALITY), loud(1, QUALITY)], "decline"),
        ([loud(0), loud(1)], "drift"),
        ([loud(0, QUALITY), loud(1)], "drift"),
        ([seen(0, learned_events=100, known_events=120)], "refresh"),
        ([loud(0, QUALITY, 5.1, learned_events=100, known_events=120)], "decline"),
    ],
)
def test_cause_of_a_training_is_the_lists_the_inputs_or_the_growth(windows, cause):
    newest = run(*windows)[-1]

    assert newest.retrain
    assert newest.cause == cause


def both(number: int, *signals: str, z: float = 4.5, **differences) -> Observation:
    return seen(number, z={**dict.fromkeys(SIGNALS, 0.0), **dict.fromkeys(signals, z)}, **differences)


@pytest.mark.parametrize(
    ("signals", "said"),
    [
        (("genre_psi", "history_length_wasserstein"), ("retrain", "B")),
        (("age_wasserstein", "top_score_wasserstein"), ("retrain", "B")),
        (("genre_psi", QUALITY), ("retrain", "A")),
        (("genre_psi", "item_bucket_psi", "year_wasserstein"), ("watch", "")),  # of one kind, however many
        (("rating_wasserstein", "user_mean_rating_t"), ("watch", "")),
        (("genre_psi",), ("watch", "")),
    ],
)
def test_evidence_of_two_kinds_needs_no_second_window(signals, said):
    outcome = run(both(0, *signals))[0]

    assert (outcome.verdict, outcome.tier) == said
    assert all(signal in outcome.reason for signal in signals)
    assert verdicts(both(0, *signals), kinds_at_once=7) == ["watch"]


@pytest.mark.parametrize(
    ("signal", "verdict"),
    [
        ("history_length_wasserstein", "retrain"),
        ("age_wasserstein", "retrain"),
        ("rating_wasserstein", "retrain"),
        ("source_mix_psi", "retrain"),
        ("genre_psi", "watch"),
        ("item_bucket_psi", "watch"),
        ("year_wasserstein", "watch"),
        (SURPRISE, "none"),  # tier C has a threshold of its own
    ],
)
def test_input_beyond_all_doubt_needs_no_second_window_unless_it_is_what_they_watch(signal, verdict):
    assert verdicts(loud(0, signal, 5.1)) == [verdict]
    assert verdicts(loud(0, signal, 4.9)) == ["none" if signal == SURPRISE else "watch"]


def test_signal_of_another_release_says_nothing():
    assert verdicts(seen(0, z={"of_tomorrow": 9.0})) == ["none"]


def test_input_beyond_all_doubt_waits_for_a_cooldown():
    promoted = [loud(0), loud(1), seen(2, bundle_id="two")]

    assert verdicts(*promoted, loud(3, "age_wasserstein", 9.0, bundle_id="two"))[-1] == "report"


def spread(number: int, z: float | None, **differences) -> Observation:
    """No signal is loud, and all kinds together are so many deviations from the usual."""
    return seen(number, z={**dict.fromkeys(SIGNALS, 1.9), OMNIBUS: z}, **differences)


def test_evidence_spread_over_many_kinds_needs_no_second_window():
    outcome = run(spread(0, 3.6))[0]

    assert (outcome.verdict, outcome.tier, outcome.cause) == ("retrain", "B", "drift")
    assert outcome.reason == "all kinds together z = 3.6 (1 of the last 3 windows)."
    assert verdicts(spread(0, 3.5)) == ["none"]
    assert verdicts(spread(0, 3.6), omnibus=3.6) == ["none"]


@pytest.mark.parametrize(
    ("z", "said"),
    [
        ((2.9, 3.2), ["none", "retrain"]),  # (2.9 + 3.2) / √2 = 4.3
        ((3.2, 1.8), ["none", "retrain"]),  # 3.54
        ((3.2, 1.7), ["none", "none"]),  # 3.46
        ((2.9, 0.5, 2.9), ["none", "none", "none"]),  # of two windows in a row
        ((2.9, None, 3.2), ["none", "none", "none"]),  # what was not measured is no window between
        ((-3.0, 3.6), ["none", "retrain"]),  # a quiet window takes nothing away
    ],
)
def test_evidence_gathers_over_two_windows(z, said):
    assert verdicts(*(spread(number, each) for number, each in enumerate(z))) == said


@pytest.mark.parametrize("fault", [{"quality": "block"}, {"users": 20}])
def test_window_that_nobody_could_judge_is_not_gathered_and_parts_those_around_it(fault):
    unheard = spread(1, 9.0, **fault)

    assert verdicts(spread(0, 3.2), unheard, spread(2, 3.2))[-1] == "none"
    assert verdicts(spread(0, 3.2), unheard, spread(2, 2.9), spread(3, 2.9))[-2:] == ["none", "retrain"]


def test_promotion_forgets_what_was_gathered_and_a_refresh_does_not():
    grown = spread(0, 3.2, learned_events=100, known_events=120)
    alarmed = [loud(0), loud(1, z=4.5)]

    assert verdicts(grown, spread(1, 3.2, bundle_id="two")) == ["refresh", "retrain"]
    assert verdicts(*alarmed, spread(2, 3.2, bundle_id="two"))[-1] == "none"


def test_spread_evidence_waits_for_a_cooldown():
    promoted = [loud(0), loud(1), seen(2, bundle_id="two")]

    assert verdicts(*promoted, spread(3, 9.0, bundle_id="two"))[-1] == "report"


def test_lists_that_got_worse_in_it_make_it_a_decline():
    worse = spread(0, 3.6).model_copy(update={"z": {QUALITY: 4.2, OMNIBUS: 3.6}})

    assert run(worse)[0].cause == "decline"


def test_source_mix_is_evidence_of_its_kind():
    assert verdicts(loud(0, source_distance=0.12)) == ["retrain"]
    assert verdicts(loud(0, "top_score_wasserstein", source_distance=0.12)) == ["watch"]


def test_every_signal_is_of_some_kind():
    assert set(SIGNALS.values()) == set(KINDS)


def test_inputs_that_moved_are_reported_only_where_the_lists_got_better():
    better = {**dict.fromkeys(SIGNALS, 0.0), INPUT: 4.5, QUALITY: -4.5}

    assert verdicts(seen(0, z=better), seen(1, z=better)) == ["watch", "report"]


def test_surge_of_an_item_trains_nothing_however_often():
    windows = [loud(number, SURPRISE, 9.0, surprise=9.0) for number in range(4)]

    assert verdicts(*windows) == ["surge"] * 4


def test_broken_feed_is_blocked_and_no_vote():
    outcomes = verdicts(loud(0), loud(1, quality="block"), seen(2), loud(3))

    assert outcomes == ["watch", "blocked", "none", "retrain"]  # two of the three that could be judged


@pytest.mark.parametrize("few", [{"users": 29}, {"pool": 299}])
def test_too_few_users_leave_the_alarm_as_it_was(few: dict[str, int]):
    windows = [loud(0), loud(1, users=59), seen(2, **few), seen(3)]

    assert verdicts(*windows) == ["watch", "report", "insufficient", "retrain"]


def test_users_enough_to_test_but_not_to_act_are_reported():
    assert verdicts(loud(0, users=59), loud(1, users=59)) == ["watch", "report"]


def test_source_mix_counts_by_its_distance_from_sixty_users_on():
    assert verdicts(seen(0, source_distance=0.1, users=60)) == ["watch"]
    assert verdicts(seen(0, source_distance=0.1, users=59)) == ["none"]


def test_promotion_begins_a_cooldown_of_four_windows_and_forgets_the_alarm():
    windows = [loud(0), loud(1), *(loud(number, bundle_id="two") for number in range(2, 8))]

    # The promotion is seen at window 2: windows 2 to 5 cool down, and 6 is the first that may act.
    assert verdicts(*windows) == [
        "watch",
        "retrain",
        "watch",
        "report",
        "report",
        "report",
        "retrain",
        "report",
    ]


def test_lists_that_collapsed_wait_for_no_cooldown_but_for_the_weeks_cap():
    promoted = [seen(0), seen(1, bundle_id="two")]
    collapsed = [loud(number, QUALITY, 5.1, bundle_id="two") for number in (2, 3, 4, 5)]
    bad = [loud(number, QUALITY, 4.9, bundle_id="two") for number in (2, 3)]

    assert verdicts(*promoted, *collapsed)[2:] == ["retrain", "retrain", "report", "report"]
    assert verdicts(*promoted, *bad)[2:] == ["watch", "report"]


def test_cooldown_lasts_a_day_however_short_the_windows():
    windows = [seen(0, days=0.1), *(loud(number, days=0.1, bundle_id="two") for number in range(1, 13))]

    made = verdicts(*windows)

    assert (
        made.index("retrain") == 11
    )  # a day is ten windows of 2.4 hours, after the one that saw the promotion
    assert set(made[2:11]) == {"report"}


def test_training_without_a_promotion_is_asked_for_again_after_one_window():
    windows = [loud(number) for number in range(4)]

    assert verdicts(*windows) == ["watch", "retrain", "report", "retrain"]


def test_order_counts_as_a_promotion_where_the_bundle_is_not_known():
    windows = [loud(number, bundle_id="") for number in range(7)]

    assert verdicts(*windows) == ["watch", "retrain", "watch", "report", "report", "report", "retrain"]


def test_two_trainings_in_seven_days_are_all():
    made = verdicts(*(loud(number) for number in range(12)))

    assert [number for number, verdict in enumerate(made) if verdict == "retrain"] == [1, 3, 8, 10]
    assert verdicts(*(loud(number) for number in range(12)), weekly_cap=0).count("retrain") == 0


def test_alarm_ends_after_three_calm_windows():
    held = [loud(0, users=59), loud(1, users=59)]

    almost = verdicts(*held, seen(2, users=59), seen(3, users=59), seen(4))
    ended = verdicts(*held, seen(2, users=59), seen(3, users=59), loud(4, z=1.9))

    assert almost[-1] == ended[-1] == "none"
    assert verdicts(*held, seen(2, users=59), seen(3))[-1] == "retrain"
    assert verdicts(*held, seen(2, users=59), seen(3, users=59), loud(4, z=2.0))[-1] == "retrain"


def test_same_window_again_is_the_same_decision_and_changes_nothing():
    _, state = decide(DriftState(), loud(0))
    first, state = decide(state, loud(1))

    again, after = decide(state, loud(1))

    assert first.verdict == "retrain"
    assert (again, after) == (first, state)


def test_older_window_changes_nothing():
    _, state = decide(DriftState(), loud(5))

    late, after = decide(state, loud(3))

    assert (late.verdict, after) == ("stale", state)


def test_key_names_policy_window_and_bundle():
    assert run(seen(3))[0].key == "5-w3-one"
    assert run(seen(3, bundle_id=""))[0].key == "5-w3-unknown"


def test_signals_that_were_not_measured_say_nothing():
    assert verdicts(seen(0, z=dict.fromkeys(SIGNALS))) == ["none"]


streams = st.lists(
    st.fixed_dictionaries(
        {
            "z": st.fixed_dictionaries({name: st.none() | st.floats(-8, 12) for name in (INPUT, QUALITY)}),
            "users": st.sampled_from([10, 45, 80]),
            "quality": st.sampled_from(["pass", "warn", "block"]),
            "bundle_id": st.sampled_from(["", "one", "two"]),
            "surprise": st.none() | st.floats(0, 20),
        }
    ),
    max_size=40,
)


@given(streams)
def test_policy_keeps_its_promises_whatever_comes(stream: list[dict]):
    windows = [seen(number, **values) for number, values in enumerate(stream)]
    state = DriftState()
    ordered: list[int] = []
    collapsed = {each.ended_at_us for each in windows if (each.z.get(QUALITY) or 0.0) > 5.0}
    for window in windows:
        outcome, after = decide(state, window)
        assert decide(state, window) == (outcome, after)
        assert decide(after, window) == (outcome, after)
        if outcome.retrain:
            assert window.quality != "block"
            assert window.users >= 60
            ordered.append(window.ended_at_us)
        state = DriftState.model_validate_json(after.model_dump_json())
        assert state == after
    for moment in ordered:
        assert sum(moment - 7 * DAY_US < other <= moment for other in ordered) <= 2
    for earlier, later in pairwise(ordered):
        assert later - earlier >= 2 * DAY_US or later in collapsed


def grown(number: int, known: int, learned: int = 1000, signal: str = "", **differences) -> Observation:
    """A window at whose end `known` events are there; the model learned from `learned`."""
    given = {"learned_events": learned, "known_events": known, "days": 7.0, **differences}
    return loud(number, signal, **given) if signal else seen(number, **given)


def test_refresh_is_asked_for_when_the_data_has_grown_by_its_share():
    assert verdicts(grown(0, 1109), grown(1, 1110)) == ["none", "refresh"]

    outcome = run(grown(0, 1110))[0]
    assert outcome.retrain
    assert outcome.tier == ""
    assert outcome.reason == "The data has grown by 11% since the model learned. No signal speaks."


@pytest.mark.parametrize(
    ("known", "learned_users", "known_users", "growth"),
    [(1200, 100, 110, 0.2), (1050, 100, 120, 0.2), (1050, 0, 120, 0.05), (1000, 100, 100, 0.0)],
)
def test_growth_is_that_of_events_or_of_users_whichever_is_more(known, learned_users, known_users, growth):
    window = grown(0, known, learned_users=learned_users, known_users=known_users)

    assert window.growth == pytest.approx(growth)
    assert verdicts(window) == ["refresh" if growth > 0.11 else "none"]


def test_refresh_needs_to_know_what_the_model_learned_and_can_be_turned_off():
    assert verdicts(grown(0, 5000, learned=0)) == ["none"]
    assert verdicts(grown(0, 5000), refresh_growth=None) == ["none"]


def test_refresh_needs_no_user_but_a_feed_that_is_whole():
    assert verdicts(grown(0, 1200, users=5)) == ["refresh"]
    assert verdicts(grown(0, 1200, quality="block")) == ["blocked"]


def test_refresh_that_was_refused_is_asked_for_again_after_one_window():
    windows = [grown(number, 1200 + 10 * number) for number in range(4)]

    assert verdicts(*windows) == ["refresh", "none", "refresh", "none"]


def test_refreshes_keep_to_the_weeks_cap_and_to_a_day_between_two():
    windows = [grown(number, 1200, days=0.5) for number in range(10)]

    made = verdicts(*windows)

    assert [number for number, each in enumerate(made) if each == "refresh"] == [0, 2]
    assert verdicts(*windows[:6], cooldown_after_failure=0) == [*["refresh", "none"] * 2, "none", "none"]


def test_promotion_of_a_refresh_keeps_the_votes_and_begins_no_cooldown():
    windows = [grown(0, 1200, signal=INPUT), grown(1, 1220, 1200, signal=INPUT, bundle_id="two")]

    made = run(*windows)

    assert [each.verdict for each in made] == ["refresh", "retrain"]
    assert "(2 of the last 3 windows)" in made[1].reason


def test_promotion_of_a_refresh_is_known_though_other_windows_came_between():
    windows = [
        grown(0, 1200),
        grown(1, 1210, signal=INPUT),
        grown(2, 1220, 1200, signal=INPUT, bundle_id="two"),
    ]

    assert verdicts(*windows) == ["refresh", "watch", "retrain"]


def test_alarm_in_a_cooldown_is_answered_once_there_is_something_new_to_learn():
    promoted = [loud(0, days=7.0), loud(1, days=7.0), seen(2, days=7.0, bundle_id="two")]
    later = [grown(number, 1000 + 60 * (number - 2), signal=INPUT, bundle_id="two") for number in (3, 4)]

    made = run(*promoted, *later)[3:]

    assert [each.verdict for each in made] == ["watch", "retrain"]
    assert made[1].tier == "B"
    assert made[1].reason.startswith("The data has grown by 12% since the model learned. genre_psi z = 4.5")
    assert verdicts(*promoted, *later, refresh_growth=None)[3:] == ["watch", "report"]


def test_lists_that_got_worse_make_an_alarm_of_a_refresh():
    outcome = run(grown(0, 1200, signal=QUALITY))[0]

    assert (outcome.verdict, outcome.tier, outcome.cause) == ("retrain", "A", "decline")
    assert outcome.reason == (
        "The data has grown by 20% since the model learned. ndcg_t z = 4.5, in this window only."
    )
    assert verdicts(grown(0, 1050, signal=QUALITY)) == ["watch"]


@pytest.mark.parametrize("few", [{"users": 59}, {"users": 29}, {"pool": 299}])
def test_lists_of_too_few_users_leave_a_refresh_what_it_is(few):
    outcome = run(grown(0, 1200, signal=QUALITY, **few))[0]

    assert (outcome.verdict, outcome.cause) == ("refresh", "refresh")


def test_promotion_of_a_refresh_that_answered_worse_lists_begins_a_cooldown():
    windows = [
        grown(0, 1200, days=7.0, signal=QUALITY),
        *(grown(number, 1210, 1200, days=7.0, signal=INPUT, bundle_id="two") for number in (1, 2)),
    ]

    assert verdicts(*windows) == ["retrain", "watch", "report"]


def test_surge_that_goes_with_a_refresh_is_still_said():
    outcome = run(grown(0, 1200, signal=SURPRISE, surprise=9.0))[0]

    assert (outcome.verdict, outcome.tier) == ("refresh", "C")


@given(
    st.lists(st.tuples(st.integers(0, 3000), st.booleans()), min_size=1, max_size=30),
    st.floats(0.05, 1.0),
)
def test_refreshes_of_daily_windows_are_two_a_week_at_most(
    windows: list[tuple[int, bool]], growth: float
) -> None:
    """However the data grows and whatever is promoted."""
    state, bundle, ordered = DriftState(), 0, []
    config = DriftPolicyConfig(refresh_growth=growth)
    for day, (known, is_promoted) in enumerate(windows):
        outcome, state = decide(state, grown(day, known, days=1.0, bundle_id=f"b{bundle}"), config)
        if outcome.retrain:
            assert known / 1000 - 1 >= growth
            ordered.append(day)
            bundle += is_promoted
    assert all(later - day >= 7 for day, later in zip(ordered, ordered[2:], strict=False))


def test_state_that_an_older_release_left_is_gone_on_from():
    _, state = decide(DriftState(), loud(0))
    left = state.model_dump(mode="json")
    del left["pending"]  # unknown to policy 2

    outcome, _ = decide(DriftState.model_validate_json(json.dumps(left)), loud(1))

    assert outcome.verdict == "retrain"
