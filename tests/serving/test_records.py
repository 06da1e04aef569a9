"""Answers are noted soon, in order, and once."""

import asyncio
import threading

from serving.answered import Answered
from serving.protocol import Instance
from serving.records import AT_ONCE, WITHIN_S, Records
from serving.user_rows import NOBODY
from tests.serving.asking import ask, count


def answers(n: int) -> list[Answered]:
    return [Answered(f"r{number}", Instance(), None, (), NOBODY, [], 1, 1) for number in range(n)]  # type: ignore[arg-type]


def test_few_answers_wait_for_each_other_and_no_longer_than_said():
    noted: list[str] = []
    records = Records(lambda answered: noted.append(answered.request_id))

    async def add() -> None:
        for answered in answers(3):
            records.add(answered)
        await asyncio.sleep(WITHIN_S / 4)
        assert noted == []
        await asyncio.sleep(2 * WITHIN_S)
        assert noted == ["r0", "r1", "r2"]
        records.add(*answers(1))  # the next one starts the clock anew
        await asyncio.sleep(2 * WITHIN_S)

    asyncio.run(add())

    assert noted == ["r0", "r1", "r2", "r0"]


def test_many_answers_are_noted_at_once_but_after_the_last_was_given():
    noted: list[str] = []
    records = Records(lambda answered: noted.append(answered.request_id))

    async def add() -> None:
        for answered in answers(AT_ONCE):
            records.add(answered)
        assert noted == []
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(add())

    assert noted == [f"r{number}" for number in range(AT_ONCE)]


def test_answers_of_a_loop_that_ended_are_noted_with_those_of_the_next():
    noted: list[str] = []
    records = Records(lambda answered: noted.append(answered.request_id))

    async def add(answered: Answered, wait_s: float) -> None:
        records.add(answered)
        await asyncio.sleep(wait_s)

    first, second = answers(2)
    asyncio.run(add(first, 0))
    assert noted == []
    asyncio.run(add(second, 2 * WITHIN_S))

    assert noted == ["r0", "r1"]


def test_threads_that_flush_together_note_each_answer_once():
    noted: list[str] = []
    records = Records(lambda answered: noted.append(answered.request_id))
    records._waiting.extend(answers(2_000))
    threads = [threading.Thread(target=records.flush) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(noted) == sorted(f"r{each}" for each in range(2_000))


def test_metrics_that_are_read_know_of_the_last_answer(engine):
    labels = {"surface": "popular", "variant": "default", "outcome": "ok"}
    labels["bundle"] = engine.slots.default.bundle_id
    before = count(engine, "marquee_requests_total", **labels)

    ask(engine, surface="popular")

    assert count(engine, "marquee_requests_total", **labels) == before + 1
