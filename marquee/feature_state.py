"""Brings a data set's feature store up to its snapshot: tables, declarations, online rows, item matrix.

data/features/<dataset>/
  current → versions/<id>   the views' tables
  registry.db, online.db    of the local profile
  item_matrix/              what servers hold
  built_from.json           the snapshot's parts that the tables were built from
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from marquee import schema
from marquee.adapters.feast import FeatureDoor, item_rows
from marquee.adapters.feast.reader import FeastReader
from marquee.data.dataset import Dataset
from marquee.data.snapshot import Snapshot
from marquee.data.warehouse import Warehouse
from marquee.errors import FeatureStoreError
from marquee.features.item_matrix import (
    SERVICE,
    ItemMatrix,
    export_item_matrix,
    item_views,
)
from marquee.features.state import SideTables, StateContents, StateFolder, build_state, update_state
from marquee.features.state.folder import CURRENT
from marquee.features.state.record import is_online, read_record, with_matrix, with_online, write_record
from marquee.settings import Settings

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Progress = Callable[[float, float], None]


def _silent(_done: float, _total: float) -> None:
    return None


@dataclass(frozen=True)
class _Source:
    """The parts of a snapshot, by table and partition."""

    parts: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(cls, snapshot: Snapshot) -> "_Source":
        return cls(
            {
                table: {part.partition: part.sha256 for part in parts}
                for table, parts in snapshot.tables.items()
            }
        )

    def partitions(self, table: str) -> Mapping[str, str]:
        return self.parts.get(table, {})


@dataclass(frozen=True, eq=False)
class FeatureState:
    """The feature store of one data set, under the profile of the settings."""

    root: Path
    matrix: Path
    """The folder of the item matrix's versions."""
    settings: Settings
    environment: Mapping[str, str]

    @classmethod
    def of(cls, storage: str, settings: Settings, *, environment: Mapping[str, str]) -> "FeatureState":
        """Of the data set whose warehouse has this name."""
        root = settings.state(storage).absolute()
        return cls(root, settings.item_matrix(storage), settings, environment)

    def open(self, profile: str | None = None) -> FeatureDoor:
        """The store itself, under the settings' profile or another.

        Raises:
            ConfigError: the profile does not fit.
        """
        here = {"MARQUEE_STATE_URL": str(self.root / CURRENT)}  # where the place names no other
        environment = {**here, **self.environment, "MARQUEE_STATE": str(self.root)}
        return FeatureDoor.of(
            profile or self.settings.profile, repo=self.settings.feature_repo, environment=environment
        )

    def build(
        self, warehouse: Warehouse, snapshot: Snapshot, dataset: Dataset, *, on_progress: Progress = _silent
    ) -> str:
        """Build the tables of a snapshot, or only what changed since the one they were built of.

        Returns:
            The state's id: equal events and tables, equal id, whichever way it was built.

        Raises:
            MarqueeError: as `build_state`.
        """
        source = _Source.of(snapshot)
        folder = StateFolder(self.root)
        record, contents = read_record(self.root), _readable(folder)
        before = _Source(record["parts"]) if record and contents else None
        if before and contents and record and record["state"] == contents.id and before == source:
            return contents.id
        tables = SideTables(dataset.users, dataset.movies, dataset.publicity)
        told = _told(on_progress)
        new = _changed(before, source, snapshot)
        if new is None:
            report = build_state(
                self.root, warehouse.scan_interactions(snapshot), tables=tables, on_progress=told
            )
        else:
            report = update_state(
                self.root, warehouse.scan_interactions(new), tables=tables, on_progress=told
            )
        done = {"parts": source.parts, "state": report.state_id, "online": (record or {}).get("online")}
        write_record(self.root, done)
        return report.state_id

    def declare(self) -> FeastReader:
        """Bring the registry in line with the declarations, and give the way to read.

        Raises:
            FeatureStoreError: that would change what a service means, or delete something.
        """
        door = self.open()
        declared = door.declarations(self.settings.feature_repo)
        if door.plan(declared).changes:
            door.apply(declared)
        return FeastReader(door)

    def bring_online(
        self, door: FeatureDoor, *, as_of: datetime, now: datetime, on_progress: Progress = _silent
    ) -> ItemMatrix:
        """Materialise what is not online yet, and export all movies' state as of a moment for servers.

        Raises:
            FeatureStoreError: a store does not answer, or the export looks like an accident.
        """
        record = read_record(self.root) or {}
        state = record.get("state")
        if not is_online(record, door.profile.name, state):
            door.materialise(
                start=_EPOCH,
                end=now,
                journal=self.root / "materialise.json",
                on_progress=lambda _view, done, total: on_progress(done, total),
            )
            record = with_online(record, door.profile.name, state)
            write_record(self.root, record)
        rows = item_rows(door, SERVICE, item_views(SERVICE), at=as_of)
        matrix = export_item_matrix(rows, self.matrix, as_of=as_of, now=now)
        write_record(self.root, with_matrix(record, state, as_of_us=matrix.as_of_us, version=matrix.version))
        return matrix


def _readable(folder: StateFolder) -> StateContents | None:
    """What was built; None where nothing was, or an older release or a fault left what can't be read."""
    try:
        return folder.contents()
    except FeatureStoreError:
        return None


def _changed(before: _Source | None, source: _Source, snapshot: Snapshot) -> Snapshot | None:
    """The snapshot with the partitions of events that are new or changed; None where all is to be built.

    Partitions only grow: a changed one holds its old events, too, which the state knows already.
    """
    if before is None:
        return None
    old, new = (each.partitions(schema.INTERACTIONS) for each in (before, source))
    if not set(old) <= set(new):
        return None
    changed = {name for name in new if old.get(name) != new[name]}
    parts = tuple(part for part in snapshot.tables[schema.INTERACTIONS] if part.partition in changed)
    return snapshot.model_copy(update={"tables": {schema.INTERACTIONS: parts} if parts else {}})


def _told(on_progress: Progress) -> Callable[[str, int, int | None], None]:
    return lambda _what, done, total: on_progress(done, total or 0)
