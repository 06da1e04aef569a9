"""Find and unpack the files of a data set in a folder or a zip.

Zips come from elsewhere: nothing is written but wanted members, under names of our own choosing
(a member's path never becomes a path here), each checked against its size and CRC while it is read.
"""

import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final

from marquee.data.datasets.raw import Progress
from marquee.errors import SourceError

MAX_MEMBER_BYTES: Final = 4 * 1024**3
"""No file of a known data set is larger (ml-32m's ratings.csv has 0.9 GB)."""
_BLOCK_BYTES: Final = 1024 * 1024
_MAX_DEPTH: Final = 4  # folders below the root that are looked into


@dataclass(frozen=True)
class Listing:
    """The files of a folder or zip, by the folder that holds them."""

    root: Path
    names_by_folder: dict[str, tuple[str, ...]]  # shallowest folder first, "" is the root itself

    @property
    def is_zip(self) -> bool:
        """Whether `root` is a zip file."""
        return self.root.is_file()


def list_files(root: Path) -> Listing:
    """What a folder or zip (a wheel is one) holds.

    Raises:
        SourceError: there is nothing, or it is neither a folder nor a zip.
    """
    try:
        if not root.exists():
            raise SourceError(f"{root} does not exist.", remedy="Give a folder or zip with --source.")
        paths = _zip_members(root) if root.is_file() else _folder_members(root)
    except zipfile.BadZipFile as err:
        remedy = "Give a folder or a whole zip with --source."
        raise SourceError(f"{root} can't be read as a zip: {err}.", remedy=remedy) from err
    except OSError as err:
        raise SourceError(f"{root} can't be read: {err.strerror}.", remedy="Check its permissions.") from err
    by_folder: dict[str, list[str]] = {}
    for path in sorted(paths, key=lambda path: (len(path.parts), str(path))):
        by_folder.setdefault(_folder_of(path), []).append(path.name)
    return Listing(root=root, names_by_folder={folder: tuple(names) for folder, names in by_folder.items()})


def take_files(
    listing: Listing, names: Sequence[str], *, folder: str, into: Path, on_progress: Progress
) -> dict[str, Path]:
    """Paths of the files `names` of one folder of the listing; members of a zip are unpacked to `into`.

    A member that `into` holds already with the same size and CRC is not unpacked again.

    Raises:
        SourceError: the zip is torn, encrypted, or a member is larger than `MAX_MEMBER_BYTES`.
    """
    if not listing.is_zip:
        return {name: listing.root / folder / name for name in names}
    try:
        with zipfile.ZipFile(listing.root) as archive:
            into.mkdir(parents=True, exist_ok=True)
            return {
                name: _unpack(archive, str(PurePosixPath(folder, name)), into=into, on_progress=on_progress)
                for name in names
            }
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, zlib.error, EOFError) as err:
        raise SourceError(
            f"{listing.root} can't be unpacked: {err}.",
            remedy="Download it again, or unpack it and give the folder.",
        ) from err
    except OSError as err:
        raise SourceError(
            f"{listing.root} can't be unpacked to {into}: {err}.", remedy="Make room there."
        ) from err


def _zip_members(root: Path) -> Iterable[PurePosixPath]:
    with zipfile.ZipFile(root) as archive:
        return [PurePosixPath(info.filename) for info in archive.infolist() if not info.is_dir()]


def _folder_members(root: Path) -> Iterable[PurePosixPath]:
    found: list[PurePosixPath] = []
    for folder, subfolders, names in os.walk(root, onerror=_raise):
        relative = Path(folder).relative_to(root)
        if len(relative.parts) >= _MAX_DEPTH:
            subfolders.clear()
        found += [PurePosixPath(relative.as_posix()) / name for name in names]
    return found


def _raise(err: OSError) -> None:
    raise err  # os.walk passes over what it may not read, unless told otherwise


def _folder_of(path: PurePosixPath) -> str:
    return "" if str(path.parent) == "." else str(path.parent)


def _unpack(archive: zipfile.ZipFile, member: str, *, into: Path, on_progress: Progress) -> Path:
    info = archive.getinfo(member)
    target = into / PurePosixPath(member).name
    if info.file_size > MAX_MEMBER_BYTES:
        raise SourceError(
            f"{archive.filename}: {member} has {info.file_size:,} bytes, more than {MAX_MEMBER_BYTES:,}.",
            remedy="If that is right, unpack it and give the folder.",
        )
    if target.is_file() and target.stat().st_size == info.file_size and _crc32(target) == info.CRC:
        return target
    descriptor, partial = tempfile.mkstemp(dir=into, prefix=".partial-")
    try:
        with os.fdopen(descriptor, "wb") as output, archive.open(info) as content:
            _copy(
                content, output, what=f"unpack {target.name}", n_bytes=info.file_size, on_progress=on_progress
            )
        Path(partial).replace(target)
    finally:
        Path(partial).unlink(missing_ok=True)
    return target


def _copy(source: IO[bytes], target: IO[bytes], *, what: str, n_bytes: int, on_progress: Progress) -> None:
    """Copy block by block; zipfile stops at the stated size and checks the CRC at the end."""
    done = 0
    while block := source.read(_BLOCK_BYTES):
        target.write(block)
        done += len(block)
        on_progress(what, done, n_bytes)


def _crc32(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            crc = zlib.crc32(block, crc)
    return crc
