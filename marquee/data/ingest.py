"""Interactions from source files into the warehouse: read, check, deduplicate, commit."""

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from marquee import schema
from marquee.data.contract import check_chunk
from marquee.data.mapping import Mapping
from marquee.data.quarantine import REASONS, Quarantine
from marquee.data.readers import read_chunks
from marquee.data.records import ReadConfig
from marquee.data.snapshot import IngestedFile
from marquee.data.sources import SourceFile, find_files
from marquee.data.staging import MonthMerger, MonthStaging
from marquee.data.warehouse import QUARANTINE, ROW_GROUP_ROWS, Warehouse, WarehouseWriter
from marquee.errors import ContractError

OnProgress = Callable[[int, int], None]
"""Called with the source bytes done so far and in all."""


class IngestConfig(ReadConfig):
    """Limits of an ingest."""

    max_bad_share: float = Field(default=0.05, ge=0, le=1)
    """More quarantined records than this share of all read stop the ingest."""
    max_future_days: float = Field(default=1, ge=0)
    """Later times than so many days from now are far future."""
    max_record_chars: int = Field(default=2_000, ge=1)
    """How much of a record's text its quarantine row keeps."""
    staged_rows: int = Field(default=1_000_000, ge=1)
    """Checked events held in memory before they are written."""
    memory_limit_mb: int = Field(default=1_024, ge=64)
    """Of the merge with what is already there, in MiB; beyond it spills to disk inside the warehouse."""


class FileReport(BaseModel):
    """What became of one source file: `read` = `accepted` + `quarantined`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    sha256: str
    read: int = 0
    accepted: int = 0
    quarantined: int = 0


class IngestReport(BaseModel):
    """What became of the sources: `read` = `accepted` + `quarantined`, `accepted` = `new` + `duplicate`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    read: int
    accepted: int
    new: int
    duplicate: int
    """Accepted records of an event that came before, here or in an earlier ingest."""
    quarantined: int
    quarantine_path: Path | None
    reasons: dict[str, int]
    """Records that each reason cost, the most frequent first; `quarantine.REASONS` tells their meaning."""
    files: tuple[FileReport, ...]
    skipped_files: tuple[str, ...]
    """Files that were ingested before with the same mapping: not read again."""
    first_timestamp: datetime | None
    """Of the accepted records, UTC; likewise the last."""
    last_timestamp: datetime | None
    seconds: float
    committed: bool


class TooManyBadRowsError(ContractError):
    """More records break the contract than the configured share."""

    def __init__(self, problem: str, *, remedy: str, report: IngestReport) -> None:
        super().__init__(problem, remedy=remedy)
        self.report = report


def ingest_interactions(
    sources: Sequence[str | Path],
    mapping: Mapping,
    warehouse: Warehouse,
    *,
    config: IngestConfig,
    now: datetime,
    on_progress: OnProgress | None = None,
    validate_only: bool = False,
    quarantine_folder: Path | None = None,
) -> IngestReport:
    """Take the events of files, folders and globs into the warehouse, all of them or none.

    Each record read is either accepted or a row of the quarantine file. The same event twice is one
    event, the first one read; a file that was ingested before with the same mapping is skipped.

    Args:
        sources: see `find_files`.
        mapping: how their fields become the contract's columns.
        warehouse: written by one process at a time.
        config: the limits.
        now: the present, with a zone; events too far beyond it are refused.
        on_progress: told about each chunk.
        validate_only: give the same report and commit nothing.
        quarantine_folder: for the quarantine file, instead of a folder of the warehouse.

    Raises:
        SourceError: a file as a whole can't be read.
        ContractError: a mapped field is missing; or, as `TooManyBadRowsError`, too many records are
            bad, and the quarantine file was written so that one can look.
        WarehouseError: another process writes, the disk is full, or the warehouse is damaged.
    """
    started = time.monotonic()
    files = find_files(sources, mapping)
    with warehouse.writing() as writer:
        run = _Ingest(writer, mapping, config=config, latest=now + timedelta(days=config.max_future_days))
        fresh = run.without_known(files)
        folder = quarantine_folder or warehouse.root / QUARANTINE
        path = folder / f"{_run_name(files, mapping, now=now)}.jsonl"
        with Quarantine(path, max_record_chars=config.max_record_chars) as quarantine:
            run.read(fresh, quarantine=quarantine, on_progress=on_progress or _ignore)
            kept = quarantine.keep()
        too_bad = run.share_of_bad > config.max_bad_share
        committed = not (too_bad or validate_only)
        run.merge(commit=committed)
        report = run.report(kept, quarantine.reasons, committed=committed, seconds=time.monotonic() - started)
    if too_bad:
        raise _too_many_bad(report, config=config)
    return report


