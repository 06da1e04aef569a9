"""The thread that makes lists: in order, with faults, and with callers that go away."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from serving.scoring import ScoringThread


@pytest.fixture
def scoring() -> Iterator[ScoringThread]:
    made = ScoringThread()
    yield made
    made.close()


def test_calls_are_made_in_order_by_one_thread_that_is_not_the_loops(scoring):
    made: list[tuple[int, str]] = []

    async def life() -> None:
        loop = asyncio.get_running_loop()
        note = lambda place: made.append((place, threading.current_thread().name))  # noqa: E731
        await asyncio.gather(*(scoring.submit(note, place, loop) for place in range(20)))

    asyncio.run(life())

    assert made == [(place, "scoring") for place in range(20)]


def test_fault_of_a_call_is_its_callers_and_the_thread_goes_on(scoring):
    async def life() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(ZeroDivisionError):
            await scoring.submit(lambda number: 1 / number, 0, loop)
        await scoring.submit(lambda number: 1 / number, 1, loop)

    asyncio.run(life())


def test_call_whose_caller_went_away_before_its_turn_is_left_out(scoring):
    gate, made = threading.Event(), list[str]()

    async def life() -> None:
        loop = asyncio.get_running_loop()
        under_way = scoring.submit(lambda _: gate.wait(20), None, loop)
        gone, kept = (scoring.submit(made.append, name, loop) for name in ("gone", "kept"))
        gone.cancel()
        gate.set()
        await asyncio.gather(under_way, kept)

    asyncio.run(life())

    assert made == ["kept"]


def test_loop_that_ended_meanwhile_hurts_nobody(scoring):
    gate, made = threading.Event(), list[str]()

    async def ask_and_leave() -> None:
        scoring.submit(lambda _: gate.wait(20), None, asyncio.get_running_loop())

    asyncio.run(ask_and_leave())
    gate.set()

    async def ask() -> None:
        await scoring.submit(made.append, "next", asyncio.get_running_loop())

    asyncio.run(ask())

    assert made == ["next"]


def test_end_comes_after_the_calls_that_wait():
    scoring, gate, made = ScoringThread(), threading.Event(), list[int]()
    nobody = asyncio.new_event_loop()
    scoring.submit(lambda _: gate.wait(20), None, nobody)
    for place in range(3):
        scoring.submit(made.append, place, nobody)
    nobody.close()
    gate.set()

    scoring.close()
    scoring.close()

    assert made == [0, 1, 2]
