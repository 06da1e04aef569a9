"""The exposure log: takes records without waiting, and a thread of its own brings them to a sink.

What comes in is counted once and leaves in one of four ways, so at any moment

    offered = written + dropped_full + lost + queue_length

A record is lost, after its retries, where the sink fails or the record can't be written.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from marquee.adapters.exposures.rows import SampledRows
from marquee.adapters.exposures.sink import ExposureLine, Sink
from marquee.errors import ContractError, ExposureSinkError, WarehouseError
from marquee.features.request_log import LoggedRequest
from marquee.monitoring.exposure import Exposure

_LOG: Final = logging.getLogger(__name__)
_Waiting = TypeVar("_Waiting", Exposure, LoggedRequest)


class RetryConfig(BaseModel):
    """How long a failing sink is tried with the same lines; meanwhile the queue fills."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    total_s: float = Field(default=60.0, ge=0)
    """No attempt begins later than this after the first; with 0 there is one attempt."""
    first_wait_s: float = Field(default=0.1, gt=0)
    """Doubled from attempt to attempt."""
    longest_wait_s: float = Field(default=10.0, gt=0)


@dataclass(frozen=True)
class ExposureCounts:
    """What became of the records, at one moment."""

    offered: int
    written: int
    """Taken by the sink."""
    dropped_full: int
    """Refused because the queue was full: the newest go."""
    lost: int
    """Given up: the sink failed for too long, refused, or the record can't be written."""
    queue_length: int
    """Waiting or in the writer's hands."""
    retries: int
    rows_offered: int
    """Feature rows that the sample took."""
    rows_written: int
    rows_waiting: int
    rows_lost: int
    """Feature rows that found the queue full or could not be written."""


