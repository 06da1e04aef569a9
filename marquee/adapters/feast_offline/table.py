"""A Parquet source as one table: its schema, chosen columns within a span of time, or batch by batch."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.dataset as ds

from marquee.adapters.feast_offline.location import Location
from marquee.errors import ContractError, SourceError


@dataclass(frozen=True)
class Span:
    """A span of time in microseconds since 1970 UTC, both ends included; None leaves an end open."""

    first_us: int | None = None
    last_us: int | None = None


@dataclass(frozen=True)
class ParquetTable:
    """Files of one table: one file, all of a folder (`name=value` folders are columns), or a glob.

    Files may lack columns that others have (null there). Rows come in stored order: files by path,
    rows as they stand in them.
    """

    location: Location

    @cached_property
    def dataset(self) -> ds.Dataset:
        """The open data set.

        Raises:
            SourceError: nothing there, or not Parquet, or files whose columns do not fit together.
        """
        where = self.location
        paths = where.files()
        if not paths:
            raise SourceError(f"{where.address} holds no file.", remedy="Build the table or mend the path.")
        options = ds.FileSystemFactoryOptions(
            partition_base_dir=where.root, partitioning=ds.HivePartitioning.discover()
        )
        with where.guarded():
            factory = ds.FileSystemDatasetFactory(where.filesystem, paths, ds.ParquetFileFormat(), options)
            return factory.finish(factory.inspect(promote_options="permissive"))

    @property
    def schema(self) -> pa.Schema:
        """Names and types of all columns, those of the folders' names last."""
        return self.dataset.schema

    @property
    def folder_columns(self) -> list[str]:
        """The columns that stand in the names of folders instead of the files."""
        first = PurePosixPath(self.dataset.files[0]).relative_to(self.location.root)
        return [part.partition("=")[0] for part in first.parts[:-1] if "=" in part]

    def require(self, names: list[str], *, asked_by: str) -> None:
        """Check that columns exist.

        Raises:
            ContractError: one does not, or stands there twice; all that do are listed.
        """
        for name in names:
            if self.schema.names.count(name) != 1:
                raise ContractError(
                    f"{self.location.address} has no single column {name!r}, which {asked_by} names"
                    f" (it has {', '.join(self.schema.names)}).",
                    remedy="Mend the definition or its field_mapping, or rebuild the table.",
                )

    def read(self, names: list[str], *, time: str, span: Span) -> pa.Table:
        """Columns at the positions of `names`, called "0", "1", … so that no name can do harm.

        A name may be asked twice. Rows outside of `span` may be among them: it only saves reading.
        """
        with self.location.guarded():
            return self._scanner(names, time=time, span=span).to_table().combine_chunks()

    def batches(self, names: list[str], *, time: str, span: Span, rows: int) -> Iterator[pa.Table]:
        """The same in batches of at most `rows`, holding only a few at a time."""
        with self.location.guarded():
            for batch in self._scanner(names, time=time, span=span, batch_size=rows).to_batches():
                yield pa.Table.from_batches([batch])

    def _scanner(self, names: list[str], *, time: str, span: Span, **options: int) -> ds.Scanner:
        columns = {str(place): ds.field(name) for place, name in enumerate(names)}
        return self.dataset.scanner(columns=columns, filter=self._within(time, span), **options)

    def _within(self, time: str, span: Span) -> ds.Expression | None:
        """A filter that the readers can check against the statistics of row groups."""
        kind = self.schema.field(time).type
        field = ds.field(time)
        first, last = _bounds(span, kind)
        if first is not None and last is not None:
            return (field >= first) & (field <= last)
        if first is not None:
            return field >= first
        return None if last is None else field <= last


def _bounds(span: Span, kind: pa.DataType) -> tuple[pa.Scalar | None, pa.Scalar | None]:
    """The ends in the column's own unit; None where open, or beyond what the column can hold.

    A date is its midnight. Stored nanoseconds are cut to the microsecond, so the last one counts whole.
    """
    if pa.types.is_date(kind):
        unit_us = 86_400_000_000 if kind == pa.date32() else 1000
    elif pa.types.is_timestamp(kind):
        unit_us = {"s": 1_000_000, "ms": 1000, "us": 1, "ns": 0}[kind.unit]
    else:
        return None, None
    first, last = span.first_us, span.last_us
    if not unit_us:
        return (
            _scalar(None if first is None else first * 1000, kind),
            _scalar(None if last is None else last * 1000 + 999, kind),
        )
    return (
        _scalar(None if first is None else -(-first // unit_us), kind),
        _scalar(None if last is None else last // unit_us, kind),
    )


def _scalar(units: int | None, kind: pa.DataType) -> pa.Scalar | None:
    try:
        return None if units is None else pa.scalar(units, pa.int64()).cast(_integer(kind)).cast(kind)
    except (OverflowError, pa.ArrowInvalid):
        return None


def _integer(kind: pa.DataType) -> pa.DataType:
    return pa.int32() if kind == pa.date32() else pa.int64()
