"""Versions of the state in a folder, of which one is current; replacing a link is the only commit.

    <root>/current -> versions/<id>         what readers open
    <root>/versions/<id>/state.json         the table of contents
    <root>/versions/<id>/<table>/….parquet  immutable; parts that stay are hard links to the version before

Feast reads folders, so a version is a folder of its own: no reader sees half of one and half of another.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from marquee import schema
from marquee.data.storage import exclusive_lock, local_root, sha256_of, storage_errors, sync
from marquee.errors import FeatureStoreError

CONTENTS: Final = "state.json"
CURRENT: Final = "current"
_VERSIONS: Final = "versions"
_STAGING: Final = ".staging"
_LOCK: Final = ".lock"
_KEPT_VERSIONS: Final = 2
EVENTS: Final = "events"
"""The builder's own table: every event it was given, each once."""
CHOICES: Final = "choices"
"""The builder's own table: `consumed_events` of all users, by slice and bucket of users."""
SUMS: Final = "daily_sums"
"""The builder's own table: `DailySums` of the choices."""
TOTALS: Final = "totals"
"""The builder's own table: sums of all days before a month, a part a month."""


class StatePart(BaseModel):
    """One immutable Parquet file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    """Relative to the version's folder, with forward slashes."""
    sha256: str
    rows: int


class StateContents(BaseModel):
    """The table of contents of one version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[2] = 2
    config: dict[str, Any]
    events: int
    first_us: int | None
    last_us: int | None
    """Times of the first and last event, UTC microseconds."""
    through_day: int | None
    """The last day that has statistics, in days since 1970-01-01."""
    tables: dict[str, tuple[StatePart, ...]]

    @cached_property
    def id(self) -> str:
        """Equal state, equal id, however it was built."""
        return hashlib.sha256(self.to_json()).hexdigest()[:32]

    @property
    def rows(self) -> dict[str, int]:
        """Number of rows of each table."""
        return {table: sum(part.rows for part in parts) for table, parts in self.tables.items()}

    def to_json(self) -> bytes:
        """The same bytes for the same state: fields in their order, tables and parts by name."""
        return (self.model_dump_json(indent=1) + "\n").encode()


class StateFolder:
    """The state of one data set in a local folder; reading needs no lock, one process writes at a time."""

    def __init__(self, root: str | Path) -> None:
        self.root = local_root(root)

    @property
    def current(self) -> Path:
        """The link to the version that counts."""
        return self.root / CURRENT

    def contents(self) -> StateContents | None:
        """What is committed; None where nothing was built yet.

        Raises:
            FeatureStoreError: the table of contents is damaged or of another version.
        """
        path = self.current / CONTENTS
        if not path.exists():
            return None
        try:
            return StateContents.model_validate_json(path.read_bytes())
        except ValidationError as err:
            fault = err.errors()[0]
            raise FeatureStoreError(
                f"{path} is damaged or of another version: {fault['msg']}.",
                remedy="Build it anew: `marquee features build`.",
            ) from err

    def require(self) -> StateContents:
        """As `contents`, for those who need some.

        Raises:
            FeatureStoreError: also where nothing was built yet.
        """
        contents = self.contents()
        if contents is None:
            raise FeatureStoreError(
                f"there is no state in {self.root}.", remedy="Build it: `marquee features build`."
            )
        return contents

    def scan(self, table: str) -> pl.LazyFrame:
        """A table of the current version; for a view sorted by (key, time) within each part.

        Raises:
            FeatureStoreError: nothing was built yet.
        """
        parts = self.require().tables.get(table, ())
        version = self.current.resolve()
        if not parts:
            return pl.DataFrame(schema=schema.view_columns(table)).lazy()
        return pl.scan_parquet([version / part.path for part in parts], glob=False, hive_partitioning=False)

    @contextmanager
    def writing(self, *, anew: bool = False) -> Iterator["StateDraft"]:
        """Be the one writer; leaving without `StateDraft.commit` changes nothing.

        Args:
            anew: look at nothing of the version before, not even whether it is whole.

        Raises:
            WarehouseError: another process writes, or the disk fails.
        """
        with storage_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(self.root / _LOCK):
            staging = self.root / _STAGING
            shutil.rmtree(staging, ignore_errors=True)
            with storage_errors(self.root):
                staging.mkdir()
            try:
                yield StateDraft(self, staging, anew=anew)
            finally:
                shutil.rmtree(staging, ignore_errors=True)

    def install(self, staging: Path, id_: str) -> None:
        """Make a finished folder the current version, and forget all but the last ones."""
        version = self.root / _VERSIONS / id_
        version.parent.mkdir(exist_ok=True)
        if not _is_whole(version, (staging / CONTENTS).read_bytes()):
            shutil.rmtree(version, ignore_errors=True)  # damaged: nobody can read it
            staging.replace(version)
            sync(version.parent)
        link = self.root / f".{CURRENT}"
        link.unlink(missing_ok=True)
        previous = self.current.resolve().name if self.current.exists() else None
        link.symlink_to(Path(_VERSIONS, id_), target_is_directory=True)
        link.replace(self.current)
        sync(self.root)
        kept = {id_, previous}
        for old in version.parent.iterdir():
            if old.name not in kept:
                shutil.rmtree(old, ignore_errors=True)


def _is_whole(version: Path, contents: bytes) -> bool:
    """Whether a version's folder holds just what its contents name."""
    try:
        if (version / CONTENTS).read_bytes() != contents:
            return False
        tables = StateContents.model_validate_json(contents).tables.values()
        return all(sha256_of(version / part.path) == part.sha256 for parts in tables for part in parts)
    except OSError:
        return False


