"""Model bundles: a folder of plain files and a manifest that knows the hash of each.

    bundle/
      manifest.json     schema version, bundle id, run, data, configuration, metrics, file hashes
      **/*.npy          arrays
      **/*.parquet      tables
      **/*.txt          texts, such as a ranker in its library's own format

A bundle is written beside its final place and renamed, so that it is there whole or not at all; and
it is read only if every file is there with the hash that the manifest names. Nothing is pickled.
"""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field

from marquee.errors import BundleError

if TYPE_CHECKING:  # who reads a manifest needs neither
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

SCHEMA_VERSION: Final = 1
"""Raised when a reader of the old layout could misread the new one."""
MANIFEST: Final = "manifest.json"


class FileEntry(BaseModel):
    """What the manifest knows of one file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of its bytes, hexadecimal."""
    size_bytes: int = Field(ge=0)
    """Its length."""


class Manifest(BaseModel):
    """What a bundle is, where it came from, and what its files must hash to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int
    """Layout of the bundle."""
    bundle_id: str
    """Hash of what the model is: its files, configuration, data and metrics; not of when or where."""
    content: dict[str, Any]
    """Data snapshot, cut-off, configuration, feature order, metrics: all that the id covers."""
    provenance: dict[str, Any]
    """Run id, time, git commit, library versions: true, but no part of the id."""
    files: dict[str, FileEntry]
    """Every file but the manifest, by its path inside the bundle."""
    seal: str
    """Hash of all the rest of the manifest, provenance too: a changed byte breaks it."""

    def to_bytes(self) -> bytes:
        """The manifest as it lies in the bundle."""
        return self.model_dump_json(indent=2).encode()

    def sealed(self) -> Self:
        """The same manifest with its seal."""
        unsealed = self.model_copy(update={"seal": ""}).to_bytes()
        return self.model_copy(update={"seal": hashlib.sha256(unsealed).hexdigest()[:16]})


@dataclass(frozen=True, eq=False)
class Parts:
    """The contents of a bundle by path without suffix: `routes/ease/weights` is an array."""

    arrays: "dict[str, NDArray[np.generic]]" = field(default_factory=dict)
    tables: "dict[str, pl.DataFrame]" = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    def under(self, folder: str) -> "dict[str, NDArray[np.generic]]":
        """Arrays of one folder, by their path inside it."""
        prefix = f"{folder}/"
        return {
            name.removeprefix(prefix): array for name, array in self.arrays.items() if name.startswith(prefix)
        }

    def texts_under(self, folder: str) -> dict[str, str]:
        """Texts of one folder, by their path inside it."""
        prefix = f"{folder}/"
        return {
            name.removeprefix(prefix): text for name, text in self.texts.items() if name.startswith(prefix)
        }


@dataclass(frozen=True, eq=False)
class Bundle:
    """A verified bundle in memory."""

    manifest: Manifest
    parts: Parts

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and verify a bundle.

        Raises:
            BundleError: it is missing, torn, tampered with, or of another schema version; the
                message names the file.
        """
        manifest = read_manifest(path)
        parts = Parts()
        for name in sorted(manifest.files):
            _decode(name, _read_verified(path, name, manifest.files[name]), parts)
        return cls(manifest, parts)


