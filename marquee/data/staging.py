"""Between reading and committing: events on disk by month, then one sorted part of unique events a month."""

from collections import defaultdict
from pathlib import Path
from typing import Final

import duckdb
import polars as pl

from marquee import schema
from marquee.data.storage import storage_errors

_SEQUENCE: Final = "sequence"
_MONTH: Final = "month"
_ALREADY_THERE: Final = -1
_COLUMNS: Final = ", ".join(schema.INTERACTIONS_SCHEMA)
_KEY: Final = ", ".join(schema.EVENT_KEY)
_ORDER: Final = ", ".join((schema.TIMESTAMP, schema.USER_ID, schema.ITEM_ID, schema.INTERACTION_TYPE))


class MonthStaging:
    """Collects events by UTC month in a folder, holding at most `max_rows` in memory.

    Args:
        folder: an empty folder for the files.
        max_rows: so many rows are buffered before they are written.
    """

    def __init__(self, folder: Path, *, max_rows: int) -> None:
        self.files: dict[str, list[Path]] = defaultdict(list)
        """Files of each month "2024-05", in the order in which the events came."""
        self.n_rows = 0
        """Events added so far."""
        self._folder = folder
        self._max_rows = max_rows
        self._buffers: dict[str, list[pl.DataFrame]] = defaultdict(list)
        self._n_buffered = 0

    def add(self, events: pl.DataFrame) -> None:
        """Add events of the contract; earlier ones win where the same event comes twice.

        Raises:
            WarehouseError: the disk is full or fails.
        """
        numbered = events.with_columns(
            (pl.int_range(len(events), dtype=pl.Int64) + self.n_rows).alias(_SEQUENCE),
            pl.col(schema.TIMESTAMP).dt.strftime("%Y-%m").alias(_MONTH),
        )
        self.n_rows += len(events)
        self._n_buffered += len(events)
        for (month,), frame in numbered.partition_by(_MONTH, as_dict=True, include_key=False).items():
            self._buffers[str(month)].append(frame)
        if self._n_buffered >= self._max_rows:
            self.flush()

    def flush(self) -> None:
        """Write what is buffered.

        Raises:
            WarehouseError: the disk is full or fails.
        """
        for month, frames in sorted(self._buffers.items()):
            file = self._folder / f"{month}-{len(self.files[month]):05}.parquet"
            with storage_errors(self._folder.parent):
                pl.concat(frames).write_parquet(file, compression="lz4", statistics=False)
            self.files[month].append(file)
        self._buffers.clear()
        self._n_buffered = 0


class MonthMerger:
    """Merges a month's staged events with the part that is already there, spilling to disk if need be.

    Args:
        folder: for results and spill.
        memory_limit_mb: of the merge, in MiB.
        row_group_rows: rows of a row group in the result.
    """

    def __init__(self, folder: Path, *, memory_limit_mb: int, row_group_rows: int) -> None:
        self._folder = folder
        self._row_group_rows = row_group_rows
        self._database = duckdb.connect(
            config={
                "memory_limit": f"{memory_limit_mb}MiB",
                "temp_directory": str(folder / "spill"),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        )
        self._database.execute("SET enable_progress_bar = false")  # it would write to stdout

    def close(self) -> None:
        """Free the memory; results stay."""
        self._database.close()

    def merge(self, month: str, *, existing: Path | None, staged: list[Path]) -> tuple[Path, int]:
        """The merged part, a file in the folder, and its number of rows.

        Events are unique by `schema.EVENT_KEY`, the one already there before staged ones, earlier before
        later; sorted by time, user, item and type. Equal events give equal bytes whatever their order.

        Raises:
            WarehouseError: the disk is full or fails.
        """
        merged, part = self._folder / f"{month}.merged", self._folder / f"{month}.part.parquet"
        with storage_errors(self._folder.parent):
            n_rows = self._unique(merged, existing=existing, staged=staged)
            # DuckDB's pages depend on how its input was split; polars encodes the same rows the same way
            events = pl.scan_parquet(merged, glob=False).cast(pl.Schema(schema.INTERACTIONS_SCHEMA))
            events.sink_parquet(part, row_group_size=self._row_group_rows, maintain_order=True)
            merged.unlink()
        return part, n_rows

    def _unique(self, target: Path, *, existing: Path | None, staged: list[Path]) -> int:
        # only column names of the schema and an escaped path are put into the text
        rows = f"SELECT {_COLUMNS}, {_SEQUENCE} FROM read_parquet($staged)"  # noqa: S608
        files = {"staged": [_literal(path) for path in staged]}
        if existing:
            rows += f" UNION ALL SELECT {_COLUMNS}, {_ALREADY_THERE} FROM read_parquet($existing)"  # noqa: S608
            files["existing"] = [_literal(existing)]
        first = f"row_number() OVER (PARTITION BY {_KEY} ORDER BY {_SEQUENCE}) = 1"
        quoted = str(target).replace("'", "''")
        found = self._database.execute(
            f"COPY (SELECT {_COLUMNS} FROM ({rows}) QUALIFY {first} ORDER BY {_ORDER})"  # noqa: S608
            f" TO '{quoted}' (FORMAT parquet, COMPRESSION lz4)",
            files,
        ).fetchone()
        return int(found[0]) if found else 0


def _literal(path: Path) -> str:
    """The path with its glob characters escaped: DuckDB would expand them."""
    return "".join(f"[{mark}]" if mark in "*?[" else mark for mark in str(path))
