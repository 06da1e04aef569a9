"""The warehouse: a folder of immutable Parquet parts and one table of contents.

Replacing `warehouse.json` is the only commit: parts that it and the snapshots don't name are leftovers,
which the next writer removes.
"""

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import polars as pl

from marquee import schema
from marquee.data.snapshot import Contents, Part, Snapshot, paths_of
from marquee.data.storage import (
    exclusive_lock,
    install,
    local_root,
    sha256_of,
    storage_errors,
    sync,
    write_atomically,
)
from marquee.data.tables import conform
from marquee.errors import WarehouseError

ROW_GROUP_ROWS: Final = 122_880

CONTENTS: Final = "warehouse.json"
_LOCK: Final = ".lock"
_STAGING: Final = ".staging"
SNAPSHOTS: Final = "snapshots"
QUARANTINE: Final = "quarantine"
UNFINISHED: Final = ".part"
"""Suffix of a quarantine file that is still being written."""
_MIN_PREFIX: Final = 8
_PART_NAME: Final = re.compile(r"(\d{4}-\d{2}-)?[0-9a-f]{32}\.parquet")


class WarehouseWriter:
    """What the one writer of a warehouse may do; made by `Warehouse.writing`."""

    def __init__(self, root: Path, *, staging: Path, contents: Contents) -> None:
        self.root = root
        self.staging = staging
        """An empty folder for files in the making."""
        self.contents = contents

    def add_part(self, file: Path, *, table: str, partition: str, rows: int) -> Part:
        """Move a finished file of the staging folder to its place; it counts only once committed."""
        with storage_errors(self.root):
            sha256 = sha256_of(file)
            name = f"{partition}-{sha256[:32]}" if partition else sha256[:32]
            path = f"{table}/{name}.parquet"
            install(file, self.root / path)
        return Part(partition=partition, path=path, sha256=sha256, rows=rows)

    def commit(self, contents: Contents) -> None:
        """Make `contents` what the warehouse holds."""
        with storage_errors(self.root):
            for table in contents.tables:  # the names of the parts, before the one that counts on them
                sync(self.root / table)
            sync(self.root)
            write_atomically(self.root / CONTENTS, contents.to_json())
        self.contents = contents


