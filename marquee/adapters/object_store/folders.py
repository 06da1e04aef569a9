"""Whole folders in a store: content first, then the index that makes it count.

    <key>/<digest>/**     the files under their own names, which other tools may read
    <key>/index.json      digest, sizes and hashes; written last, and only by one writer

The digest is that of the content, so two writers of different content never mix their files, and
whoever dies before the index leaves nothing that a reader would take for a folder.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from marquee.adapters.object_store.keys import require_key
from marquee.adapters.object_store.local_files import entry_of
from marquee.adapters.object_store.store import ObjectStore
from marquee.bundle import FileEntry
from marquee.data.storage import storage_errors, sync
from marquee.errors import ConflictError, ObjectMissingError, ObjectStoreError

INDEX: Final = "index.json"


class FolderIndex(BaseModel):
    """What a stored folder consists of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    """Of this layout."""
    digest: str
    """Hash of names, sizes and hashes of the files."""
    files: dict[str, FileEntry]
    """By their path inside the folder."""

    @classmethod
    def of(cls, files: Mapping[str, FileEntry]) -> Self:
        """The index of some files."""
        return cls(digest=_digest(files), files=dict(sorted(files.items())))

    @property
    def size_bytes(self) -> int:
        """Of all files together."""
        return sum(entry.size_bytes for entry in self.files.values())


def put_folder(store: ObjectStore, key: str, folder: Path) -> FolderIndex:
    """Store a folder, whole or not at all; the same content again is nothing to do.

    Raises:
        ConflictError: the key holds a folder of other content.
        ObjectStoreError: the folder is missing, empty, holds a link or changes meanwhile, or as
            `ObjectStore`.
    """
    index = FolderIndex.of({name: entry_of(folder / name) for name in _file_names(folder)})
    for name in index.files:
        require_key(_place(key, index, name))
    if _is_stored(store, key, index):
        return index

    def put(name: str) -> None:
        if store.put_file(_place(key, index, name), folder / name) != index.files[name]:
            raise ObjectStoreError(
                f"{folder / name} changed while it was being stored.", remedy="Store a finished folder."
            )

    with ThreadPoolExecutor(store.config.parallel) as pool:
        for _ in pool.map(put, index.files):
            pass
    try:
        store.write(f"{key}/{INDEX}", index.model_dump_json(indent=1).encode(), expected=None)
    except ConflictError:
        if not _is_stored(store, key, index):  # which raises where it was another content
            raise
    return index


def get_folder(store: ObjectStore, key: str, target: Path) -> FolderIndex:
    """Fetch a folder to a place of its own, whole and verified or not at all.

    Raises:
        ObjectMissingError: there is none, or its writer never finished.
        ObjectStoreError: the target exists, a file is missing, torn or tampered with, or as
            `ObjectStore`.
    """
    if target.exists():
        raise ObjectStoreError(f"{target} exists already.", remedy="Name another folder, or remove it first.")
    index = read_index(store, key)
    temporary = target.with_name(f".{target.name[:100]}.{os.getpid()}-{os.urandom(4).hex()}.tmp")

    def get(name: str) -> None:
        store.get_file(_place(key, index, name), temporary / name, expected=index.files[name])

    try:
        with ThreadPoolExecutor(store.config.parallel) as pool:
            for _ in pool.map(get, index.files):
                pass
        with storage_errors(target.parent, what="the folder", error=ObjectStoreError):
            temporary.rename(target)
            sync(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return index


def read_index(store: ObjectStore, key: str) -> FolderIndex:
    """What a stored folder consists of.

    Raises:
        ObjectMissingError: there is none, or its writer never finished.
        ObjectStoreError: the index was torn or tampered with, or as `ObjectStore`.
    """
    try:
        content = store.read(f"{require_key(key)}/{INDEX}").content
    except ObjectMissingError as err:
        raise ObjectMissingError(
            f"{store.uri} holds no finished folder {key}.",
            remedy="Check the key; if its writer was interrupted, store the folder again.",
        ) from err
    try:
        index = FolderIndex.model_validate_json(content)
    except ValidationError as err:
        raise _tampered(store, key, f"{err.errors()[0]['msg']}") from err
    if index.digest != _digest(index.files) or not index.files:
        raise _tampered(store, key, "its digest is not that of its files")
    for name in index.files:
        require_key(name)  # a name such as ../x would leave the target
    return index


def delete_folder(store: ObjectStore, key: str) -> None:
    """Remove a folder and what interrupted writers left of it: the index first, so that none sees half."""
    store.delete(f"{require_key(key)}/{INDEX}")
    for name in store.list_keys(f"{key}/"):
        store.delete(name)


def _is_stored(store: ObjectStore, key: str, index: FolderIndex) -> bool:
    try:
        found = read_index(store, key)
    except ObjectMissingError:
        return False
    if found.digest != index.digest:
        raise ConflictError(
            f"{store.uri}/{key} holds other content: {found.digest[:12]}, not {index.digest[:12]}.",
            remedy="Store it under another key: a stored folder never changes.",
        )
    return True


def _place(key: str, index: FolderIndex, name: str) -> str:
    return f"{key}/{index.digest[:16]}/{name}"


def _file_names(folder: Path) -> list[str]:
    with storage_errors(folder, what="the folder", error=ObjectStoreError):
        paths = sorted(folder.rglob("*"))
        link = next((path for path in paths if path.is_symlink()), None)
        names = [path.relative_to(folder).as_posix() for path in paths if path.is_file()]
    if link is not None:
        raise ObjectStoreError(f"{link} is a link.", remedy="Store what it leads to.")
    if not names:
        raise ObjectStoreError(f"{folder} is no folder with files.", remedy="Check its path.")
    return names


def _digest(files: Mapping[str, FileEntry]) -> str:
    rows = sorted([name, entry.size_bytes, entry.sha256] for name, entry in files.items())
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _tampered(store: ObjectStore, key: str, fault: str) -> ObjectStoreError:
    return ObjectStoreError(
        f"{store.uri}/{key}/{INDEX} was torn or tampered with: {fault}.",
        remedy="Restore it, or delete the folder and store it again.",
    )
