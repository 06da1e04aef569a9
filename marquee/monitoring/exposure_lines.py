"""The exposure log as it is read back: each line checked, bad ones told apart from good ones."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TypeAlias

from pydantic import TypeAdapter, ValidationError

from marquee.data.lines import source_errors
from marquee.data.log_lines import RejectedLine, read_entries
from marquee.monitoring.exposure import FILE_PREFIX, Exposure

MAX_LINE_BYTES: Final = 4 * 2**20
"""A list of a hundred items takes about 12 kB."""
_EXPOSURE: Final = TypeAdapter(Exposure)
_HOUR: Final = re.compile(re.escape(FILE_PREFIX) + r"(\d{8}T\d{2})-")


ExposureEntry: TypeAlias = Exposure | RejectedLine


def exposure_files(folder: Path, *, since: datetime | None = None) -> list[Path]:
    """The files of a folder that hold exposures, plain or gzip, by hour and then by writer.

    Args:
        folder: that the server logs to.
        since: files whose name says that they were full before are left out; None leaves out none.

    Raises:
        SourceError: there is no such folder.
    """
    with source_errors(folder):
        found = sorted(path for path in folder.iterdir() if path.name.startswith(FILE_PREFIX))
        # A file is empty where its writer died, or stood still, before the first line.
        files = [path for path in found if path.suffix in {".jsonl", ".gz"} and path.stat().st_size > 0]
    return files if since is None else [path for path in files if not _ended_before(path, since)]


def _ended_before(path: Path, moment: datetime) -> bool:
    """Whether a file's hour, in which its last line was written, had passed: no line is younger."""
    named = _HOUR.match(path.name)
    try:
        begin = datetime.strptime(named[1], "%Y%m%dT%H").replace(tzinfo=UTC) if named else None
    except ValueError:  # digits that are no time
        return False
    return begin is not None and begin + timedelta(hours=1) <= moment


def read_exposures(path: Path) -> Iterator[ExposureEntry]:
    """Each line of a file, plain or gzip, in its order: an exposure, or why it is none. One line is held.

    Raises:
        SourceError: the file is missing, empty or binary.
    """
    return read_entries(path, parsed, max_line_bytes=MAX_LINE_BYTES)


def parsed(text: str, *, line: int) -> ExposureEntry:
    """One line of a log."""
    try:
        return _EXPOSURE.validate_json(text)
    except ValidationError as err:
        fault = err.errors(include_url=False, include_input=False)[0]
    if fault["type"] == "json_invalid" and not text.endswith("\n"):  # only a file's last line has no line end
        return RejectedLine(line, None, "torn: its writer was stopped", is_torn=True)
    return RejectedLine(line, ".".join(map(str, fault["loc"])) or None, fault["msg"])