def write_bundle(
    path: Path, parts: Parts, *, content: Mapping[str, Any], provenance: Mapping[str, Any]
) -> Manifest:
    """Write a bundle to `path`, whole or not at all.

    Args:
        path: the folder to make; its parent must exist.
        parts: arrays, tables and texts.
        content: JSON-ready facts that the bundle id covers.
        provenance: JSON-ready facts that it does not.

    Raises:
        BundleError: `path` exists already, or the disk refuses.
    """
    if path.exists():
        raise BundleError(f"{path} exists already.", remedy="Name another folder, or remove it first.")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        manifest = _write_files(temporary, parts, content=content, provenance=provenance)
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise BundleError(
            f"the bundle could not be written to {path}: {error}.",
            remedy="Make room there, or name another folder.",
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # gone already where the renaming succeeded
    return manifest


def read_manifest(path: Path) -> Manifest:
    """Read a bundle's manifest without verifying its files.

    Raises:
        BundleError: it is missing, no manifest, of another schema version, or its id does not fit.
    """
    file = path / MANIFEST
    try:
        data = file.read_bytes()
        raw = json.loads(data)
        version = raw.get("schema_version")
        if version != SCHEMA_VERSION:
            raise BundleError(
                f"{file} has schema version {version}, this program reads {SCHEMA_VERSION}.",
                remedy="Read it with the release that wrote it, or train again.",
            )
        manifest = Manifest.model_validate(raw)
        intact = manifest.sealed().to_bytes() == data and manifest.bundle_id == _bundle_id(
            manifest.files, manifest.content
        )
    except OSError as error:
        raise BundleError(
            f"{file} can't be read: {error.strerror}.",
            remedy="Give the folder of a bundle, such as runs/latest/bundle.",
        ) from error
    except (ValueError, AttributeError, RecursionError) as error:
        raise BundleError(f"{file} is no manifest: it was torn or edited.", remedy="Train again.") from error
    if not intact:
        raise BundleError(
            f"{file} was tampered with: its seal or bundle id does not fit what it says.",
            remedy="Restore the file, or train again.",
        )
    return manifest


def verify_bundle(path: Path) -> Manifest:
    """Check every file of a bundle against its manifest.

    Raises:
        BundleError: as `Bundle.read`, and for a file that the manifest does not name.
    """
    manifest = read_manifest(path)
    for name, entry in sorted(manifest.files.items()):
        _read_verified(path, name, entry)
    found = {file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()}
    if strangers := sorted(found - set(manifest.files) - {MANIFEST}):
        raise BundleError(
            f"{path / strangers[0]} is not named by the manifest.", remedy="Remove it, or train again."
        )
    return manifest


def _write_files(
    folder: Path, parts: Parts, *, content: Mapping[str, Any], provenance: Mapping[str, Any]
) -> Manifest:
    files: dict[str, FileEntry] = {}
    for name, data in _encode(parts):
        _write_synced(folder / name, data)
        files[name] = FileEntry(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        bundle_id=_bundle_id(files, content),
        content=dict(content),
        provenance=dict(provenance),
        files=files,
        seal="",
    ).sealed()
    _write_synced(folder / MANIFEST, manifest.to_bytes())
    return manifest


def _bundle_id(files: Mapping[str, FileEntry], content: Mapping[str, Any]) -> str:
    """SHA-256 over schema version, content and file hashes in canonical JSON, its first 16 digits."""
    covered = {
        "schema_version": SCHEMA_VERSION,
        "content": content,
        "files": {name: entry.sha256 for name, entry in files.items()},
    }
    canonical = json.dumps(covered, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _encode(parts: Parts) -> list[tuple[str, bytes]]:
    import numpy as np  # noqa: PLC0415 - as above: who reads a manifest needs neither

    files: list[tuple[str, bytes]] = []
    for name, array in parts.arrays.items():
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, np.asarray(array, order="C"), version=(1, 0), allow_pickle=False)
        files.append((f"{name}.npy", buffer.getvalue()))
    for name, table in parts.tables.items():
        buffer = io.BytesIO()
        table.write_parquet(buffer, compression="zstd")
        files.append((f"{name}.parquet", buffer.getvalue()))
    files += [(f"{name}.txt", text.encode()) for name, text in parts.texts.items()]
    return sorted(files)


def _decode(name: str, data: bytes, parts: Parts) -> None:
    import numpy as np  # noqa: PLC0415 - as above
    import polars as pl  # noqa: PLC0415

    suffix = PurePosixPath(name).suffix
    stem = name.removesuffix(suffix)
    try:
        if suffix == ".npy":
            parts.arrays[stem] = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
        elif suffix == ".parquet":
            parts.tables[stem] = pl.read_parquet(io.BytesIO(data))
        elif suffix == ".txt":
            parts.texts[stem] = data.decode()
        else:
            raise ValueError(f"files ending in {suffix!r} are unknown")
    except (ValueError, pl.exceptions.PolarsError) as error:
        raise BundleError(f"{name} can't be decoded: {error}.", remedy="Train again.") from error


def _read_verified(path: Path, name: str, entry: FileEntry) -> bytes:
    """The bytes of one file, checked for place, length and hash."""
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts:
        raise BundleError(f"the manifest names {name!r}, outside of the bundle.", remedy="Train again.")
    try:
        data = (path / relative).read_bytes()
    except (OSError, ValueError) as error:  # a name that holds a zero byte is a ValueError
        raise BundleError(
            f"{path / relative} can't be read: {error}.", remedy="The bundle is torn; train again."
        ) from error
    if len(data) != entry.size_bytes or hashlib.sha256(data).hexdigest() != entry.sha256:
        raise BundleError(
            f"{path / relative} is not what the manifest says: it was torn or tampered with.",
            remedy="Restore the file, or train again.",
        )
    return data


def _write_synced(file: Path, data: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
