"""From what a user names (files, folders, globs) to the files that will be read."""

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from marquee.data.lines import source_errors
from marquee.data.mapping import Mapping
from marquee.data.storage import sha256_of
from marquee.errors import SourceError

_SUFFIXES: Final[dict[str, tuple[str, ...]]] = {
    "csv": (".csv", ".tsv", ".dat", ".data", ".inter"),  # not .txt: README.txt
    "jsonl": (".jsonl", ".ndjson", ".json"),
    "parquet": (".parquet", ".pq"),
}


@dataclass(frozen=True)
class SourceFile:
    """One file to read, as it stood when it was found."""

    path: Path
    n_bytes: int
    modified_ns: int

    def content_hash(self) -> str:
        """SHA-256 (hex) of the file's bytes.

        Raises:
            SourceError: the file can't be read.
        """
        with source_errors(self.path):
            return sha256_of(self.path)

    def require_unchanged(self) -> None:
        """Check that nobody wrote to the file since it was found.

        Raises:
            SourceError: its size or time of change is another.
        """
        if _source_file(self.path) != self:
            raise SourceError(
                f"{self.path} changed while it was read.",
                remedy="Wait until it is written completely, then run again.",
            )


def find_files(sources: Sequence[str | Path], mapping: Mapping) -> list[SourceFile]:
    """The files behind `sources`, each once, in the order named; those of a folder or glob by name.

    A folder stands for the files below it, at any depth, whose suffix fits the mapping's format, plain
    or `.gz`; hidden ones are left out. What does not exist by name is tried as a glob.

    Raises:
        SourceError: a source that leads to no file, or to one that can't be read.
    """
    if not sources or "" in sources:  # Path("") would be the working directory
        raise SourceError("no source is named.", remedy="Name at least one file, folder or glob.")
    found: dict[Path, SourceFile] = {}
    for source in sources:
        for path in _paths(Path(source), mapping):
            file = _source_file(path)  # before resolve, which fails on a link to itself
            found.setdefault(path.resolve(), file)
    return list(found.values())


def _paths(source: Path, mapping: Mapping) -> list[Path]:
    with source_errors(source):
        if source.is_dir():
            return _files_below(source, mapping)
        if os.path.lexists(source) or not glob.has_magic(str(source)):
            return [source]
        # pathlib's glob takes no absolute pattern
        matches = [Path(match) for match in sorted(glob.glob(str(source), recursive=True))]  # noqa: PTH207
    files = [path for path in matches if not path.is_dir()]
    if not files:
        raise SourceError(f"no file matches {source}.", remedy="Correct the glob, or name the files.")
    return files


def _files_below(folder: Path, mapping: Mapping) -> list[Path]:
    plain = _SUFFIXES[mapping.format]
    zipped = () if mapping.format == "parquet" else tuple(f"{suffix}.gz" for suffix in plain)
    suffixes = (*plain, *zipped)
    next(folder.iterdir(), None)  # rglob passes over a folder that it may not read
    inside = sorted(path for path in folder.rglob("*") if path.name.lower().endswith(suffixes))
    files = [path for path in inside if path.is_file() and not _is_hidden(path.relative_to(folder))]
    if not files:
        raise SourceError(
            f"folder {folder} has no {mapping.format} files: none ends in {', '.join(suffixes)}.",
            remedy="Name the files or a glob, or correct the mapping's format.",
        )
    return files


def _is_hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)


def _source_file(path: Path) -> SourceFile:
    with source_errors(path):
        status = path.stat()
    if not path.is_file():
        raise SourceError(f"{path} is not a regular file.", remedy="Save the data to a file and name that.")
    if not status.st_size:
        raise SourceError(f"{path} is empty.", remedy="Give a file with records, or leave it out.")
    return SourceFile(path, status.st_size, status.st_mtime_ns)
