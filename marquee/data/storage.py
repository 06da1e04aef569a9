"""The disk below the warehouse: hashes, atomic writes, the lock. The one place that knows it is local."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import polars as pl

from marquee.errors import WarehouseError


def local_root(root: str | Path) -> Path:
    """The warehouse's folder as an absolute path.

    Raises:
        WarehouseError: it is an address and not a local folder.
    """
    if "://" in str(root):
        raise WarehouseError(
            f"the warehouse {root} is not a local folder.",
            remedy="Give a folder: remote ones are not supported yet.",
        )
    return Path(root).absolute()


def sha256_of(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def install(file: Path, target: Path) -> None:
    """Move a finished file to its final name, its content durable; the name is after `sync` of the folder."""
    sync(file)
    target.parent.mkdir(parents=True, exist_ok=True)
    file.replace(target)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a small file: readers see the old or the new content, never a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        temporary.write_bytes(content)
        install(temporary, path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Make a file's content, or a folder's names, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def storage_errors(root: Path, *, what: str = "the warehouse") -> Iterator[None]:
    """Turn what a failing disk raises into one clear error that names `what` lies at `root`.

    Raises:
        WarehouseError: no space, no permission, or another fault of the disk.
    """
    try:
        yield
    except (OSError, duckdb.Error, pl.exceptions.ComputeError) as err:
        cause = (
            err.strerror if isinstance(err, OSError) and err.strerror else " ".join(str(err).split())[:200]
        )
        raise WarehouseError(
            f"{what} {root} can't be read or written: {cause}.",
            remedy="Check free space and permissions there, then run again: nothing half-written was kept.",
        ) from err


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold the one lock that a writer needs; the system frees it when the process ends, however it ends.

    Raises:
        WarehouseError: another writer holds it.
    """
    with storage_errors(path.parent):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            raise WarehouseError(
                f"the warehouse {path.parent} is being written by another process.",
                remedy="Wait until it is done.",
            ) from err
        yield
    finally:
        os.close(descriptor)
