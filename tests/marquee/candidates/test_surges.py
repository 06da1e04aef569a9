"""When a surge begins and ends, and what makes no difference to it."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from marquee.candidates.surges import (
    OUT,
    Level,
    SurgeConfig,
    SurgeScorer,
    expected_totals,
    follow,
    usual_users,
)
from marquee.features.surprise import gamma_poisson_surprise
from tests.factories import DAY_S, HOUR_S, SECOND_US, events

NOW_S = 40 * DAY_S
CONFIG = SurgeConfig()
few = settings(max_examples=8, deadline=None)


@cache
def ordinary(times=1):
    """Forty days in which ten items are chosen, each by one new user every two hours, `times` over."""
    hours = range(0, NOW_S // HOUR_S, 2)
    return tuple(
        (f"u{hour}-{item}-{copy}", f"i{item}", hour * HOUR_S + 60 * item)
        for hour in hours
        for item in range(10)
        for copy in range(times)
    )


def crowd(n, item="i3", *, hours_ago=3, per_user=1):
    """New users, all at once."""
    at = NOW_S - hours_ago * HOUR_S
    return [(f"fan{user}", item, at + number) for user in range(n) for number in range(per_user)]


def found(rows, *, now_s=NOW_S, **knobs):
    return SurgeScorer(events(*rows), now_s * SECOND_US, SurgeConfig(**knobs)).surges()


def essence(surges):
    return [(each.item_index, each.since_us, each.users, round(each.score, 6)) for each in surges]


def test_ordinary_traffic_has_no_surge():
    assert found(ordinary()) == []


def test_surge_says_how_many_of_how_many_expected_and_since_when():
    surges = found([*ordinary(), *crowd(30)])

    assert len(surges) == 1
    surge = surges[0]
    # Of 6 hours: 3 ordinary users and 30 more, where the share of a tenth promised 60 ÷ 10.
    assert (surge.item_index, surge.hours, surge.users) == (3, 6, 33)
    assert surge.expected == pytest.approx((3 * 10 + 30) / 10)
    expected = gamma_poisson_surprise(np.array([33]), np.array([6.0]), shape=8)[0]
    assert surge.surprise == pytest.approx(expected)
    assert surge.since_us == (NOW_S - 2 * HOUR_S) * SECOND_US  # the first whole hour after they came
    assert surge.score == pytest.approx(expected * 0.5 ** (2 / 12))


def test_surge_of_another_title_begins_later_and_comes_first():
    surges = found([*ordinary(), *crowd(40, "i3", hours_ago=9), *crowd(40, "i5", hours_ago=2)])

    assert [surge.item_index for surge in surges] == [5, 3]
    assert surges[0].since_us > surges[1].since_us


@pytest.mark.parametrize(("users", "n_surges"), [(4, 0), (5, 1)])
def test_surge_of_a_new_title_needs_five_users(users, n_surges):
    surges = found([*ordinary(), *crowd(users, "new")])

    assert len(surges) == n_surges


@few
@given(st.integers(1, 400), st.integers(1, 4))
def test_a_bots_many_events_are_one_user(per_user, n):
    rows = [*ordinary(), *crowd(n, "new", per_user=per_user)]

    assert found(rows) == []


@few
@given(st.integers(8, 40), st.integers(0, 99))
def test_repeats_and_order_of_events_change_nothing(n, seed):
    rows = [*ordinary(), *crowd(n)]
    rng = np.random.default_rng(seed)
    again = [rows[at] for at in rng.permutation([*range(len(rows)), *rng.integers(0, len(rows), 200)])]

    assert essence(found(again)) == essence(found(rows))


@few
@given(st.integers(0, 60), st.integers(0, 5 * HOUR_S))
def test_events_from_the_moment_on_change_nothing(n, later_s):
    rows = [*ordinary(), *crowd(30)]
    future = [(f"later{user}", "i7", NOW_S + later_s) for user in range(n)]

    assert essence(found([*rows, *future])) == essence(found(rows))


@few
@given(st.integers(0, 60))
def test_event_that_comes_late_counts_where_it_happened(n):
    late = crowd(n, hours_ago=30)
    rows = [*ordinary(), *crowd(30)]

    assert essence(found([*late, *rows])) == essence(found([*rows, *late]))


@pytest.mark.parametrize("times", [2, 5])
def test_more_traffic_of_everything_is_no_surge(times):
    base = ordinary()
    busy = [row for row in ordinary(times) if row[2] >= NOW_S - 2 * DAY_S]

    assert found([*base, *busy]) == []


@few
@given(st.lists(st.integers(0, 30), min_size=4, max_size=4), st.integers(2, 5))
def test_expected_share_does_not_depend_on_the_scale_of_traffic(users, times):
    def level(copies):
        rows = [(f"{user}{copy}", item, at) for user, item, at in ordinary() for copy in range(copies)]
        rows += [
            (f"{user}{item}{copy}", f"i{item}", NOW_S - HOUR_S)
            for item, n in enumerate(users)
            for user in range(n)
            for copy in range(copies)
        ]
        scorer = SurgeScorer(events(*rows), NOW_S * SECOND_US, SurgeConfig(prior=1e-9))
        return scorer.level(6, np.arange(10), 1)

    one, many = level(1), level(times)

    np.testing.assert_allclose(many.expected, times * one.expected, rtol=1e-6)
    np.testing.assert_array_equal(many.users, times * one.users)


def test_surge_is_noticed_at_the_same_moment_whenever_one_looks():
    rows = [*ordinary(), *crowd(40)]

    since = {
        found(rows, now_s=NOW_S + minutes * 60)[0].since_us for minutes in (-100, -59, 0, 10, 59, 60, 100)
    }

    assert since == {(NOW_S - 2 * HOUR_S) * SECOND_US}


def test_surge_fades_and_ends():
    rows = [*ordinary(), *crowd(30, hours_ago=24 * 10)]
    looks = [found(rows, now_s=NOW_S - 10 * DAY_S + hours * HOUR_S) for hours in (1, 4, 20, 30)]

    assert [len(each) for each in looks] == [1, 1, 1, 0]
    scores = [each[0].score for each in looks[:3]]
    assert scores == sorted(scores, reverse=True)


def test_young_service_has_no_surge_in_its_first_week():
    rows = [row for row in ordinary() if row[2] >= NOW_S - 5 * DAY_S]

    assert found([*rows, *crowd(60)]) == []
    assert len(found([*rows, *crowd(60)], least_baseline_days=2)) == 1


def test_no_event_is_no_surge():
    nothing = events(("a", "x", 1)).take(np.zeros(1, bool))

    assert SurgeScorer(nothing, NOW_S * SECOND_US, CONFIG).surges() == []


def level(surprise, users=None):
    values = np.array([surprise], np.float64)
    seen = np.full(values.shape, 9) if users is None else np.array([users])
    return Level(6, seen.astype(np.int32), values, values)


def test_surge_begins_above_enter_and_ends_below_leave():
    since = follow([level([3, 4.7, 3, 2.5, 2.4, 4, 5])], CONFIG)

    assert since.tolist() == [[OUT, 1, 1, 1, OUT, OUT, 6]]


def test_surge_needs_the_users_of_the_window_that_surprises():
    short, long = level([9, 9], users=[4, 5]), level([0, 0], users=[50, 50])

    assert follow([short, long], CONFIG).tolist() == [[OUT, 1]]


def test_surge_lasts_while_any_window_surprises():
    assert follow([level([5, 0, 0]), level([0, 3, 2])], CONFIG).tolist() == [[0, 0, OUT]]


@given(st.lists(st.floats(0, 10), min_size=1, max_size=40))
def test_states_are_those_of_a_walk_by_hand(surprises):
    since, by_hand = OUT, []
    for step, each in enumerate(surprises):
        if each < CONFIG.leave:
            since = OUT
        elif since == OUT and each > CONFIG.enter:
            since = step
        by_hand.append(since)

    assert follow([level(surprises)], CONFIG).tolist() == [by_hand]


def test_usual_users_are_the_baselines_mean_window_times_its_windows():
    # Windows of 2 steps, a baseline of 4: at step 4 it holds the windows that end at steps 0, 1 and 2.
    usual = usual_users(np.array([[3, 6, 9, 100, 100, 100]]), 2, 4)

    np.testing.assert_allclose(usual, [[6 * 2, (6 + 9 + 100) / 3 * 2]])


def test_auto_takes_the_forecast_where_it_is_believed_and_else_the_traffic():
    hour = np.arange(6 * 168)
    totals = np.random.default_rng(0).poisson(200 + 150 * np.sin(2 * np.pi * hour / 24)).astype(float)
    totals[-3:] = 5_000  # all come at once: the level to expect stays

    level = expected_totals(totals, hours=6, config=CONFIG)

    np.testing.assert_array_equal(level[:300], totals[:300])  # no forecast yet
    assert (level[-3:] < 500).all()


def test_auto_scorer_expects_what_the_season_promised_and_not_what_the_crowd_brings():
    season = [
        (f"u{hour}-{item}-{copy}", f"i{item}", hour * HOUR_S)
        for hour in range(NOW_S // HOUR_S)
        for item in range(10)
        for copy in range(4 if hour % 24 >= 12 else 1)
    ]

    own, auto = (found([*season, *crowd(100)], expected_total=total) for total in ("own", "auto"))

    assert [each.item_index for each in auto] == [each.item_index for each in own] == [3]
    # In the 6 hours there were 4 · 10 · 6 ordinary choices, of which a tenth is each item's.
    assert auto[0].expected == pytest.approx(24, rel=0.05)
    assert own[0].expected == pytest.approx((240 + 100) / 10, rel=0.02)


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"leave": 5}, "leave 5.0 must be below enter 4.6"),
        ({"window_hours": (6, 504)}, "must be from 1 to below the baseline's"),
        ({"window_hours": (0,)}, "must be from 1"),
        ({"step_minutes": 7}, "step_minutes"),
    ],
)
def test_config_that_makes_no_sense_is_refused(knobs, said):
    with pytest.raises(ValidationError, match=said):
        SurgeConfig(**knobs)
