"""The two logs that an experiment is judged by: what was shown, and what people did."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl

from marquee import schema
from marquee.data.contract import check_chunk
from marquee.data.ingest import IngestConfig
from marquee.data.lines import source_errors
from marquee.data.log_lines import RejectedLine
from marquee.data.mapping import Mapping
from marquee.data.readers import read_chunks
from marquee.data.snapshot import Snapshot
from marquee.data.storage import sha256_of
from marquee.data.warehouse import CONTENTS, Warehouse
from marquee.errors import ContractError, NotEnoughDataError, SourceError
from marquee.monitoring.exposure import Exposure
from marquee.monitoring.exposure_frame import assignments_frame, to_frame
from marquee.monitoring.exposure_lines import exposure_files, read_exposures
from marquee.monitoring.request_frame import requests_frame

_BATCH: Final = 50_000
_READ: Final = (*schema.REQUIRED_COLUMNS, schema.VALUE)
_FORMATS: Final = {
    ".csv": ("csv", "iso8601"),
    ".jsonl": ("jsonl", "iso8601"),
    ".parquet": ("parquet", "us"),
}


@dataclass(frozen=True, eq=False)
class ExposureLog:
    """What was shown, as tables; each response counts once."""

    shown: pl.DataFrame  # schema.EXPOSURES_SCHEMA
    requests: pl.DataFrame  # REQUESTS_SCHEMA
    assignments: pl.DataFrame  # schema.ASSIGNMENTS_SCHEMA
    files: dict[str, str]
    """SHA-256 by name."""
    n_rejected: int
    """Lines that hold no exposure; a torn last line is none of them."""


@dataclass(frozen=True, eq=False)
class EventLog:
    """What people did, as far as it is known."""

    events: pl.DataFrame  # the key and the value
    origin: str
    """Name of the file or folder."""
    content_id: str
    """Id of the warehouse's content, or SHA-256 of the file."""
    n_quarantined: int = 0
    users: pl.DataFrame | None = None
    movies: pl.DataFrame | None = None


def read_exposure_log(folder: Path, *, since: datetime | None = None) -> ExposureLog:
    """All files of a folder that hold exposures.

    Args:
        folder: that the server logs to.
        since: files that were full before are not read; what is older in the others is.

    Raises:
        SourceError: there is no such folder, or a file can't be read.
        NotEnoughDataError: the folder holds no exposure.
    """
    paths = exposure_files(folder, since=since)
    shown, requests, assignments = [], [], []
    n_rejected = 0
    for batch, n_bad in _batches(paths):
        n_rejected += n_bad
        shown.append(to_frame(batch))
        requests.append(requests_frame(batch))
        assignments.append(assignments_frame(batch))
    if not requests:
        raise NotEnoughDataError(
            f"{folder} holds no exposure{'' if since is None else f' since {since:%Y-%m-%d %H:%M} UTC'}.",
            remedy="Name the folder that the server logs to: exposures-….jsonl files.",
        )
    return ExposureLog(
        pl.concat(shown).unique([schema.REQUEST_ID, schema.POSITION], keep="first", maintain_order=True),
        pl.concat(requests).unique(schema.REQUEST_ID, keep="first", maintain_order=True),
        pl.concat(assignments).unique(
            [schema.REQUEST_ID, schema.EXPERIMENT], keep="first", maintain_order=True
        ),
        {path.name: _hash(path) for path in paths},
        n_rejected,
    )


def read_events(path: Path, *, now: datetime, first: datetime, until: datetime | None) -> EventLog:
    """The events of a warehouse, or of a file with the contract's column names.

    Args:
        path: a warehouse's folder, or a file: .parquet (times as Datetime), .csv or .jsonl (as ISO 8601).
        now: the present; later events of a file are refused, as everywhere.
        first: earlier ones are not read.
        until: later ones are not read; None: all.

    Raises:
        SourceError: the file can't be read, or is of another kind.
        ContractError: a column is missing, or more than one row in twenty is bad.
        WarehouseError: the warehouse is damaged.
    """
    is_wanted = pl.col(schema.TIMESTAMP) >= pl.lit(first).cast(schema.TIME_DTYPE)
    if until is not None:
        is_wanted &= pl.col(schema.TIMESTAMP) <= pl.lit(until).cast(schema.TIME_DTYPE)
    if (path / CONTENTS).is_file():
        warehouse = Warehouse(path)
        events = warehouse.scan_interactions().filter(is_wanted).select(*_READ).collect()
        return EventLog(
            events,
            path.name,
            Snapshot.of(warehouse.contents).id,
            users=warehouse.read_table(schema.USERS),
            movies=warehouse.read_table(schema.MOVIES),
        )
    table, n_bad = _read_file(path, now=now)
    return EventLog(table.filter(is_wanted).select(*_READ), path.name, _hash(path), n_bad)


def _batches(paths: list[Path]) -> Iterator[tuple[list[Exposure], int]]:
    """Exposures by the tens of thousands, and the bad lines among them."""
    held: list[Exposure] = []
    n_bad = 0
    for path in paths:
        for entry in read_exposures(path):
            if isinstance(entry, RejectedLine):
                n_bad += not entry.is_torn
            else:
                held.append(entry)
            if len(held) == _BATCH:
                yield held, n_bad
                held, n_bad = [], 0
    if held:
        yield held, n_bad


def _read_file(path: Path, *, now: datetime) -> tuple[pl.DataFrame, int]:
    if path.suffix not in _FORMATS:
        raise SourceError(
            f"{path} is neither a warehouse nor a file of events.",
            remedy=f"Give a warehouse's folder or a file that ends on {', '.join(_FORMATS)}.",
        )
    kind, unit = _FORMATS[path.suffix]
    columns = {name: name for name in _READ}
    mapping = Mapping.from_dict(
        {"format": kind, "columns": columns, "timestamp_unit": unit}, origin="the contract"
    )
    config = IngestConfig()
    latest = now + timedelta(days=config.max_future_days)
    good, n_bad = [pl.DataFrame(schema=schema.INTERACTIONS_SCHEMA)], 0
    for chunk in read_chunks(path, mapping, config=config):
        checked = check_chunk(chunk, mapping, latest=latest)
        good.append(checked.good)
        n_bad += len(checked.rejected)
    table = pl.concat(good)
    if n_bad > config.max_bad_share * (n_bad + len(table)):
        raise ContractError(
            f"{n_bad:,} of {n_bad + len(table):,} rows of {path} break the contract.",
            remedy=f"Look at them with `marquee data validate {path}`.",
        )
    return table, n_bad


def _hash(path: Path) -> str:
    with source_errors(path):
        return sha256_of(path)
