"""Appending rows to a source: a single file is written anew, a folder gets another file."""

import time
import uuid
from collections.abc import Sequence
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import fs

from marquee.adapters.feast_offline.jobs import PARQUET_OPTIONS
from marquee.adapters.feast_offline.location import Location
from marquee.adapters.feast_offline.table import ParquetTable
from marquee.errors import ConfigError, ContractError


def append(table: ParquetTable, rows: pa.Table, *, mapping: dict[str, str]) -> None:
    """Add rows to those that a source holds: behind them in a file, as another file in a folder.

    Columns may stand in any order, under the stored names or under those of the field mapping. Files
    appear whole or not at all.

    Raises:
        ConfigError: the source is a glob: no place to write to.
        SourceError: the source is missing or no Parquet.
        ContractError: columns are missing, too many, or of types that don't fit without loss.
    """
    location = table.location
    if location.is_glob:
        raise ConfigError(f"{location.address} is a pattern.", remedy="Write to a file or to a folder.")
    rows = _fitted(rows, table, mapping=mapping)
    if location.is_single_file:
        _rewrite(table, rows)
    else:
        add_files(location, rows, partition_by=table.folder_columns)


def add_files(location: Location, rows: pa.Table, *, partition_by: Sequence[str] = ()) -> None:
    """Write rows into a folder as new files, in `name=value` folders where partitioned.

    They are written to a hidden place first and then moved one by one.
    """
    draft = f"{location.path}/.incoming-{uuid.uuid4().hex}"
    kinds = pa.schema([rows.schema.field(name) for name in partition_by])
    form = ds.ParquetFileFormat()
    with location.guarded():
        try:
            ds.write_dataset(
                rows,
                draft,
                filesystem=location.filesystem,
                format=form,
                create_dir=location.has_folders,
                file_options=form.make_write_options(**PARQUET_OPTIONS),
                partitioning=ds.partitioning(kinds, flavor="hive") if partition_by else None,
                # files are read by name: a later one stands behind
                basename_template=f"part-{time.time_ns():020d}-{uuid.uuid4().hex}-{{i}}.parquet",
            )
            _move_all(location, draft)
        finally:
            if location.filesystem.get_file_info(draft).type == fs.FileType.Directory:
                location.filesystem.delete_dir(draft)


def _move_all(location: Location, draft: str) -> None:
    for info in location.filesystem.get_file_info(fs.FileSelector(draft, recursive=True)):
        if info.type == fs.FileType.File:
            place = PurePosixPath(location.path) / PurePosixPath(info.path).relative_to(draft)
            location.make_folder(str(place.parent))
            location.filesystem.move(info.path, str(place))


def _fitted(rows: pa.Table, table: ParquetTable, *, mapping: dict[str, str]) -> pa.Table:
    stored = {new: old for old, new in mapping.items()}
    wanted = table.schema
    names = [name if name in wanted.names else stored.get(name, name) for name in rows.column_names]
    if sorted(names) != sorted(wanted.names):
        raise ContractError(
            f"The rows have the columns {', '.join(names)}; {table.location.address} has"
            f" {', '.join(wanted.names)}.",
            remedy="Write exactly the columns of the source.",
        )
    rows = rows.rename_columns(names).select(wanted.names)
    try:
        return rows.cast(wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as err:
        raise ContractError(
            f"The rows do not fit {table.location.address}: {err}.", remedy="Write the types of the source."
        ) from err


def _rewrite(table: ParquetTable, rows: pa.Table) -> None:
    location = table.location
    with (
        location.guarded(),
        location.replacing() as draft,
        pq.ParquetWriter(draft, rows.schema, filesystem=location.filesystem, **PARQUET_OPTIONS) as writer,
    ):
        for batch in table.dataset.to_batches():
            writer.write_batch(batch)
        writer.write_table(rows)
