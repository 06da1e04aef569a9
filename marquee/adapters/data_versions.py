"""Snapshots under DVC: what the warehouse held at a revision of the project's git repository.

tracked/
  ml-100k.dvc     names the snapshot by its content; belongs to git
  .gitignore      DVC's own: the content itself does not
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from marquee.adapters.dvc import DvcRepository
from marquee.data.datasets.prepare import Prepared
from marquee.data.export import export_snapshot
from marquee.data.restore import Restored, only_snapshot, restore_snapshot
from marquee.data.snapshot import Snapshot
from marquee.data.storage import storage_errors
from marquee.data.warehouse import CONTENTS, Warehouse
from marquee.errors import DataVersionError
from marquee.settings import Settings

_REVISIONS: Final = "revisions"


@dataclass(frozen=True)
class Tracked:
    """A snapshot that DVC has taken in."""

    snapshot: Snapshot
    pointer: Path
    """The small file that git is to track."""


@dataclass(frozen=True)
class Pinned:
    """A data set as it was at a revision, in a place of its own."""

    commit: str
    prepared: Prepared
    settings: Settings
    """The given ones but for the place of the data and the profile."""


def track(storage: str, settings: Settings) -> Tracked:
    """Put what a warehouse holds now under DVC.

    Args:
        storage: the warehouse's name.
        settings: where things lie.

    Raises:
        MarqueeError: there is no warehouse, a part of it is damaged, or as `DvcRepository`.
    """
    warehouse = Warehouse(settings.warehouse(storage))
    snapshot = warehouse.snapshot()
    with _laid_out(storage, settings) as (repository, folder):
        export_snapshot(warehouse, snapshot, folder)
        only_snapshot(folder)  # a damaged part is not published
        pointer = repository.add(folder)
    return Tracked(snapshot, pointer)


def push(storage: str, settings: Settings, *, remote: str | None = None) -> None:
    """Copy the snapshot that was tracked last to the remote: once for each version that is to stay.

    Args:
        storage: the warehouse's name.
        settings: where things lie.
        remote: a folder or `s3://bucket/prefix` to use from now on.

    Raises:
        DataVersionError: it is not tracked, there is no remote, or that can't be reached.
    """
    pointer = _pointer(storage, settings)
    repository = DvcRepository.around(settings.tracked)
    if remote is not None:
        repository.use_remote(remote)
    repository.push(pointer)


def pull(storage: str, settings: Settings) -> Restored:
    """Bring the tracked snapshot of the checked-out revision into the warehouse.

    Raises:
        MarqueeError: it is not tracked, the content is nowhere, or as `restore_snapshot`.
    """
    pointer = _pointer(storage, settings)
    with _laid_out(storage, settings) as (repository, folder):
        repository.pull(pointer)
        return restore_snapshot(folder, Warehouse(settings.warehouse(storage)))


def pin(name: str, storage: str, settings: Settings, *, rev: str) -> Pinned:
    """A data set as it was tracked at a git revision, fetched once; the present one is not touched.

    The feature store is a local one of its own, so that a shared one keeps the present, too.

    Args:
        name: of the data set.
        storage: its warehouse's name.
        settings: where things lie.
        rev: a commit, tag or branch.

    Raises:
        MarqueeError: as `DvcRepository.get`, or what came is damaged.
    """
    repository = DvcRepository.around(settings.tracked)
    commit = repository.commit_of(rev)
    place = settings.data / _REVISIONS / commit[:16]
    pinned = settings.model_copy(update={"data": place, "profile": "local"})
    warehouse = Warehouse(pinned.warehouse(storage))
    if not (warehouse.root / CONTENTS).exists():
        fetched = place / f".{storage}.{os.getpid()}"
        with _removed(fetched):
            repository.get(settings.tracked / storage, commit=commit, target=fetched.absolute())
            restore_snapshot(fetched, warehouse)
    note = f"data of revision {commit[:12]}, not the present ones"
    prepared = Prepared(name, f"git revision {commit}", warehouse.snapshot(), None, 0, (note,))
    return Pinned(commit, prepared, pinned)


def _pointer(storage: str, settings: Settings) -> Path:
    pointer = settings.tracked / f"{storage}.dvc"
    if not pointer.is_file():
        raise DataVersionError(
            f"there is no {pointer}: {storage} is not tracked.",
            remedy="Run `marquee data track` first, or check out a revision that has it.",
        )
    return pointer.absolute()


@contextmanager
def _laid_out(storage: str, settings: Settings) -> Iterator[tuple[DvcRepository, Path]]:
    """The folder that DVC takes in or lays out; its content is in DVC's cache, so that it need not stay."""
    repository = DvcRepository.around(settings.tracked)
    folder = settings.tracked.absolute() / storage
    with _removed(folder):
        yield repository, folder


@contextmanager
def _removed(folder: Path) -> Iterator[None]:
    """A folder that is not there before nor after; its parent is."""
    with storage_errors(folder.parent, what="the folder"):
        folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)