class _Ingest:
    """One run: its counts, and the events on their way."""

    def __init__(
        self, writer: WarehouseWriter, mapping: Mapping, *, config: IngestConfig, latest: datetime
    ) -> None:
        self._writer = writer
        self._mapping = mapping
        self._config = config
        self._latest = latest
        self._staging = MonthStaging(writer.staging, max_rows=config.staged_rows)
        self._reports: list[FileReport] = []
        self._skipped: list[str] = []
        self._span: list[datetime] = []
        self._n_new = 0

    @property
    def _n_read(self) -> int:
        return sum(report.read for report in self._reports)

    @property
    def _n_quarantined(self) -> int:
        return sum(report.quarantined for report in self._reports)

    @property
    def share_of_bad(self) -> float:
        return self._n_quarantined / max(self._n_read, 1)

    def without_known(self, files: Sequence[SourceFile]) -> dict[str, SourceFile]:
        """The files by content hash that were not ingested before; of equal ones the first."""
        mapping = self._mapping.content_hash
        known = {file.sha256 for file in self._writer.contents.files if file.mapping == mapping}
        fresh: dict[str, SourceFile] = {}
        for file in files:
            sha256 = file.content_hash()
            if sha256 in known or sha256 in fresh:
                self._skipped.append(str(file.path))
            else:
                fresh[sha256] = file
        return fresh

    def read(self, files: dict[str, SourceFile], *, quarantine: Quarantine, on_progress: OnProgress) -> None:
        """Read and check each file; good events are staged, the others quarantined."""
        n_total = sum(file.n_bytes for file in files.values())
        n_done = 0
        on_progress(0, n_total)
        for sha256, file in files.items():
            report = FileReport(name=str(file.path), sha256=sha256)
            for chunk in read_chunks(file.path, self._mapping, config=self._config):
                checked = check_chunk(chunk, self._mapping, latest=self._latest)
                quarantine.add(file.path, checked.rejected)
                self._stage(checked.good)
                report = _counted(report, n_accepted=len(checked.good), n_rejected=len(checked.rejected))
                on_progress(n_done + min(chunk.bytes_read, file.n_bytes), n_total)
            file.require_unchanged()
            self._reports.append(report)
            n_done += file.n_bytes
        self._staging.flush()
        on_progress(n_total, n_total)

    def _stage(self, events: pl.DataFrame) -> None:
        if len(events):
            self._staging.add(events)
            times = events[schema.TIMESTAMP]
            span = [*self._span, *times.sort().gather([0, -1]).to_list()]
            self._span = [min(span), max(span)]

    def merge(self, *, commit: bool) -> None:
        """Count what is new and, if told to, make it and the ledger part of the warehouse."""
        writer, parts = self._writer, {}
        merger = MonthMerger(
            writer.staging, memory_limit_mb=self._config.memory_limit_mb, row_group_rows=ROW_GROUP_ROWS
        )
        with closing(merger):
            for month, staged in sorted(self._staging.files.items()):
                before = writer.contents.part(schema.INTERACTIONS, month)
                existing = writer.root / before.path if before else None
                file, n_rows = merger.merge(month, existing=existing, staged=staged)
                n_new = n_rows - (before.rows if before else 0)
                self._n_new += n_new
                if commit and n_new:
                    parts[month] = writer.add_part(
                        file, table=schema.INTERACTIONS, partition=month, rows=n_rows
                    )
        if commit and self._reports:
            mapping = self._mapping.content_hash
            ledger = tuple(IngestedFile(mapping=mapping, **report.model_dump()) for report in self._reports)
            writer.commit(writer.contents.with_parts(schema.INTERACTIONS, parts).with_files(ledger))

    def report(
        self, quarantine_path: Path | None, reasons: dict[str, int], *, committed: bool, seconds: float
    ) -> IngestReport:
        """The counts of the run."""
        n_accepted = self._n_read - self._n_quarantined
        return IngestReport(
            read=self._n_read,
            accepted=n_accepted,
            new=self._n_new,
            duplicate=n_accepted - self._n_new,
            quarantined=self._n_quarantined,
            quarantine_path=quarantine_path,
            reasons=dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
            files=tuple(self._reports),
            skipped_files=tuple(self._skipped),
            first_timestamp=self._span[0] if self._span else None,
            last_timestamp=self._span[1] if self._span else None,
            seconds=seconds,
            committed=committed,
        )


def _counted(report: FileReport, *, n_accepted: int, n_rejected: int) -> FileReport:
    return report.model_copy(
        update={
            "read": report.read + n_accepted + n_rejected,
            "accepted": report.accepted + n_accepted,
            "quarantined": report.quarantined + n_rejected,
        }
    )


def _too_many_bad(report: IngestReport, *, config: IngestConfig) -> TooManyBadRowsError:
    reason, count = next(iter(report.reasons.items()))
    share = report.quarantined / report.read
    return TooManyBadRowsError(
        f"{report.quarantined:,} of {report.read:,} records ({share:.1%}) break the contract, more than the"
        f" allowed {config.max_bad_share:.1%}; most often {reason} ({count:,}): {REASONS[reason]}.",
        remedy=f"Look at {report.quarantine_path}; mend the source or its mapping, or raise max_bad_share.",
        report=report,
    )


def _run_name(files: Sequence[SourceFile], mapping: Mapping, *, now: datetime) -> str:
    content = "\n".join([mapping.content_hash, *(str(file.path) for file in files)])
    return f"{now:%Y%m%dT%H%M%SZ}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


def _ignore(n_done: int, n_total: int) -> None:
    """Tell nobody."""