class StateDraft:
    """The next version in the making."""

    def __init__(self, folder: StateFolder, staging: Path, *, anew: bool) -> None:
        self.folder = folder
        self.staging = staging
        self.before = None if anew else folder.contents()
        tables = self.before.tables.values() if self.before else ()
        self._old_parts = {part.path: part for parts in tables for part in parts}
        self._before_path = folder.current.resolve()
        self.parts: dict[str, dict[str, StatePart]] = {}
        self._made: set[str] = set()
        self.kept: set[str] = set()
        """Paths of the parts that were taken over."""

    def old_names(self, table: str) -> list[str]:
        """Paths within the table's folder of the parts of the version before."""
        parts = self.before.tables.get(table, ()) if self.before else ()
        return [part.path.removeprefix(f"{table}/") for part in parts]

    def scan_old(self, table: str, names: Iterable[str]) -> pl.LazyFrame:
        """Some parts of the version before, in their order."""
        paths = [self._before_path / table / name for name in names]
        return pl.scan_parquet(paths, glob=False, hive_partitioning=False)

    def drafted_names(self, table: str) -> list[str]:
        """Paths within the table's folder of what was written or kept so far."""
        return sorted(self.parts.get(table, {}))

    def scan_drafted(self, table: str, names: Iterable[str] | None = None) -> pl.LazyFrame:
        """What was written or kept of a table so far: some parts, or all."""
        paths = [self.staging / table / name for name in names or self.drafted_names(table)]
        return pl.scan_parquet(paths, glob=False, hive_partitioning=False)

    def write(self, table: str, name: str, rows: pl.DataFrame) -> None:
        """Write a part; `name` is its path within the table's folder."""
        path = self.staging / table / name
        with storage_errors(self.folder.root):
            self._make_folder(str(path))
            # In one piece: how a frame was put together must not show in the file.
            rows.rechunk().write_parquet(path, compression="zstd", row_group_size=122_880)
            sync(path)
            part = StatePart(path=f"{table}/{name}", sha256=sha256_of(path), rows=len(rows))
        self.parts.setdefault(table, {})[name] = part

    def keep(self, table: str, name: str) -> None:
        """Take a part over from the version before."""
        part = self._old_parts[f"{table}/{name}"]
        # Of many hundred small files even pathlib's share would show: hence the strings.
        target = f"{self.staging}/{part.path}"
        with storage_errors(self.folder.root):
            self._make_folder(target)
            os.link(f"{self._before_path}/{part.path}", target)
        self.parts.setdefault(table, {})[name] = part
        self.kept.add(part.path)

    def _make_folder(self, file: str) -> None:
        folder = file.rpartition("/")[0]
        if folder not in self._made:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self._made.add(folder)

    def rows(self, table: str) -> int:
        """Rows of a table that were written or kept so far."""
        return sum(part.rows for part in self.parts.get(table, {}).values())

    def commit(self, contents: dict[str, Any]) -> StateContents:
        """Make what was written the current version; `contents` is all of it but the tables."""
        tables = {table: self._parts(table) for table in sorted(self.parts)}
        made = StateContents(**contents, tables=tables)
        with storage_errors(self.folder.root):
            (self.staging / CONTENTS).write_bytes(made.to_json())
            sync(self.staging / CONTENTS)
            sync(self.staging)
            self.folder.install(self.staging, made.id)
        return made

    def _parts(self, table: str) -> tuple[StatePart, ...]:
        return tuple(part for _, part in sorted(self.parts.get(table, {}).items()))
