"""The disk below the warehouse: hashes, atomic writes, the lock. The one place that knows it is local."""

import fcntl
import hashlib
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from marquee.errors import MarqueeError, WarehouseError

_LOCK_POLL_S: Final = 0.01


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
def storage_errors(
    root: Path, *, what: str = "the warehouse", error: type[MarqueeError] = WarehouseError
) -> Iterator[None]:
    """Turn what a failing disk raises into one clear `error` that names `what` lies at `root`.

    Raises:
        MarqueeError: no space, no permission, or another fault of the disk.
    """
    try:
        yield
    except _faults_of_disk() as err:
        cause = (
            err.strerror if isinstance(err, OSError) and err.strerror else " ".join(str(err).split())[:200]
        )
        raise error(
            f"{what} {root} can't be read or written: {cause}.",
            remedy="Check free space and permissions there, then run again: nothing half-written was kept.",
        ) from err


def _faults_of_disk() -> tuple[type[Exception], ...]:
    """What a failing disk raises: in the system's words, and in those of the libraries that are loaded.

    Neither is imported for its error's sake: most steps of a pipeline read a small file or two.
    """
    faults: list[type[Exception]] = [OSError]
    if "duckdb" in sys.modules:
        import duckdb  # noqa: PLC0415

        faults.append(duckdb.Error)
    if "polars" in sys.modules:
        import polars as pl  # noqa: PLC0415

        faults.append(pl.exceptions.ComputeError)
    return tuple(faults)


@contextmanager
def exclusive_lock(
    path: Path,
    *,
    what: str = "the warehouse",
    error: type[MarqueeError] = WarehouseError,
    patience_s: float = 0,
) -> Iterator[None]:
    """Hold the one lock that a writer needs; the system frees it when the process ends, however it ends.

    Raises:
        MarqueeError: another writer holds it, and did so for `patience_s`; the class is `error`.
    """
    with storage_errors(path.parent, what=what, error=error):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _acquire(descriptor, patience_s=patience_s):
            raise error(
                f"{what} {path.parent} is being written by another process.",
                remedy="Wait until it is done.",
            )
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, *, patience_s: float) -> bool:
    """Take a lock within a time; at least one attempt."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_LOCK_POLL_S)
        else:
            return True
