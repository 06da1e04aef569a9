"""What a warehouse holds, by content: its table of contents and frozen snapshots of it."""

import hashlib
import json
from collections.abc import Iterator
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from marquee.errors import WarehouseError


class Part(BaseModel):
    """One immutable Parquet file of a table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    partition: str
    """The UTC month "2024-05" of interactions; empty for a table that is one file."""
    path: str
    """Relative to the warehouse, with forward slashes."""
    sha256: str
    rows: int


class IngestedFile(BaseModel):
    """A source file that the warehouse has taken in, by its bytes and how they were mapped."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    sha256: str
    mapping: str
    read: int
    accepted: int
    quarantined: int


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def from_json(cls, text: str, *, origin: str) -> Self:
        """Read back what `to_json` wrote.

        Raises:
            WarehouseError: the text is torn, changed by hand, or of another version.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as err:
            fault = err.errors()[0]
            where = ".".join(str(step) for step in fault["loc"]) or "the document"
            raise WarehouseError(
                f"{origin} is damaged or of another version: {where}: {fault['msg']}.",
                remedy="Restore it from a backup, or ingest into a new folder.",
            ) from err

    def to_json(self) -> bytes:
        """Canonical JSON: equal content, equal bytes."""
        return (json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True) + "\n").encode()


class Contents(_Document):
    """The table of contents `warehouse.json`: what is committed is what it names."""

    version: Literal[1] = 1
    tables: dict[str, tuple[Part, ...]] = {}
    files: tuple[IngestedFile, ...] = ()

    def with_parts(self, table: str, parts: dict[str, Part]) -> Self:
        """The contents after some partitions of a table were replaced."""
        if not parts:
            return self
        merged = {part.partition: part for part in self.tables.get(table, ())} | parts
        return self.model_copy(
            update={"tables": self.tables | {table: tuple(merged[name] for name in sorted(merged))}}
        )

    def with_files(self, files: tuple[IngestedFile, ...]) -> Self:
        """The contents after more source files were taken in."""
        return self.model_copy(update={"files": self.files + files})

    def part(self, table: str, partition: str) -> Part | None:
        """The part of one partition, if there is one."""
        return next((part for part in self.tables.get(table, ()) if part.partition == partition), None)


class Snapshot(_Document):
    """A frozen state of the warehouse; equal data have equal ids, whenever and however they came in."""

    version: Literal[1] = 1
    id: str
    tables: dict[str, tuple[Part, ...]]

    @classmethod
    def of(cls, contents: Contents) -> Self:
        """Freeze what is committed."""
        tables = {table: parts for table, parts in sorted(contents.tables.items()) if parts}
        return cls(id=_content_id(tables), tables=tables)

    def require_untampered(self, *, origin: str) -> None:
        """Check that the id is the content's.

        Raises:
            WarehouseError: it is not.
        """
        if self.id != _content_id(self.tables):
            raise WarehouseError(
                f"{origin} is not the snapshot that its id says: it was changed after it was written.",
                remedy="Restore it from a backup, or take a new snapshot.",
            )

    @property
    def rows(self) -> dict[str, int]:
        """Number of rows of each table."""
        return {table: sum(part.rows for part in parts) for table, parts in self.tables.items()}


def paths_of(document: Contents | Snapshot) -> Iterator[str]:
    """Relative paths of all parts."""
    return (part.path for parts in document.tables.values() for part in parts)


def _content_id(tables: dict[str, tuple[Part, ...]]) -> str:
    lines = sorted(
        [table, part.partition, part.sha256, part.rows] for table, parts in tables.items() for part in parts
    )
    return hashlib.sha256(json.dumps(lines).encode()).hexdigest()
