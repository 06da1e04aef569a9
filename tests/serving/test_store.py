"""The online store of a server: opened when it can be, and only for bundles that learned its features."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from marquee import schema
from marquee.errors import FeatureStoreError
from serving.slots import DEFAULT, Slots
from serving.store import Store
from serving.user_rows import UserRows
from tests.serving.bundles import bundle_like, copy_of
from tests.serving.test_slots import Witness
from tests.small_run import Place

NOW = datetime(2024, 6, 1, tzinfo=UTC)


@pytest.fixture
def own(trained: Place, tmp_path: Path) -> Place:
    return copy_of(trained, tmp_path / "place")


@pytest.fixture
def rows():
    made = UserRows(None, timeout_s=20.0)
    yield made
    made.close()


def slots_of(place: Place, **more: Path) -> Slots:
    places = {DEFAULT: place.latest / "bundle", **more}
    return Slots.load(places, matrix_folder=place.settings.item_matrix, observer=Witness())


def row_of(rows: UserRows, user: str):
    return asyncio.run(rows.get(user, NOW))


def test_store_gives_rows_as_soon_as_it_is_connected(trained, rows):
    store = Store(trained.settings, environment={})
    store.connect(rows, slots_of(trained).current.values())

    known, unknown = row_of(rows, "u004"), row_of(rows, "stranger")

    assert (known.fault, known.values[schema.USER_EVENTS_ALL]) == (None, 30)
    assert (unknown.fault, unknown.is_known) == (None, False)
    assert rows.service_hash == store.door.service_hash("ranking_v1")


def test_store_without_a_registry_is_said_once_and_opened_when_it_is_there(
    own, trained, rows, tmp_path, caplog
):
    found = own.settings.state(trained.storage) / "registry.db"
    found.rename(tmp_path / "away")
    store, slots = Store(own.settings, environment={}), slots_of(own)
    for _ in range(3):
        store.connect(rows, slots.current.values())
    assert row_of(rows, "u004").fault == "store_absent"
    assert rows.service_hash == ""

    (tmp_path / "away").rename(found)
    for _ in range(2):
        store.connect(rows, slots.current.values())

    assert row_of(rows, "u004").values[schema.USER_EVENTS_ALL] == 30
    said = [record.getMessage() for record in caplog.records if record.name == "marquee.serving"]
    assert len(said) == 2
    assert "there is no registry" in said[0]
    assert said[1] == "users' rows are there"


def test_store_that_was_not_opened_believes_bundles_and_an_open_one_checks_them(trained, tmp_path):
    store = Store(trained.settings, environment={})
    odd = tmp_path / "odd"
    bundle_like((trained.latest / "bundle").resolve(), odd, services={"ranking_v1": "0" * 64})
    slot = slots_of(trained, odd=odd).slot("odd")

    store.require(slot)
    store.open(slot.storage)

    with pytest.raises(FeatureStoreError, match="the model was made with 000000000000"):
        store.require(slot)


def test_store_is_not_asked_for_a_variant_that_learned_other_features(trained, rows, tmp_path, caplog):
    odd = tmp_path / "odd"
    bundle_like((trained.latest / "bundle").resolve(), odd, services={"ranking_v1": "0" * 64})
    slots = slots_of(trained, odd=odd)

    Store(trained.settings, environment={}).connect(rows, slots.current.values())

    assert row_of(rows, "u004").fault == "store_absent"
    assert "the model was made with 000000000000" in caplog.text


def test_store_that_does_not_answer_at_first_answers_later(own, trained, rows, caplog):
    online = own.settings.state(trained.storage) / "online.db"
    content = online.read_bytes()
    online.write_bytes(b"no data base" * 100)
    Store(own.settings, environment={}).connect(rows, slots_of(own).current.values())
    assert row_of(rows, "u004").fault == "store_error"
    assert "the online store does not answer yet" in caplog.text

    online.write_bytes(content)

    assert row_of(rows, "u004").values[schema.USER_EVENTS_ALL] == 30
