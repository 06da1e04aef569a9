"""Versions of the item matrix in a folder, one of them current; replacing a small file is the only commit.

    <root>/CURRENT                    the id of the version that counts
    <root>/<version>/matrix.npy       (n_items, n_columns) float32
    <root>/<version>/items.parquet    item_id, in the order of the rows
    <root>/<version>/manifest.json    what the version is, and the hash of each file

A version is written beside its place and renamed, so that it is there whole or not at all.
"""

import hashlib
import io
import json
import mmap
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from marquee import schema
from marquee.data.interactions import Vocabulary
from marquee.data.storage import exclusive_lock, local_root, storage_errors, sync, write_atomically
from marquee.errors import FeatureStoreError
from marquee.features.item_matrix.matrix import ItemMatrix

CURRENT: Final = "CURRENT"
MANIFEST: Final = "manifest.json"
MATRIX: Final = "matrix.npy"
ITEMS: Final = "items.parquet"
MAPPED_FROM_BYTES: Final = 64 * 2**20
"""From this size a matrix is mapped, so that the workers of a machine share it; a smaller one is read."""
_STAGING: Final = ".staging"
_LOCK: Final = ".lock"
_VERSION: Final = re.compile(r"[0-9a-f]{32}")
_DTYPE: Final = np.dtype("<f4")


class ItemMatrixManifest(BaseModel):
    """What one version is and what its files must hash to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layout: Literal[1] = 1
    service: str
    columns: tuple[str, ...]
    as_of_us: int
    """UTC microseconds."""
    n_items: int = Field(ge=1)
    matrix_sha256: str
    items_sha256: str
    written_at_us: int
    """UTC microseconds; no part of the version's id."""
    seal: str = ""
    """Hash of all the rest: a changed byte breaks it."""

    @property
    def version(self) -> str:
        """Equal content, equal id."""
        return _digest(self.model_dump(mode="json", exclude={"written_at_us", "seal"}))

    def sealed(self) -> Self:
        """The same manifest with its seal."""
        return self.model_copy(update={"seal": _digest(self.model_dump(mode="json", exclude={"seal"}))})

    def to_json(self) -> bytes:
        """The manifest as it lies in the folder."""
        return (self.model_dump_json(indent=1) + "\n").encode()


