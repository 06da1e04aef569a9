"""Where records go that break the contract: a JSON lines file beside the warehouse."""

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TextIO

from marquee.data.contract import BROKEN_RULES
from marquee.data.records import UNREADABLE_RECORDS, Rejected
from marquee.data.storage import storage_errors
from marquee.data.warehouse import UNFINISHED

REASONS: Final[dict[str, str]] = UNREADABLE_RECORDS | {reason.code: reason.meaning for reason in BROKEN_RULES}
"""Each reason's code and its meaning."""


class Quarantine:
    """Writes one row {source, line, reason, columns, record} a rejected record; no record, no file.

    The file has its final name only once `keep` was called.
    """

    def __init__(self, path: Path, *, max_record_chars: int) -> None:
        self.path = path
        self.reasons: Counter[str] = Counter()
        """How many records each reason cost."""
        self._unfinished = path.with_name(path.name + UNFINISHED)
        self._max_record_chars = max_record_chars
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file:
            with suppress(OSError):  # what is buffered may not fit on a full disk: it is given up anyway
                self._file.close()
            self._unfinished.unlink(missing_ok=True)

    def add(self, source: Path, records: Sequence[Rejected]) -> None:
        """Write the rejected records of one file.

        Raises:
            WarehouseError: the disk is full or fails.
        """
        if not records:
            return
        self.reasons.update(record.reason for record in records)
        with storage_errors(self.path.parent, what="the quarantine folder"):
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._unfinished.open("w", encoding="utf-8", errors="backslashreplace")
            self._file.writelines(self._row(source, record) for record in records)

    def keep(self) -> Path | None:
        """Finish the file; its path, None where nothing was rejected.

        Raises:
            WarehouseError: the disk is full or fails.
        """
        if self._file is None:
            return None
        with storage_errors(self.path.parent, what="the quarantine folder"):
            self._file.close()
            self._unfinished.replace(self.path)
        self._file = None
        return self.path

    def _row(self, source: Path, record: Rejected) -> str:
        row = {
            "source": str(source),
            "line": record.line,
            "reason": record.reason,
            "columns": list(record.columns),
            "record": record.record[: self._max_record_chars],
        }
        return json.dumps(row, ensure_ascii=False) + "\n"
