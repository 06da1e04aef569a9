"""Logs of ours, one JSON object a line, as they are read back: bad lines told apart from good ones."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from marquee.data.lines import open_text
from marquee.data.records import TextRecords

EntryT_co = TypeVar("EntryT_co", covariant=True)


@dataclass(frozen=True)
class RejectedLine:
    """A line that holds no entry."""

    line: int
    """Counted from 1."""
    field: str | None
    """As "row.user_age" or "items.2.position"; None where the line is no JSON object at all."""
    reason: str
    is_torn: bool = False
    """The last line of a log whose writer died; nothing is wrong with the others."""

    def __str__(self) -> str:
        where = f"line {self.line}" if self.field is None else f"line {self.line}, field {self.field}"
        return f"{where}: {self.reason}"


class Parsed(Protocol[EntryT_co]):
    """Makes an entry of a line's text, or says why it is none; only a file's last line has no line end."""

    def __call__(self, text: str, *, line: int) -> EntryT_co | RejectedLine:
        """The line with this number."""
        ...


def read_entries(
    path: Path, parsed: Parsed[EntryT_co], *, max_line_bytes: int
) -> Iterator[EntryT_co | RejectedLine]:
    """Each line of a log, plain or gzip, in its order: an entry, or why it is none. One line is held.

    Args:
        path: of the log.
        parsed: of one line.
        max_line_bytes: longer lines are rejected unread.

    Raises:
        SourceError: the file is missing, empty or binary.
    """
    with open_text(path, encoding="utf-8", max_line_bytes=max_line_bytes) as file:
        for number, text in file.lines():
            if text is None:
                taken, file.records = file.records, TextRecords()
                yield RejectedLine(number, None, taken.rejected[-1].reason.replace("_", " "))
            elif text.strip():
                yield parsed(text, line=number)
