"""Parquet as chunks of records, without holding the file."""

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from marquee.data.lines import source_errors
from marquee.data.mapping import Mapping
from marquee.data.records import ReadConfig, RecordChunk, Rejected
from marquee.errors import ContractError, SourceError

_MAGIC = b"PAR1"


def read_parquet(path: Path, mapping: Mapping, *, config: ReadConfig) -> Iterator[RecordChunk]:
    """Chunks of a Parquet file; the line of a record is its row, counted from 1.

    Raises:
        SourceError: the file is missing, empty, not Parquet or damaged.
        ContractError: a mapped column is missing, holds lists or structs, or durations or bare times of
            day, which are no moments.
    """
    _require_parquet(path)
    try:
        scan = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        selected = scan.select(_select(mapping, scan.collect_schema(), path=path))
        n_rows = int(scan.select(pl.len()).collect().item())
        n_bytes = path.stat().st_size
        first_row = 1
        for frame in selected.collect_batches(chunk_size=config.chunk_records, maintain_order=True):
            for part in frame.iter_slices(config.chunk_records):
                first_row += len(part)
                share = (first_row - 1) / max(n_rows, 1)
                yield _chunk(part, first_row - len(part), bytes_read=int(n_bytes * share))
    except (pl.exceptions.ComputeError, OSError) as err:
        raise SourceError(
            f"{path} is damaged Parquet: {' '.join(str(err).split())[:200]}.",
            remedy="Write or fetch the file again.",
        ) from err


def _require_parquet(path: Path) -> None:
    with source_errors(path), path.open("rb") as file:
        head = file.read(4)
        file.seek(max(0, path.stat().st_size - 4))
        tail = file.read(4)
    if not head:
        raise SourceError(f"{path} is empty.", remedy="Give a file with records, or leave it out.")
    if head != _MAGIC or tail != _MAGIC:
        raise SourceError(
            f"{path} is no Parquet file, or only a part of one: it starts with {head!r}, ends with {tail!r}.",
            remedy="Write or fetch the file again, or correct the mapping's format.",
        )


def _select(mapping: Mapping, fields: pl.Schema, *, path: Path) -> list[pl.Expr]:
    for column, field in mapping.columns.items():
        if field not in fields:
            raise ContractError(
                f"{path} has no column {field!r}; it has: {', '.join(fields)}.",
                remedy=f"Name one of them for {column} in the mapping's columns.",
            )
        if fields[str(field)].is_nested():
            raise ContractError(
                f"{path}: column {field!r} for {column} holds {fields[str(field)]}, not single values.",
                remedy="Map a column of single values, or unnest it first.",
            )
        if fields[str(field)] in (pl.Duration, pl.Time):
            raise ContractError(
                f"{path}: column {field!r} for {column} holds {fields[str(field)]}, which is no moment and"
                " no text.",
                remedy="Map a column of timestamps, numbers or text.",
            )
    return [pl.col(str(field)).alias(column) for column, field in mapping.columns.items()]


def _chunk(frame: pl.DataFrame, first_row: int, *, bytes_read: int) -> RecordChunk:
    frame = frame.with_row_index("row", offset=first_row)
    frame, rejected = _decoded(frame)
    rows = frame["row"].to_list()
    frame = frame.drop("row")

    def record(i: int) -> str:
        return _shown(frame.row(i, named=True))

    return RecordChunk(frame, rows, record, rejected, bytes_read)


def _decoded(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[Rejected]]:
    """Binary columns as text (some writers leave the annotation out); rows that aren't UTF-8 apart."""
    binary = [name for name, dtype in frame.schema.items() if dtype == pl.Binary]
    if not binary:
        return frame, []
    text = frame.with_columns(_utf8(frame[name]) for name in binary)
    is_bad = pl.any_horizontal(frame[name].is_not_null() & text[name].is_null() for name in binary)
    bad = frame.with_columns(is_bad.alias("is_bad")).filter("is_bad").drop("is_bad")
    rejected = [
        Rejected(row["row"], "bad_encoding", _shown(row), tuple(binary)) for row in bad.iter_rows(named=True)
    ]
    return text.filter(~pl.col("row").is_in(bad["row"].implode())), rejected


def _utf8(binary: pl.Series) -> pl.Series:
    """Text, null where the bytes are none; polars' own cast fails as a whole."""

    def decoded(value: bytes | None) -> str | None:
        try:
            return None if value is None else value.decode()
        except UnicodeDecodeError:
            return None

    return pl.Series(binary.name, [decoded(value) for value in binary], dtype=pl.String)


def _shown(row: dict[str, object]) -> str:
    return json.dumps(
        {name: value for name, value in row.items() if name != "row"}, default=str, ensure_ascii=False
    )
