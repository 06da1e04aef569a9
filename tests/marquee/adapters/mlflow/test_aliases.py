from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.adapters.mlflow import Aliases, RegistryError
from marquee.adapters.mlflow.aliases import change_aliases, read_aliases
from marquee.adapters.object_store import Document, ObjectStore, open_store
from marquee.errors import ConflictError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = "registry/marquee-ml-100k.json"


def holder(number: int) -> str:
    return f"bundle{number}"


def champion(aliases: Aliases) -> str | None:
    return aliases.champion and aliases.champion.bundle_id


def promoted(*numbers: int) -> Aliases:
    aliases = Aliases()
    for number in numbers:
        aliases = aliases.promoted(holder(number), at=NOW)
    return aliases


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(str(tmp_path))


class Interrupted:
    """A store to which somebody else writes between a read and the write that follows, some times."""

    def __init__(self, store: ObjectStore, numbers: list[int]) -> None:
        self.store, self.numbers = store, numbers

    def read(self, key: str) -> Document:
        return self.store.read(key)

    def write(self, key: str, content: bytes, *, expected: str | None) -> str:
        if self.numbers:
            other = holder(self.numbers.pop(0))
            change_aliases(self.store, key, lambda old: old.promoted(other, at=NOW))
        return self.store.write(key, content, expected=expected)


def test_promoted_twice_the_second_reigns_and_the_first_comes_before():
    aliases = promoted(1, 2)

    assert champion(aliases) == holder(2)
    assert aliases.champion_before == aliases.moves[0]


def test_promoted_champion_changes_nothing():
    assert promoted(1, 1) == promoted(1)


def test_promoted_challenger_challenges_no_more():
    aliases = promoted(1).challenged_by(holder(2))

    assert aliases.by_name() == {"champion": holder(1), "challenger": holder(2)}
    assert aliases.promoted(holder(2), at=NOW).by_name() == {"champion": holder(2)}
    assert aliases.promoted(holder(3), at=NOW).by_name() == {"champion": holder(3), "challenger": holder(2)}


def test_champion_does_not_challenge_itself():
    assert promoted(1).challenged_by(holder(1)).challenger is None


def test_rolled_back_twice_goes_two_reigns_back():
    once = promoted(1, 2, 3).rolled_back(at=NOW)

    assert champion(once) == holder(2)
    assert champion(once.rolled_back(at=NOW)) == holder(1)


def test_rolled_back_then_promoted_forgets_the_reign_that_failed():
    aliases = promoted(1, 2).rolled_back(at=NOW).promoted(holder(3), at=NOW)

    assert champion(aliases.rolled_back(at=NOW)) == holder(1)
    assert [move.action for move in aliases.moves] == ["promote", "promote", "rollback", "promote"]


@pytest.mark.parametrize("numbers", [(), (1,)])
def test_rolled_back_without_a_champion_before_is_refused(numbers: tuple[int, ...]):
    with pytest.raises(RegistryError, match="no champion before"):
        promoted(*numbers).rolled_back(at=NOW)


@given(st.lists(st.none() | st.integers(1, 3)))
def test_any_moves_survive_the_document_and_keep_the_history(steps: list[int | None]):
    aliases, reigns = Aliases(), list[int]()
    for step in steps:
        if step is not None:
            aliases = aliases.promoted(holder(step), at=NOW)
            reigns += [] if reigns[-1:] == [step] else [step]
        elif len(reigns) > 1:
            aliases = aliases.rolled_back(at=NOW)
            reigns.pop()

    again = Aliases.model_validate_json(aliases.model_dump_json())

    assert again == aliases
    assert champion(again) == (holder(reigns[-1]) if reigns else None)


def test_change_of_the_first_document_makes_it(store: ObjectStore):
    change_aliases(store, KEY, lambda old: old.promoted(holder(1), at=NOW))

    assert read_aliases(store, KEY) == promoted(1)


def test_change_while_another_writes_loses_neither(store: ObjectStore):
    change_aliases(Interrupted(store, [2, 3]), KEY, lambda old: old.promoted(holder(1), at=NOW))

    assert read_aliases(store, KEY) == promoted(2, 3, 1)


def test_change_decides_anew_after_a_conflict(store: ObjectStore):
    def only_the_first(old: Aliases) -> Aliases:
        if old.champion is not None:
            raise RegistryError("somebody reigns.", remedy="Wait.")
        return old.promoted(holder(1), at=NOW)

    with pytest.raises(RegistryError, match="somebody reigns"):
        change_aliases(Interrupted(store, [2]), KEY, only_the_first)
    assert read_aliases(store, KEY) == promoted(2)


def test_change_that_always_loses_gives_up(store: ObjectStore):
    class Losing(Interrupted):
        def write(self, key: str, content: bytes, *, expected: str | None) -> str:
            raise ConflictError("others.", remedy="Again.")

    with pytest.raises(RegistryError, match="20 times in a row"):
        change_aliases(Losing(store, []), KEY, lambda old: old.promoted(holder(1), at=NOW))


ROLLBACK_TO_NOBODY = promoted(1).model_dump_json().replace('"promote"', '"rollback"')


@pytest.mark.parametrize("content", ["", "[]", '{"schema_version": 2}', ROLLBACK_TO_NOBODY])
def test_read_of_another_document_names_its_key(store: ObjectStore, content: str):
    store.write(KEY, content.encode(), expected=None)

    with pytest.raises(RegistryError, match=KEY):
        read_aliases(store, KEY)
