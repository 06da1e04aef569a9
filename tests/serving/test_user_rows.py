"""A user's row within a bounded time, whatever the store does."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest

from marquee.errors import FeatureStoreError
from serving.breaker import FAILURES_TO_OPEN, LONGEST_PAUSE_S, Breaker
from serving.user_rows import MAX_WAITING, READERS, UserRows, UserState

NOW = datetime(2024, 6, 1, tzinfo=UTC)
PATIENT_S = 20.0
T = TypeVar("T")


@dataclass
class Store:
    """Answers, fails, or holds everybody until it is let go."""

    error: Exception | None = None
    asked: list[str] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def read(self, user_id: str, now: datetime) -> Mapping[str, Any]:
        self.asked.append(user_id)
        assert self.gate.wait(PATIENT_S)
        if self.error is not None:
            raise self.error
        return {"user": user_id, "at": now}


@contextmanager
def rows_of(
    store: Store, *, timeout_s: float = PATIENT_S, breaker: Breaker | None = None
) -> Iterator[UserRows]:
    rows = UserRows(store.read, timeout_s=timeout_s, breaker=breaker or Breaker())
    try:
        yield rows
    finally:
        store.gate.set()
        rows.close()


def run(call: Callable[[], Awaitable[T]]) -> T:
    async def main() -> T:
        return await call()

    return asyncio.run(main())


def faults(states: list[UserState]) -> list[str | None]:
    return [state.fault for state in states]


def test_row_is_what_the_store_answers_as_of_the_moment():
    with rows_of(Store()) as rows:
        state = run(lambda: rows.get("u1", NOW))

    assert state == UserState({"user": "u1", "at": NOW})
    assert state.is_known
    assert not UserState({"user": None}).is_known


def test_store_that_was_not_opened_is_absent_and_is_there_as_soon_as_it_is():
    store = Store()
    rows = UserRows(None, timeout_s=PATIENT_S)
    before = run(lambda: rows.get("u1", NOW))
    rows.read = store.read
    after = run(lambda: rows.get("u1", NOW))
    rows.close()

    assert (before.fault, dict(before.values)) == ("store_absent", {})
    assert after.fault is None
    assert store.asked == ["u1"]


def test_store_that_holds_its_answer_is_not_waited_for():
    store = Store()
    store.gate.clear()
    with rows_of(store, timeout_s=0.02) as rows:
        state = run(lambda: rows.get("u1", NOW))

    assert (state.fault, dict(state.values)) == ("store_timeout", {})


class Loop:
    """A store that an event loop asks: answers at once, late, or with an error."""

    def __init__(self, *, late_s: float = 0.0, error: Exception | None = None) -> None:
        self.late_s, self.error = late_s, error
        self.asked: list[str] = []
        self.given_up = 0
        self.is_closed = False

    async def __call__(self, user_id: str, now: datetime) -> Mapping[str, Any]:
        self.asked.append(user_id)
        try:
            await asyncio.sleep(self.late_s)
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        if self.error is not None:
            raise self.error
        return {"user": user_id, "at": now, "thread": threading.current_thread().name}

    async def close(self) -> None:
        self.is_closed = True


def test_store_that_the_event_loop_can_ask_is_asked_without_a_thread():
    store, loop = Store(), Loop()
    with rows_of(store) as rows:
        rows.ask = loop
        state = run(lambda: rows.get("u1", NOW))
        run(rows.hang_up)

    assert state == UserState({"user": "u1", "at": NOW, "thread": threading.main_thread().name})
    assert (loop.asked, loop.is_closed, store.asked) == (["u1"], True, [])


def test_question_of_the_event_loop_that_takes_too_long_is_given_up():
    loop = Loop(late_s=PATIENT_S)
    with rows_of(Store(), timeout_s=0.02) as rows:
        rows.ask = loop
        state = run(lambda: rows.get("u1", NOW))

    assert (state.fault, dict(state.values), loop.given_up) == ("store_timeout", {}, 1)
    assert rows._under_way == 0


def test_event_loops_store_that_fails_is_left_alone_and_a_caller_that_goes_away_leaves_the_trial_open():
    now_s = [0.0]
    loop = Loop(error=FeatureStoreError("gone.", remedy="Start it."))

    async def life(rows: UserRows) -> list[UserState]:
        rows.ask = loop
        states = [await rows.get(f"u{number}", NOW) for number in range(FAILURES_TO_OPEN + 1)]
        loop.error, loop.late_s = None, PATIENT_S
        now_s[0] += LONGEST_PAUSE_S
        trial = asyncio.ensure_future(rows.get("trial", NOW))
        await asyncio.sleep(0)
        trial.cancel()
        await asyncio.wait([trial])
        loop.late_s = 0.0
        return [*states, await rows.get("back", NOW)]

    with rows_of(Store(), breaker=Breaker(clock=lambda: now_s[0])) as rows:
        states = run(lambda: life(rows))

    assert faults(states) == ["store_error"] * 5 + ["store_paused", None]
    assert loop.asked[-2:] == ["trial", "back"]


def test_too_many_questions_of_the_event_loop_are_busy():
    loop = Loop(late_s=0.05)

    async def life(rows: UserRows) -> list[UserState]:
        rows.ask = loop
        return list(await asyncio.gather(*(rows.get(f"u{number}", NOW) for number in range(MAX_WAITING + 3))))

    with rows_of(Store()) as rows:
        states = run(lambda: life(rows))

    assert faults(states) == [None] * MAX_WAITING + ["store_busy"] * 3


def test_store_that_fails_again_and_again_is_left_alone_until_a_trial_succeeds(
    caplog: pytest.LogCaptureFixture,
):
    now_s = [0.0]
    store = Store(error=FeatureStoreError("gone.", remedy="Start it."))

    async def life(rows: UserRows) -> list[UserState]:
        states = [await rows.get(f"u{number}", NOW) for number in range(FAILURES_TO_OPEN + 3)]
        store.error = None
        now_s[0] += LONGEST_PAUSE_S
        return [*states, *[await rows.get("back", NOW) for _ in range(3)]]

    with rows_of(store, breaker=Breaker(clock=lambda: now_s[0])) as rows:
        states = run(lambda: life(rows))

    assert faults(states) == ["store_error"] * 5 + ["store_paused"] * 3 + [None] * 3
    assert store.asked == ["u0", "u1", "u2", "u3", "u4", "back", "back", "back"]
    assert caplog.messages == [
        "the online store is left alone for a while: gone.",
        "the online store answers again",
    ]


def test_too_many_reads_under_way_are_busy_and_the_store_is_not_asked_for_them():
    store = Store()
    store.gate.clear()

    async def life(rows: UserRows) -> list[UserState]:
        waiting = [asyncio.ensure_future(rows.get(f"u{number}", NOW)) for number in range(MAX_WAITING)]
        await asyncio.sleep(0)  # each has begun to wait
        beyond = await rows.get("beyond", NOW)
        store.gate.set()
        return [beyond, *await asyncio.gather(*waiting), await rows.get("after", NOW)]

    with rows_of(store) as rows:
        states = run(lambda: life(rows))

    assert faults(states) == ["store_busy"] + [None] * (MAX_WAITING + 1)
    assert "beyond" not in store.asked
    assert states[-1].values["user"] == "after"


def test_reads_that_hang_give_their_threads_back_when_the_store_answers():
    store = Store()
    store.gate.clear()

    async def life(rows: UserRows) -> list[str | None]:
        hung = [await rows.get(f"hung{number}", NOW) for number in range(READERS)]
        store.gate.set()
        rows.timeout_s = PATIENT_S
        return faults([*hung, await rows.get("back", NOW)])

    with rows_of(store, timeout_s=0.01) as rows:
        found = run(lambda: life(rows))

    assert found == ["store_timeout"] * READERS + [None]


@pytest.mark.parametrize("end", ["cancelled", "fault of ours"])
def test_trial_that_ends_without_an_answer_leaves_its_turn_to_the_next(end):
    now_s = [0.0]
    store = Store(error=FeatureStoreError("gone.", remedy="Start it."))

    async def life(rows: UserRows) -> list[UserState]:
        for number in range(FAILURES_TO_OPEN):
            await rows.get(f"u{number}", NOW)
        now_s[0] += LONGEST_PAUSE_S
        if end == "cancelled":
            store.gate.clear()
            trial = asyncio.ensure_future(rows.get("trial", NOW))
            await asyncio.sleep(0.01)
            trial.cancel()
            with pytest.raises(asyncio.CancelledError):
                await trial
            store.gate.set()
        else:
            store.error = ZeroDivisionError()
            with pytest.raises(ZeroDivisionError):
                await rows.get("trial", NOW)
        store.error = None
        return [await rows.get("next", NOW)]

    with rows_of(store, breaker=Breaker(clock=lambda: now_s[0])) as rows:
        states = run(lambda: life(rows))

    assert faults(states) == [None]
    assert store.asked[-2:] == ["trial", "next"]
