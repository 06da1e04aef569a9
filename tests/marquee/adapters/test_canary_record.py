from pathlib import Path

import pytest

from marquee.adapters.canary_record import CanaryBusyError, CanaryError, CanaryRecord
from marquee.adapters.object_store import open_store
from marquee.monitoring.canary import decide, record_of, start
from tests.marquee.monitoring.canary_factory import GOOD, NOW, at_step, minutes, seen

LASTING = minutes(5)


@pytest.fixture
def record(tmp_path: Path) -> CanaryRecord:
    made = CanaryRecord.of(open_store(str(tmp_path)), "marquee")
    made.begin(start("old", "new", now=NOW), now=NOW)
    return made


def test_take_by_another_before_the_end_is_refused(record: CanaryRecord):
    record.take("one", now=NOW, lasting=LASTING)

    with pytest.raises(CanaryBusyError) as caught:
        record.take("two", now=NOW + minutes(4.9), lasting=LASTING)
    assert caught.value.exit_code == 3


def test_take_after_the_end_makes_the_first_one_lose_its_turn(record: CanaryRecord):
    first = record.take("one", now=NOW, lasting=LASTING)
    second = record.take("two", now=NOW + LASTING, lasting=LASTING)

    record.require(second)
    with pytest.raises(CanaryBusyError):
        record.require(first)
    with pytest.raises(CanaryBusyError):
        record.save(first, at_step(1))
    assert record.read() == second.state


def test_save_with_release_gives_the_turn_back(record: CanaryRecord):
    turn = record.take("one", now=NOW, lasting=LASTING)
    record.save(turn, at_step(1), release=True)

    assert record.take("two", now=NOW, lasting=LASTING).state == at_step(1)


def test_begin_beside_a_rollout_is_refused(record: CanaryRecord):
    with pytest.raises(CanaryError, match="is under way"):
        record.begin(start("old", "third", now=NOW), now=NOW)


def test_decision_without_its_state_is_replaced(record: CanaryRecord):
    before = at_step(1)
    for minute in (1, 2):
        now = NOW + minutes(minute)
        after, decision = decide(before, seen(GOOD), now=now)
        key = record.decided(record_of(before, seen(GOOD), after, decision, now=now))

    assert record.decisions() == (key,)
    assert key == "canary/marquee/20260302T120000Z/decision-0001.json"
    assert b'"at": "2026-03-02T12:02:00Z"' in record.store.read(key).content


def test_read_of_another_release_is_refused(record: CanaryRecord):
    found = record.store.read(record.key)
    record.store.write(
        record.key,
        found.content.replace(b'"schema_version": 1', b'"schema_version": 2'),
        expected=found.version,
    )

    with pytest.raises(CanaryError, match="none of our records"):
        record.read()


@pytest.mark.parametrize("name", ["", "../up", ".hidden", "a/b"])
def test_name_that_is_no_file_name_is_refused(record: CanaryRecord, name: str):
    with pytest.raises(CanaryError, match="can't name a rollout"):
        CanaryRecord.of(record.store, name)
