"""A store that fails is left alone, and asked again by one."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from serving.breaker import FAILURES_TO_OPEN, FIRST_PAUSE_S, LONGEST_PAUSE_S, Breaker


@dataclass
class Clock:
    """Stands still until told."""

    now_s: float = 100.0
    breaker: Breaker = field(init=False)

    def __post_init__(self) -> None:
        self.breaker = Breaker(clock=lambda: self.now_s)


def opened() -> Clock:
    """After just enough failures."""
    clock = Clock()
    for _ in range(FAILURES_TO_OPEN):
        assert clock.breaker.may_ask()
        clock.breaker.failed()
    return clock


def test_breaker_opens_at_the_fifth_failure_in_a_row():
    breaker = Clock().breaker
    opens = []
    for _ in range(6):
        breaker.failed()
        opens.append(breaker.is_open)

    assert FAILURES_TO_OPEN == 5
    assert opens == [False] * 4 + [True, True]
    assert not breaker.may_ask()


def test_breaker_counts_anew_after_a_success():
    breaker = Clock().breaker
    for _ in range(4):
        breaker.failed()
    breaker.succeeded()
    for _ in range(4):
        breaker.failed()

    assert not breaker.is_open
    assert breaker.may_ask()


def test_open_breaker_lets_one_through_after_the_pause_and_nobody_beside_it():
    clock = opened()
    clock.now_s += FIRST_PAUSE_S - 0.01
    assert not clock.breaker.may_ask()

    clock.now_s += 0.01

    assert [clock.breaker.may_ask() for _ in range(3)] == [True, False, False]


def test_trial_that_succeeds_closes_and_the_next_pause_is_the_first_again():
    clock = opened()
    clock.now_s += FIRST_PAUSE_S
    assert clock.breaker.may_ask()
    clock.breaker.failed()  # the pause doubles
    clock.now_s += 2 * FIRST_PAUSE_S
    assert clock.breaker.may_ask()
    clock.breaker.succeeded()
    assert [clock.breaker.may_ask() for _ in range(3)] == [True, True, True]

    for _ in range(FAILURES_TO_OPEN):
        clock.breaker.failed()
    clock.now_s += FIRST_PAUSE_S

    assert clock.breaker.may_ask()


def test_trials_that_fail_double_the_pause_up_to_the_longest():
    clock = opened()
    waited = []
    for _ in range(7):
        began = clock.now_s
        while not clock.breaker.may_ask():
            clock.now_s += 0.0625
        waited.append(clock.now_s - began)
        clock.breaker.failed()

    assert waited == [0.25, 0.5, 1.0, 2.0, 4.0, LONGEST_PAUSE_S, LONGEST_PAUSE_S]


def test_trial_that_was_cancelled_leaves_its_turn_to_the_next():
    clock = opened()
    clock.now_s += FIRST_PAUSE_S
    assert clock.breaker.may_ask()

    clock.breaker.gave_up()

    assert clock.breaker.is_open
    assert [clock.breaker.may_ask(), clock.breaker.may_ask()] == [True, False]


def test_failures_of_those_let_through_before_do_not_prolong_the_pause():
    clock = opened()
    for _ in range(60):
        clock.breaker.failed()

    clock.now_s += FIRST_PAUSE_S

    assert clock.breaker.may_ask()


@given(st.lists(st.sampled_from(["ask", "ok", "fail", "cancel", "wait"]), max_size=60))
def test_breaker_never_stays_shut_for_longer_than_the_longest_pause(steps):
    clock = Clock()
    under_way = 0
    for step in steps:
        if step == "wait":
            clock.now_s += 0.3
        elif step == "ask":
            under_way += clock.breaker.may_ask()
        elif under_way:
            under_way -= 1
            {"ok": clock.breaker.succeeded, "fail": clock.breaker.failed, "cancel": clock.breaker.gave_up}[
                step
            ]()
    for _ in range(under_way):  # whoever was let through says how it went
        clock.breaker.gave_up()

    clock.now_s += LONGEST_PAUSE_S

    assert clock.breaker.may_ask()