class ItemMatrixFolder:
    """The versions in a local folder; reading needs no lock, one process writes at a time."""

    def __init__(self, root: str | Path) -> None:
        self.root = local_root(root)

    def current_version(self) -> str | None:
        """The id of the version that counts; None where nothing was exported yet.

        Raises:
            FeatureStoreError: the pointer can't be read or names no version.
        """
        path = self.root / CURRENT
        if not path.exists():
            return None
        with _reading(path):
            version = path.read_text(encoding="ascii")
            if not _VERSION.fullmatch(version):
                raise ValueError("it names no version")
        return version

    def load_current(self) -> ItemMatrix:
        """Load and verify the version that counts.

        Raises:
            FeatureStoreError: as `load` and `current_version`, or nothing was exported yet.
        """
        version = self._require_version()
        while True:
            try:
                return self.load(version)
            except FeatureStoreError:
                if (newer := self._require_version()) == version:
                    raise
                version = newer  # swapped and cleared away while it was read

    def load(self, version: str) -> ItemMatrix:
        """Load one version; what it hands out is what was hashed.

        A mapped matrix stays readable when its version is removed, but not when its file is cut in place.

        Raises:
            FeatureStoreError: the version is missing, torn or tampered with; the message names the file.
        """
        folder = self.root / version
        manifest = _manifest(folder / MANIFEST, version)
        items = _items(folder / ITEMS, manifest)
        return ItemMatrix(
            items=items,
            matrix=_matrix(folder / MATRIX, manifest),
            columns=manifest.columns,
            service=manifest.service,
            as_of_us=manifest.as_of_us,
            written_at_us=manifest.written_at_us,
            version=version,
        )

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the one writer.

        Raises:
            WarehouseError: another process writes, or the disk fails.
        """
        with storage_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(self.root / _LOCK), storage_errors(self.root):
            yield

    def commit(self, manifest: ItemMatrixManifest, files: dict[str, bytes]) -> None:
        """Write a version and make it the current one; keeps the one before and forgets those before that.

        The caller is `writing`. A version that is there whole is not written again: it may be current.
        """
        if not self._is_whole(manifest.version):
            self._write(manifest, files)
        previous = self._current_or_none()
        write_atomically(self.root / CURRENT, manifest.version.encode("ascii"))
        if previous != manifest.version:
            self._forget_all_but({manifest.version, previous})

    def _write(self, manifest: ItemMatrixManifest, files: dict[str, bytes]) -> None:
        staging = self.root / _STAGING
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        for name, content in {**files, MANIFEST: manifest.to_json()}.items():
            (staging / name).write_bytes(content)
            sync(staging / name)
        sync(staging)
        version = self.root / manifest.version
        shutil.rmtree(version, ignore_errors=True)  # damaged
        staging.replace(version)
        sync(self.root)

    def _is_whole(self, version: str) -> bool:
        try:
            self.load(version)
        except FeatureStoreError:
            return False
        return True

    def _forget_all_but(self, kept: set[str | None]) -> None:
        for each in self.root.iterdir():
            if _VERSION.fullmatch(each.name) and each.name not in kept:
                shutil.rmtree(each, ignore_errors=True)

    def _current_or_none(self) -> str | None:
        try:
            return self.current_version()
        except FeatureStoreError:
            return None

    def _require_version(self) -> str:
        version = self.current_version()
        if version is None:
            raise FeatureStoreError(
                f"there is no item matrix in {self.root}.", remedy="Export one: `marquee features export`."
            )
        return version


def encoded(items: Vocabulary, matrix: NDArray[np.float32]) -> dict[str, bytes]:
    """The two files of a version by name."""
    rows, ids = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array(rows, matrix.astype(_DTYPE, order="C"), version=(1, 0), allow_pickle=False)
    items.ids.to_frame(schema.ITEM_ID).write_parquet(ids, compression="zstd")
    return {MATRIX: rows.getvalue(), ITEMS: ids.getvalue()}


def _manifest(path: Path, version: str) -> ItemMatrixManifest:
    with _reading(path):
        content = path.read_bytes()
        manifest = ItemMatrixManifest.model_validate_json(content)
        if manifest.sealed().to_json() != content or manifest.version != version:
            raise ValueError("its seal or version does not fit what it says")
    return manifest


def _items(path: Path, manifest: ItemMatrixManifest) -> Vocabulary:
    with _reading(path):
        content = path.read_bytes()
        _require_hash(content, manifest.items_sha256)
        table = pl.read_parquet(io.BytesIO(content))
        items = Vocabulary.of(table[schema.ITEM_ID])
        if items.ids.to_list() != table[schema.ITEM_ID].to_list() or len(items) != manifest.n_items:
            raise ValueError("its ids are not those of the manifest")
    items.index_of("")  # makes the index now, not in the first request
    return items


def _matrix(path: Path, manifest: ItemMatrixManifest) -> NDArray[np.float32]:
    """The array over the very bytes that were hashed, read-only."""
    with _reading(path):
        content = _content(path)
        _require_hash(content, manifest.matrix_sha256)
        head = io.BytesIO(content[:4096])
        np.lib.format.read_magic(head)
        shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(head)
        if shape != (manifest.n_items, len(manifest.columns)) or is_fortran or dtype != _DTYPE:
            raise ValueError(f"its shape {shape} or type {dtype} is not that of the manifest")
        return np.frombuffer(content, _DTYPE, offset=head.tell()).reshape(shape)


def _content(path: Path) -> bytes | mmap.mmap:
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size < MAPPED_FROM_BYTES:
            return file.read()
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _require_hash(content: bytes | mmap.mmap, sha256: str) -> None:
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError("its hash is not that of the manifest")


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what a damaged file raises into one clear error.

    Raises:
        FeatureStoreError: the file is missing, unreadable, torn or tampered with.
    """
    try:
        yield
    except (OSError, ValueError, pl.exceptions.PolarsError) as err:
        reason = err.strerror if isinstance(err, OSError) and err.strerror else str(err).partition("\n")[0]
        raise FeatureStoreError(
            f"{path} is missing, torn or was tampered with: {reason}.",
            remedy="Export the item matrix again: `marquee features export --force`.",
        ) from err


def _digest(content: dict[str, object]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]
