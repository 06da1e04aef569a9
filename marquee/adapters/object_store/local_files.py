"""Local files on their way: measured before they leave; verified and renamed when they come."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from marquee.bundle import FileEntry
from marquee.data.storage import install, sha256_of, storage_errors
from marquee.errors import ObjectStoreError


def entry_of(file: Path) -> FileEntry:
    """Length and hash of a local file.

    Raises:
        ObjectStoreError: it can't be read.
    """
    with storage_errors(file, what="the file", error=ObjectStoreError):
        return FileEntry(sha256=sha256_of(file), size_bytes=file.stat().st_size)


def stamp_of(file: Path) -> tuple[int, int]:
    """What tells a local file that was written again: its length and time of change.

    Raises:
        ObjectStoreError: there is none.
    """
    with storage_errors(file, what="the file", error=ObjectStoreError):
        status = file.stat()
    return status.st_size, status.st_mtime_ns


@contextmanager
def receiving(target: Path) -> Iterator[Path]:
    """A temporary file beside `target` that takes its place when the block ends well.

    Raises:
        ObjectStoreError: the disk refuses; the target is what it was.
    """
    temporary = target.with_name(f".{target.name[:100]}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    with storage_errors(target.parent, what="the folder", error=ObjectStoreError):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            install(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)


def require_entry(file: Path, expected: FileEntry | None, *, origin: str) -> FileEntry:
    """Length and hash of a fetched file, compared with what it must be.

    Raises:
        ObjectStoreError: it is something else.
    """
    found = entry_of(file)
    if expected is not None and found != expected:
        fault = (
            f"{found.size_bytes:,} bytes instead of {expected.size_bytes:,}"
            if found.size_bytes != expected.size_bytes
            else f"sha256 {found.sha256[:12]}… instead of {expected.sha256[:12]}…"
        )
        raise ObjectStoreError(
            f"{origin} was torn or tampered with: {fault}.",
            remedy="Fetch it again; if it stays so, delete it and store it again.",
        )
    return found