class ExposureLog:
    """Bounded and non-blocking; any thread may offer. The writer is a daemon: `close` is what drains it.

    Its thread starts here, so a process that forks makes its log afterwards.

    Args:
        sink: taken over: the writer closes it.
        capacity: records that may wait; feature rows have as much room for themselves.
        batch: records that the sink gets at once.
        linger_ms: how long a record may wait for others. A killed process loses what waited.
        retry: for a failing sink.
        rows: where sampled feature rows go, likewise taken over.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        capacity: int = 10_000,
        batch: int = 500,
        linger_ms: float = 100.0,
        retry: RetryConfig | None = None,
        rows: SampledRows | None = None,
    ) -> None:
        self.sink = sink
        self._capacity, self._batch, self._linger_s = capacity, batch, linger_ms / 1e3
        self._retry = retry or RetryConfig()
        self._rows = rows
        self._queue: deque[Exposure] = deque()
        self._row_queue: deque[LoggedRequest] = deque()
        self._lock = threading.Lock()  # held for a few instructions, never while anything waits
        self._counts = dict.fromkeys(ExposureCounts.__dataclass_fields__, 0)
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._is_failing = False
        self._ends_at = 0.0
        self._thread = threading.Thread(target=self._run, name="exposure-log", daemon=True)
        self._thread.start()

    def offer(self, exposure: Exposure) -> bool:
        """Queue a record for writing; whether there was room. After `close` there is none."""
        counts = self._counts
        with self._lock:
            counts["offered"] += 1
            if counts["queue_length"] >= self._capacity or self._closing.is_set():
                counts["dropped_full"] += 1
                return False
            counts["queue_length"] += 1
            self._queue.append(exposure)
            is_batch = len(self._queue) >= self._batch
        if is_batch:
            self._wake.set()
        return True

    def wants_row(self, request_id: str) -> bool:
        """Whether the sample takes this request: the same answer for the same id, in each process."""
        return self._rows is not None and self._rows.takes(request_id)

    def offer_row(self, row: LoggedRequest) -> bool:
        """Queue a feature row if the sample takes its request; whether it was queued."""
        if not self.wants_row(row.request_id):
            return False
        with self._lock:
            self._counts["rows_offered"] += 1
            if self._counts["rows_waiting"] >= self._capacity or self._closing.is_set():
                self._counts["rows_lost"] += 1
                return False
            self._counts["rows_waiting"] += 1
            self._row_queue.append(row)
            return True

    @property
    def counts(self) -> ExposureCounts:
        """All counters at one moment: for metrics, and cheap."""
        with self._lock:
            return ExposureCounts(**self._counts)

    def close(self, timeout_s: float = 10.0) -> ExposureCounts:
        """Refuse new records and write those that wait, for at most this long; the rest is lost, and counted.

        What is in the writer's hands then may still arrive: it stays in `queue_length`. Closing twice does
        no harm.
        """
        self._ends_at = time.monotonic() + timeout_s
        with self._lock:  # an offer that was accepted comes before the writer's last look
            self._closing.set()
        self._wake.set()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            with self._lock:
                self._count(lost=len(self._queue), queue_length=-len(self._queue))
                self._count(rows_lost=len(self._row_queue), rows_waiting=-len(self._row_queue))
                self._queue.clear()
                self._row_queue.clear()
        counts = self.counts
        if counts.lost or counts.queue_length or counts.dropped_full or counts.rows_lost:
            _LOG.warning("exposures to %s are incomplete: %s", self.sink.name, asdict(counts))
        return counts

    # --- the writer's thread ---

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait(self._linger_s)
            self._wake.clear()
            self._drain()
        self._drain()
        self._free()

    def _drain(self) -> None:
        """Write all that waits; whatever happens, the thread lives on and the counts add up."""
        while self._queue or self._row_queue:
            try:
                self._write(self._encoded(self._taken(self._queue)))
                self._write_rows(self._taken(self._row_queue))
            except Exception:  # noqa: BLE001 - the thread's edge: without it a fault of ours would silently end all logging
                _LOG.exception("the exposure log lost a batch to a fault of its own")
                with self._lock:
                    self._count(lost=self._counts["queue_length"] - len(self._queue))
                    self._counts["queue_length"] = len(self._queue)
                    self._count(rows_lost=self._counts["rows_waiting"] - len(self._row_queue))
                    self._counts["rows_waiting"] = len(self._row_queue)

    def _taken(self, queue: deque[_Waiting]) -> list[_Waiting]:
        with self._lock:
            return [queue.popleft() for _ in range(min(self._batch, len(queue)))]

    def _encoded(self, exposures: Sequence[Exposure]) -> list[ExposureLine]:
        lines, fault = [], None
        for exposure in exposures:
            try:
                lines.append(ExposureLine.of(exposure))
            except ContractError as err:
                fault = err
        if fault is not None:
            _LOG.error("%s (and %d others)", fault, len(exposures) - len(lines) - 1)
            self._settle(lost=len(exposures) - len(lines))
        return lines

    def _write(self, lines: Sequence[ExposureLine]) -> None:
        """Bring lines to the sink, or count them as lost when their time is over."""
        ends_at, wait_s = time.monotonic() + self._retry.total_s, self._retry.first_wait_s
        while lines:
            try:
                self.sink.write(lines)
            except ExposureSinkError as err:
                self._report(err)
                self._settle(written=len(lines[: err.taken]))
                lines = lines[err.taken :]
                is_late = time.monotonic() + wait_s > ends_at
                if is_late or not err.may_retry or not self._pause(wait_s):
                    self._settle(lost=len(lines))
                    return
                self._settle(retries=1)
                wait_s = min(2 * wait_s, self._retry.longest_wait_s)
            else:
                self._report(None)
                self._settle(written=len(lines))
                return

    def _write_rows(self, rows: Sequence[LoggedRequest]) -> None:
        fault, lost = None, 0
        for row in rows:
            try:
                self._rows.write(row)  # type: ignore[union-attr]  # without it no row is queued
            except (ContractError, WarehouseError) as err:
                fault, lost = err, lost + 1
                self._settle(rows_lost=1)
            else:
                self._settle(rows_written=1)
        if fault is not None:
            _LOG.warning("%d feature rows were not logged: %s", lost, fault)

    def _settle(self, *, written: int = 0, lost: int = 0, **others: int) -> None:
        """Count what left the writer's hands."""
        rows = sum(others.get(name, 0) for name in ("rows_written", "rows_lost"))
        with self._lock:
            self._count(
                written=written, lost=lost, queue_length=-written - lost, rows_waiting=-rows, **others
            )

    def _count(self, **changes: int) -> None:
        """Change counters; the caller holds the lock."""
        for name, change in changes.items():
            self._counts[name] += change

    def _pause(self, wait_s: float) -> bool:
        """Wait before the next attempt, shorter at the end; whether there may be one."""
        if not self._closing.wait(wait_s):
            return True
        left_s = self._ends_at - time.monotonic()
        if left_s <= 0:
            return False
        time.sleep(min(wait_s, left_s))
        return True

    def _report(self, err: ExposureSinkError | None) -> None:
        """Say once that the sink fails, and once that it is well again."""
        if err is not None and not self._is_failing:
            _LOG.warning("exposures do not reach %s: %s", self.sink.name, err)
        elif err is None and self._is_failing:
            _LOG.warning("exposures reach %s again", self.sink.name)
        self._is_failing = err is not None

    def _free(self) -> None:
        try:
            self.sink.close()
        except ExposureSinkError as err:
            _LOG.warning("the end of the exposures may be missing in %s: %s", self.sink.name, err)
        if self._rows is not None:
            self._rows.close()