class Warehouse:
    """A warehouse in a local folder, which the first writer makes.

    Reading needs no lock. One process may write at a time.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = local_root(root)

    @property
    def contents(self) -> Contents:
        """What is committed.

        Raises:
            WarehouseError: there is no warehouse, or its table of contents is damaged.
        """
        path = self.root / CONTENTS
        if not path.exists():
            raise WarehouseError(
                f"there is no warehouse in {self.root}.", remedy="Ingest data into it first."
            )
        return Contents.from_json(_read_text(path, root=self.root), origin=str(path))

    @contextmanager
    def writing(self) -> Iterator[WarehouseWriter]:
        """Be the one writer; what an earlier one left behind is removed, nothing is committed by leaving.

        Raises:
            WarehouseError: another process writes, the folder can't be written, or its table of
                contents is damaged.
        """
        with storage_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(self.root / _LOCK):
            staging = self.root / _STAGING
            with storage_errors(self.root):
                contents = self.contents if (self.root / CONTENTS).exists() else Contents()
                self._remove_leftovers(contents)
                staging.mkdir()
            try:
                yield WarehouseWriter(self.root, staging=staging, contents=contents)
            finally:
                shutil.rmtree(staging, ignore_errors=True)

    def write_table(self, name: str, table: pl.DataFrame) -> Part:
        """Replace a whole table; columns that it lacks are filled with null.

        Rows are sorted, so that equal rows give an equal part.

        Raises:
            ContractError: an unknown column, a value that does not fit its dtype, a null or repeated key.
            WarehouseError: the table is not one of those, or as `writing`.
        """
        if name not in schema.TABLE_SCHEMAS or name == schema.INTERACTIONS:
            known = ", ".join(table for table in schema.TABLE_SCHEMAS if table != schema.INTERACTIONS)
            raise WarehouseError(
                f"{name!r} is no table to be written whole.",
                remedy=f"Use one of {known}; ingest interactions.",
            )
        conformed = conform(name, table)
        with self.writing() as writer:
            file = writer.staging / f"{name}.parquet"
            with storage_errors(self.root):
                conformed.write_parquet(file, row_group_size=ROW_GROUP_ROWS)
            part = writer.add_part(file, table=name, partition="", rows=len(conformed))
            writer.commit(writer.contents.with_parts(name, {"": part}))
        return part

    def read_table(self, name: str, *, snapshot: Snapshot | str | None = None) -> pl.DataFrame:
        """A whole table with the dtypes of its schema; empty where nothing was written.

        Raises:
            WarehouseError: the table is unknown, the warehouse or snapshot missing, or a part missing,
                damaged or, where a snapshot is read, not the one that it names.
        """
        return self._collect(self._scan(name, snapshot=snapshot))

    def read_interactions(
        self, snapshot: Snapshot | str | None = None, columns: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """The events, oldest first; within one microsecond by user, item and type.

        Raises:
            WarehouseError: as `read_table`.
        """
        scan = self.scan_interactions(snapshot)
        return self._collect(scan if columns is None else scan.select(*columns))

    def scan_interactions(self, snapshot: Snapshot | str | None = None) -> pl.LazyFrame:
        """As `read_interactions`, lazily, for more events than memory holds.

        Raises:
            WarehouseError: as `read_table`.
        """
        return self._scan(schema.INTERACTIONS, snapshot=snapshot)

    def snapshot(self) -> Snapshot:
        """Freeze what is committed; its parts stay as long as its manifest does.

        Raises:
            WarehouseError: as `writing`, or there is no warehouse.
        """
        _ = self.contents  # an empty folder has nothing to freeze
        with self.writing() as writer, storage_errors(self.root):
            frozen = Snapshot.of(writer.contents)
            write_atomically(self._manifest(frozen.id), frozen.to_json())
        return frozen

    def open_snapshot(self, id_or_prefix: str) -> Snapshot:
        """A stored snapshot by its id or the first characters of it, at least eight.

        Raises:
            WarehouseError: no snapshot or more than one fits, or its manifest is damaged.
        """
        matches = [id_ for id_ in self.snapshot_ids() if id_.startswith(id_or_prefix)]
        if len(matches) != 1 or len(id_or_prefix) < _MIN_PREFIX:
            known = ", ".join(id_[:12] for id_ in self.snapshot_ids()) or "none"
            raise WarehouseError(
                f"{self.root} has {len(matches)} snapshots with id {id_or_prefix!r}; stored: {known}.",
                remedy=f"Give the id of one, or its first {_MIN_PREFIX} characters or more.",
            )
        path = self._manifest(matches[0])
        found = Snapshot.from_json(_read_text(path, root=self.root), origin=str(path))
        if found.id != matches[0]:
            raise WarehouseError(
                f"{path} holds snapshot {found.id[:12]}.", remedy="Restore it from a backup."
            )
        found.require_untampered(origin=str(path))
        return found

    def snapshot_ids(self) -> list[str]:
        """Ids of the stored snapshots, sorted."""
        return sorted(path.stem for path in (self.root / SNAPSHOTS).glob("*.json"))

    def _manifest(self, id_: str) -> Path:
        return self.root / SNAPSHOTS / f"{id_}.json"

    def _scan(self, name: str, *, snapshot: Snapshot | str | None) -> pl.LazyFrame:
        if name not in schema.TABLE_SCHEMAS:
            known = ", ".join(schema.TABLE_SCHEMAS)
            raise WarehouseError(f"there is no table {name!r}.", remedy=f"Use one of {known}.")
        frozen = self.open_snapshot(snapshot) if isinstance(snapshot, str) else snapshot
        parts = (frozen or self.contents).tables.get(name, ())
        for part in parts:
            self._require_part(part, verify=frozen is not None)
        if not parts:
            return pl.DataFrame(schema=schema.TABLE_SCHEMAS[name]).lazy()
        return pl.scan_parquet([self.root / part.path for part in parts], glob=False, hive_partitioning=False)

    def _require_part(self, part: Part, *, verify: bool) -> None:
        path = self.root / part.path
        with storage_errors(self.root):
            fault = "is missing" if not path.is_file() else None
            if fault is None and verify and sha256_of(path) != part.sha256:
                fault = "is not the file that the snapshot names: its content was changed"
        if fault:
            raise WarehouseError(
                f"{path} {fault}.", remedy="Restore it from a backup, or ingest into a new folder."
            )

    def _collect(self, scan: pl.LazyFrame) -> pl.DataFrame:
        with storage_errors(self.root):
            return scan.collect()

    def _remove_leftovers(self, contents: Contents) -> None:
        shutil.rmtree(self.root / _STAGING, ignore_errors=True)
        for unfinished in (self.root / QUARANTINE).glob(f"*.jsonl{UNFINISHED}"):
            unfinished.unlink()
        kept = set(paths_of(contents))
        try:
            for id_ in self.snapshot_ids():
                kept.update(paths_of(self.open_snapshot(id_)))
        except WarehouseError:
            return  # a damaged manifest does not say what it names: keep every part
        for table in schema.TABLE_SCHEMAS:
            for path in (self.root / table).glob("*.parquet"):
                is_ours = _PART_NAME.fullmatch(path.name) is not None
                if is_ours and path.relative_to(self.root).as_posix() not in kept:
                    path.unlink()


def _read_text(path: Path, *, root: Path) -> str:
    with storage_errors(root):
        return path.read_bytes().decode("utf-8", errors="replace")
