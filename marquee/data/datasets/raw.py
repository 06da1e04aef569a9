"""What a data set delivers before the contract has checked it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import polars as pl

from marquee import schema
from marquee.data.mapping import Mapping

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is (0 while unknown)."""

ISSUES_SCHEMA: Final[dict[str, pl.DataType]] = {
    "source": pl.String(),
    "line": pl.Int64(),
    "column": pl.String(),
    "value": pl.String(),
    "reason": pl.String(),
}
"""A row for each value that could not be read as its column; lines count from 1, null where unknown."""


@dataclass(frozen=True)
class RawDataset:
    """A data set as delivered: event files with their mapping, and its side tables.

    `interactions` is empty exactly where `mapping` is None: a catalogue without events. The tables
    have the columns and dtypes of `schema.TABLE_SCHEMAS`; a field that the source lacks is null.
    """

    name: str
    interactions: tuple[Path, ...]
    mapping: Mapping | None
    source: str  # where it came from, for the manifest
    users: pl.DataFrame | None = None
    movies: pl.DataFrame | None = None
    publicity: pl.DataFrame | None = None
    notes: tuple[str, ...] = ()  # what a reader of results must know about this data
    issues: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=ISSUES_SCHEMA))


def conform(table: pl.DataFrame, *, name: str) -> pl.DataFrame:
    """The table with exactly the columns and dtypes of the contract's table `name`.

    Missing columns become null, columns that the contract does not know are left out.

    Raises:
        polars.exceptions.InvalidOperationError: a value does not fit its column's dtype.
    """
    return table.select(
        (pl.col(column) if column in table.columns else pl.lit(None)).cast(dtype).alias(column)
        for column, dtype in schema.TABLE_SCHEMAS[name].items()
    )


def ignore_progress(_what: str, _done: int, _total: int) -> None:
    """The progress callback of a caller that shows none."""
