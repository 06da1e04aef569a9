"""Exposures as files of JSON lines in a local folder: the sink of one machine.

Each process writes files of its own, so that nothing is locked and an earlier writer's torn last line
stays where it is. A batch is in a file wholly or not at all, but where the process or the machine dies:
then whole lines are there and at most one torn one. Nothing is deleted, ever: that is for whoever runs
the machine. What is written survives a kill; a power cut may cost what the system had not yet stored.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from marquee.adapters.exposures.file_names import writer_name
from marquee.adapters.exposures.sink import ExposureLine
from marquee.errors import ExposureSinkError
from marquee.monitoring.exposure import FILE_PREFIX

MAX_FILE_BYTES: Final = 128 * 2**20


class JsonLinesSink:
    """Files `exposures-<UTC hour>-<host>-<pid>-<start>-<number>.jsonl`, a new one each hour.

    Args:
        folder: made where it is missing.
        max_file_bytes: a file that would grow beyond it is followed by another.
        now: the time in UTC.

    Raises:
        ExposureSinkError: the folder can't be made.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_file_bytes: int = MAX_FILE_BYTES,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.name = f"the files in {folder}"
        self._folder = folder.absolute()
        self._max_file_bytes = max_file_bytes
        self._now = now
        self._writer = writer_name()
        self._descriptor: int | None = None
        self._size = self._number = 0
        self._hour = ""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as err:
            raise self._error(err) from err

    def write(self, lines: Sequence[ExposureLine]) -> None:
        """Append all lines or none.

        Raises:
            ExposureSinkError: the disk is full or fails; the same lines may be given again.
        """
        content = b"".join(line.content for line in lines)
        try:
            descriptor = self._file_for(len(content))
            try:
                _append(descriptor, content)
            except OSError:
                self._undo(descriptor)
                raise
        except OSError as err:
            raise self._error(err) from err
        self._size += len(content)

    def close(self) -> None:
        """Close the file.

        Raises:
            ExposureSinkError: a disk of the network refuses what it had taken.
        """
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        try:
            os.close(descriptor)
        except OSError as err:
            raise self._error(err) from err

    def _file_for(self, n_bytes: int) -> int:
        """The file of this hour that has room; an empty one takes any number of bytes."""
        hour = self._now().strftime("%Y%m%dT%H")
        is_full = self._size > 0 and self._size + n_bytes > self._max_file_bytes
        if self._descriptor is not None and (is_full or hour != self._hour):
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)
        if self._descriptor is None:
            self._number += 1
            name = f"{FILE_PREFIX}{hour}-{self._writer}-{self._number:05d}.jsonl"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
            self._descriptor = os.open(self._folder / name, flags, 0o644)
            self._size, self._hour = 0, hour
        return self._descriptor

    def _undo(self, descriptor: int) -> None:
        """Take back the part of a batch that found room; where even that fails, go on in another file."""
        try:
            os.ftruncate(descriptor, self._size)
        except OSError:
            self._descriptor = None
            with suppress(OSError):
                os.close(descriptor)

    def _error(self, err: OSError) -> ExposureSinkError:
        return ExposureSinkError(
            f"{self._folder} does not take exposures: {err.strerror or err}.",
            remedy="Check free space and permissions there; writing goes on when it can.",
        )


def _append(descriptor: int, content: bytes) -> None:
    """Write all bytes: one call, but where the disk is full or the content is huge."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
