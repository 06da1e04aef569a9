"""The table on disk: one Parquet file, in which a run replaces the periods that it knows better."""

from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Final

import polars as pl

from marquee import schema
from marquee.data.storage import exclusive_lock, storage_errors, write_atomically
from marquee.errors import ConfigError
from marquee.online_metrics.facts import PERIOD
from marquee.online_metrics.table import REQUESTS, TABLE_SCHEMA, overall

FILE: Final = "online.parquet"
"""The table's file."""
_LOCK: Final = ".online.lock"
_WHAT: Final = "the folder of online metrics"
_PATIENCE_S: Final = 10.0
_KNOWN: Final = "known_requests"


@dataclass(frozen=True, eq=False)
class Kept:
    """What a run made of the file."""

    table: pl.DataFrame
    """As it lies there now."""
    replaced: int
    """Periods that were written, new ones among them."""
    better: tuple[datetime, ...]
    """Periods of which the file knew more, so that they stayed: more requests, or later events."""


def read_table(folder: Path) -> pl.DataFrame:
    """The table of a folder; without rows where there is none yet.

    Raises:
        ConfigError: the file is torn, or of another release.
    """
    file = folder / FILE
    if not file.exists():
        return pl.DataFrame(schema=TABLE_SCHEMA)
    with storage_errors(folder, what=_WHAT, error=ConfigError):
        table = pl.read_parquet(file)
    if table.schema != pl.Schema(TABLE_SCHEMA):
        raise ConfigError(
            f"{file} has other columns than online metrics have now.",
            remedy="Name another folder with --to, and make the table anew from the log.",
        )
    return table


def keep(table: pl.DataFrame, folder: Path) -> Kept:
    """Bring a run's periods into the file; readers see the old table or the new one, nothing between.

    A period is replaced as a whole, so that doing it twice is doing it once. It stays as it was where the run
    met fewer of its requests, or events that do not reach as far: a log that was cut short since, or a run
    that asks about the past, takes nothing away.

    Raises:
        ConfigError: the folder can't be written, another run is writing it, or its file can't be read or
            was made with another window, cut or length of periods.
    """
    with storage_errors(folder, what=_WHAT, error=ConfigError):
        folder.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(folder / _LOCK, what=_WHAT, error=ConfigError, patience_s=_PATIENCE_S):
        old = read_table(folder)
        _require_same_kind(old, table, folder)
        better = _better(old, table)
        new = table.filter(~pl.col(PERIOD).is_in(better.implode()))
        rest = old.filter(~pl.col(PERIOD).is_in(new[PERIOD].unique().implode()))
        whole = pl.concat([rest, new]).sort(
            PERIOD, schema.VARIANT, schema.SURFACE, "slicing", "slice", "metric"
        )
        written = BytesIO()
        whole.write_parquet(written)
        with storage_errors(folder, what=_WHAT, error=ConfigError):
            write_atomically(folder / FILE, written.getvalue())
    return Kept(whole, new[PERIOD].n_unique(), tuple(better))


def _better(old: pl.DataFrame, new: pl.DataFrame) -> pl.Series:
    """Periods of which the old table knows more."""
    both = _reach(old).join(_reach(new), on=PERIOD, suffix="_new")
    more = (pl.col(_KNOWN) > pl.col(f"{_KNOWN}_new")) | (pl.col("until") > pl.col("until_new"))
    return both.filter(more).sort(PERIOD)[PERIOD]


def _reach(table: pl.DataFrame) -> pl.DataFrame:
    counts = overall(table).filter(pl.col("metric") == REQUESTS)
    return counts.group_by(PERIOD).agg(pl.col("value").sum().alias(_KNOWN), pl.col("until").max())


def _require_same_kind(old: pl.DataFrame, new: pl.DataFrame, folder: Path) -> None:
    for column in ("window_hours", "period_hours", "k"):
        one, other = (set(each[column].drop_nulls().unique()) for each in (old, new))
        if one and other and one != other:
            raise ConfigError(
                f"{folder / FILE} was made with {column} = {one.pop():g}, not {other.pop():g}.",
                remedy="Give the same as before, or another folder with --to.",
            )
