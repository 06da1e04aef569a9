"""A snapshot's folder back into a warehouse."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from marquee.data.snapshot import Contents, Part, Snapshot
from marquee.data.storage import sha256_of, storage_errors, write_atomically
from marquee.data.warehouse import SNAPSHOTS, Warehouse, WarehouseWriter
from marquee.errors import WarehouseError


@dataclass(frozen=True)
class Restored:
    """What became of a snapshot's folder."""

    snapshot: Snapshot
    is_present: bool
    """Whether it is what the warehouse holds now; else it lies there as one of its snapshots."""


def only_snapshot(folder: Path) -> Snapshot:
    """The snapshot that a folder of `marquee.data.export` holds, each of its parts verified.

    Raises:
        WarehouseError: the folder holds none or several, or a part is missing or damaged.
    """
    source = Warehouse(folder)
    ids = source.snapshot_ids()
    if len(ids) != 1:
        raise WarehouseError(
            f"{folder} holds {len(ids)} snapshots, not one.", remedy="Track the data set again."
        )
    snapshot = source.open_snapshot(ids[0])
    for parts in snapshot.tables.values():
        for part in parts:
            _require(folder / part.path, part)
    return snapshot


def restore_snapshot(folder: Path, warehouse: Warehouse) -> Restored:
    """Add a folder's snapshot to a warehouse; what that holds now stays, unless it is empty.

    Raises:
        WarehouseError: as `only_snapshot` and `Warehouse.writing`.
    """
    snapshot = only_snapshot(folder)
    with warehouse.writing() as writer:
        for table, parts in snapshot.tables.items():
            for part in parts:
                _bring(folder / part.path, part, table=table, writer=writer)
        if not writer.contents.tables:
            writer.commit(Contents(tables=snapshot.tables))
        present = Snapshot.of(writer.contents).id
        with storage_errors(warehouse.root):
            write_atomically(warehouse.root / SNAPSHOTS / f"{snapshot.id}.json", snapshot.to_json())
    return Restored(snapshot, is_present=present == snapshot.id)


def _require(path: Path, part: Part) -> None:
    with storage_errors(path.parent, what="the snapshot"):
        if sha256_of(path) != part.sha256:
            raise WarehouseError(
                f"{path} is not the file that the snapshot names: its content was changed.",
                remedy="Fetch the snapshot again.",
            )


def _bring(file: Path, part: Part, *, table: str, writer: WarehouseWriter) -> None:
    with storage_errors(writer.root):
        if (writer.root / part.path).is_file() and sha256_of(writer.root / part.path) == part.sha256:
            return
        staged = writer.staging / Path(part.path).name
        shutil.copyfile(file, staged)
    writer.add_part(staged, table=table, partition=part.partition, rows=part.rows)
