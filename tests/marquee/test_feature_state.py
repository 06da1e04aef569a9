"""The feature store of a data set follows its snapshots."""

from datetime import UTC, datetime

import polars as pl
import pytest

from marquee import schema
from marquee.data.datasets.load import load_dataset
from marquee.data.datasets.prepare import Prepared, prepare_dataset
from marquee.data.warehouse import Warehouse
from marquee.feature_state import FeatureState
from marquee.features.item_matrix import ItemMatrixFolder
from marquee.features.state import StateFolder, build_state, update_state
from marquee.settings import Settings
from tests.factories import event_table
from tests.small_run import DATASET, NOW, write_dataset

NAME = "small"
LATER = datetime(1970, 4, 20, tzinfo=UTC)


class Kept:
    """A data set that can grow, and its feature store."""

    def __init__(self, root):
        write_dataset(root / "source")
        self.source = root / "source"
        self.settings = Settings(data=root / "data")
        self.warehouse = Warehouse(self.settings.warehouse(NAME))
        self.state = FeatureState.of(NAME, self.settings, environment={})

    def prepared(self) -> Prepared:
        return prepare_dataset(
            DATASET, warehouse=self.warehouse, cache=self.settings.cache, now=NOW, source=self.source
        )

    def built(self) -> str:
        prepared = self.prepared()
        dataset = load_dataset(DATASET, self.warehouse, prepared.snapshot)
        return self.state.build(self.warehouse, prepared.snapshot, dataset)

    def add(self, *rows) -> None:
        """More events of the contract, in a file of their own."""
        mapping = self.source / "mapping.yaml"
        text = mapping.read_text(encoding="utf-8").replace("files: events.csv", 'files: "*.csv"')
        (self.source / "users.csv").rename(self.source / "users.table")  # no file of events
        mapping.write_text(text.replace("users: users.csv\n", ""), encoding="utf-8")
        table = event_table(rows).with_columns(pl.col(schema.TIMESTAMP).dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
        table.write_csv(self.source / "more.csv")


@pytest.fixture
def kept(tmp_path):
    return Kept(tmp_path)


def test_build_of_the_same_snapshot_does_nothing(kept, monkeypatch):
    first = kept.built()
    monkeypatch.setattr("marquee.feature_state.build_state", None)
    monkeypatch.setattr("marquee.feature_state.update_state", None)

    assert kept.built() == first


def test_build_of_a_grown_snapshot_adds_what_is_new_and_equals_a_whole_build(kept, monkeypatch):
    kept.built()
    kept.add(("u000", "m001", 86_400 * 99, 4.0), ("u901", "m002", 86_400 * 101, 1.0))
    updates = []

    def noting(root, events, **more):
        updates.append(events.collect())
        return update_state(root, events, **more)

    monkeypatch.setattr("marquee.feature_state.update_state", noting)
    grown = kept.built()

    prepared = kept.prepared()
    events = kept.warehouse.read_interactions(prepared.snapshot)
    assert 2 <= len(updates[0]) < len(events)  # the months that changed, and no others
    dataset = load_dataset(DATASET, kept.warehouse, prepared.snapshot)
    from marquee.features.state import SideTables

    tables = SideTables(dataset.users, dataset.movies, dataset.publicity)
    assert build_state(kept.settings.data / "whole", events, tables=tables).state_id == grown


@pytest.mark.parametrize("file", ["built_from.json", "current/state.json"])
def test_build_over_what_cannot_be_read_is_made_anew(kept, file):
    first = kept.built()
    (kept.state.root / file).write_text("{", encoding="utf-8")

    again = kept.built()

    assert again == first
    assert StateFolder(kept.state.root).require().id == first


def test_bring_online_fills_the_store_and_exports_movies_once(kept, monkeypatch):
    kept.built()
    door = kept.state.declare().door

    made = kept.state.bring_online(door, as_of=LATER, now=NOW)

    assert door.get_user_row("ranking_v1", "u003", now=NOW).is_known
    assert ItemMatrixFolder(kept.settings.item_matrix(NAME)).current_version() == made.version
    monkeypatch.setattr(type(door), "materialise", None)
    assert kept.state.bring_online(door, as_of=LATER, now=NOW).version == made.version
