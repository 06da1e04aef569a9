"""A store in a local folder: a file an object, renamed into place."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final

from marquee.adapters.object_store.keys import RESERVED, require_key
from marquee.adapters.object_store.local_files import entry_of, receiving, require_entry, stamp_of
from marquee.adapters.object_store.store import Document, ObjectStoreConfig
from marquee.bundle import FileEntry
from marquee.data.storage import exclusive_lock, install, storage_errors, sync
from marquee.errors import ConflictError, ObjectMissingError, ObjectStoreError

_WHAT: Final = "the object store"
_ABANDONED_S: Final = 86_400
"""Age from which a temporary file is that of a writer who died."""


class FolderStore:
    """Objects as files below `root`, which the first writer makes.

    Several processes of one machine may write. On network file systems the conditional write is as
    good as their `flock`.
    """

    def __init__(self, root: Path, config: ObjectStoreConfig) -> None:
        self.root = root
        self.config = config
        self._own = root / RESERVED

    @property
    def uri(self) -> str:
        """As `ObjectStore`."""
        return self.root.as_uri()

    def put_file(self, key: str, file: Path) -> FileEntry:
        """As `ObjectStore`."""
        target = self._path(key)
        stamp_of(file)  # a source that is missing is no fault of the store
        with self._errors(), self._staged() as temporary:
            shutil.copyfile(file, temporary)
            stored = entry_of(temporary)
            install(temporary, target)
            sync(target.parent)
        return stored

    def get_file(self, key: str, target: Path, *, expected: FileEntry | None = None) -> FileEntry:
        """As `ObjectStore`."""
        source = self._require(key)
        with receiving(target) as temporary:
            shutil.copyfile(source, temporary)
            return require_entry(temporary, expected, origin=f"{self.uri}/{key}")

    def read(self, key: str) -> Document:
        """As `ObjectStore`."""
        path = self._require(key)
        limit = self.config.max_document_mb * 2**20
        with self._errors(), path.open("rb") as file:
            content = file.read(limit + 1)
        if len(content) > limit:
            raise ObjectStoreError(
                f"{self.uri}/{key} has more than {self.config.max_document_mb} MB.",
                remedy="Fetch it as a file.",
            )
        return Document(content, _version(content))

    def write(self, key: str, content: bytes, *, expected: str | None) -> str:
        """As `ObjectStore`."""
        target = self._path(key)
        with self._errors():
            self._own.mkdir(parents=True, exist_ok=True)
        lock = exclusive_lock(
            self._own / "lock", what=_WHAT, error=ObjectStoreError, patience_s=self.config.lock_patience_s
        )
        with lock, self._errors(), self._staged() as temporary:
            found = _version(target.read_bytes()) if target.is_file() else None
            if found != expected:
                raise ConflictError(
                    f"{self.uri}/{key} was written by somebody else meanwhile.",
                    remedy="Read it again, decide again, then write.",
                )
            temporary.write_bytes(content)
            install(temporary, target)
            sync(target.parent)
        return _version(content)

    def list_keys(self, prefix: str = "") -> list[str]:
        """As `ObjectStore`."""
        if folder := prefix.rpartition("/")[0]:
            require_key(folder)
        with self._errors():
            paths = [path for path in (self.root / folder).rglob("*") if path.is_file()]
        keys = (path.relative_to(self.root).as_posix() for path in paths)
        return sorted(key for key in keys if key.startswith(prefix) and not key.startswith(f"{RESERVED}/"))

    def exists(self, key: str) -> bool:
        """As `ObjectStore`."""
        path = self._path(key)
        with self._errors():
            return path.is_file()

    def delete(self, key: str) -> None:
        """As `ObjectStore`."""
        path = self._path(key)
        with self._errors():
            if path.is_file():
                path.unlink()
                sync(path.parent)

    def _path(self, key: str) -> Path:
        return self.root / require_key(key)

    def _require(self, key: str) -> Path:
        path = self._path(key)
        if not self.exists(key):
            raise ObjectMissingError(
                f"{self.uri} holds no {key}.", remedy="Check the key and the store's address."
            )
        return path

    def _errors(self) -> AbstractContextManager[None]:
        return storage_errors(self.root, what=_WHAT, error=ObjectStoreError)

    @contextmanager
    def _staged(self) -> Iterator[Path]:
        """A name for a temporary file on the store's own file system; left by nobody but the killed."""
        staging = self._own / "staging"
        staging.mkdir(parents=True, exist_ok=True)
        for left in staging.iterdir():
            _remove_abandoned(left)
        temporary = staging / os.urandom(8).hex()
        try:
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)


def _version(content: bytes) -> str:
    return sha256(content).hexdigest()


def _remove_abandoned(file: Path) -> None:
    try:
        if time.time() - file.stat().st_mtime > _ABANDONED_S:
            file.unlink()
    except FileNotFoundError:  # its writer has just finished
        return
