"""A snapshot as a folder of its own: a warehouse that holds just what the snapshot names."""

import os
import shutil
from pathlib import Path

from marquee.data.snapshot import Contents, Snapshot, paths_of
from marquee.data.storage import storage_errors, write_atomically
from marquee.data.warehouse import CONTENTS, SNAPSHOTS, Warehouse


def export_snapshot(warehouse: Warehouse, snapshot: Snapshot, folder: Path) -> Warehouse:
    """Lay the parts of a snapshot out in an empty folder, by links where the disk allows it.

    Parts are immutable, so that a link is as good as a copy. They are verified when they are read.

    Raises:
        WarehouseError: a part is missing, or the disk refuses.
    """
    with storage_errors(folder):
        for path in paths_of(snapshot):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(warehouse.root / path, folder / path)
        (folder / SNAPSHOTS).mkdir(parents=True, exist_ok=True)
        write_atomically(folder / SNAPSHOTS / f"{snapshot.id}.json", snapshot.to_json())
        write_atomically(folder / CONTENTS, Contents(tables=snapshot.tables).to_json())
    return Warehouse(folder)


def link_or_copy(source: Path, target: Path) -> None:
    """Give an immutable file a second name; a copy where that is another disk.

    Raises:
        OSError: the disk refuses both.
    """
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
