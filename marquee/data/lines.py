"""Text files as numbered lines, in bounded memory whatever the file holds."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, Protocol, TypeAlias

from marquee.data.records import TextRecords
from marquee.errors import SourceError

NumberedLine: TypeAlias = tuple[int, str | None]
"""Line number, counted from 1, and the text with its line end; None where the line was rejected."""

KEPT_CHARS: Final = 2_000
"""How much of a rejected line is kept."""

_HEAD_BYTES: Final = 8_192
_BUFFER_BYTES: Final = 2**20
_GZIP: Final = b"\x1f\x8b"
_UTF8_MARK: Final = b"\xef\xbb\xbf"
_BINARY_KINDS: Final = {
    b"PK\x03\x04": "a zip archive",
    b"PK\x05\x06": "a zip archive",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"%PDF": "a PDF document",
    b"PAR1": "a Parquet file",
    b"SQLite format 3\0": "an SQLite database",
    b"\x7fELF": "a program",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}
_MAX_CONTROL_SHARE: Final = 0.05
_MIN_CONTROL_BYTES: Final = 64
_CONTROL_BYTES: Final = bytes(set(range(32)) - set(b"\t\n\r\f\x1b"))


class Stream(Protocol):
    """What is read of a binary file."""

    def peek(self, size: int, /) -> bytes:
        """Bytes ahead, without passing them."""

    def readline(self, size: int, /) -> bytes:
        """To the end of the line, at most `size` bytes."""

    def tell(self) -> int:
        """How many bytes lie behind."""


class TextFile:
    """The lines of one text file, plain or gzip.

    Args:
        raw: the file on disk, positioned at its start.
        text: its content, the same stream where nothing is compressed.
        encoding: of the content.
        max_line_bytes: longer lines are skipped, not held.
    """

    def __init__(
        self,
        raw: Stream,
        text: Stream,
        *,
        encoding: Literal["utf-8", "latin-1"],
        max_line_bytes: int,
    ) -> None:
        self.records = TextRecords()
        """Where lines go that can't be used; whoever reads the lines takes it and puts a new one."""
        self._raw = raw
        self._text = text
        self._encoding = encoding
        self.max_line_bytes = max_line_bytes

    @property
    def bytes_read(self) -> int:
        """How far the file on disk has been read."""
        return self._raw.tell()

    def lines(self) -> Iterator[NumberedLine]:
        """Each line once, in order."""
        readline, limit, encoding = self._text.readline, self.max_line_bytes, self._encoding
        number = 0
        while line := readline(limit + 1):
            number += 1
            if number == 1 and encoding == "utf-8":
                line = line.removeprefix(_UTF8_MARK)
            if len(line) > limit and not line.endswith(b"\n"):
                self._skip_rest_of_line()
                yield self._reject(number, "line_too_long", line)
            elif b"\0" in line:
                yield self._reject(number, "nul_byte", line)
            else:
                try:
                    yield number, line.decode(encoding)
                except UnicodeDecodeError:
                    yield self._reject(number, "bad_encoding", line)

    def _skip_rest_of_line(self) -> None:
        while (piece := self._text.readline(_BUFFER_BYTES)) and not piece.endswith(b"\n"):
            pass

    def _reject(self, number: int, reason: str, line: bytes) -> NumberedLine:
        shown = line[:KEPT_CHARS].decode(self._encoding, errors="backslashreplace")
        self.records.reject(number, reason, shown.rstrip("\r\n"))
        return number, None


@contextmanager
def source_errors(path: Path) -> Iterator[None]:
    """Turn what reading a file raises into one clear error.

    Raises:
        SourceError: the file is missing, forbidden, a directory, torn gzip, or the disk fails.
    """
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as err:
        raise SourceError(
            f"{path} is torn or damaged gzip: {err}.", remedy="Fetch or compress the file again."
        ) from err
    except OSError as err:
        raise SourceError(
            f"{path} can't be read: {err.strerror or err}.",
            remedy="Give the path of a file that exists and that you may read.",
        ) from err


@contextmanager
def open_text(
    path: Path, *, encoding: Literal["utf-8", "latin-1"], max_line_bytes: int
) -> Iterator[TextFile]:
    """Open a text file, gzip by its content and not by its name.

    Raises:
        SourceError: the file is empty, binary, or as `source_errors`.
    """
    with source_errors(path), path.open("rb", buffering=0) as disk:
        raw = io.BufferedReader(disk, _BUFFER_BYTES)
        compressed = raw.peek(2)[:2] == _GZIP
        text: Stream = raw
        if compressed:
            text = io.BufferedReader(gzip.GzipFile(fileobj=raw), _BUFFER_BYTES)
        _require_text(text.peek(_HEAD_BYTES)[:_HEAD_BYTES], path=path)
        yield TextFile(raw, text, encoding=encoding, max_line_bytes=max_line_bytes)


def _require_text(head: bytes, *, path: Path) -> None:
    if not head.strip():
        raise SourceError(f"{path} is empty.", remedy="Give a file with records, or leave it out.")
    n_control = len(head) - len(head.translate(None, _CONTROL_BYTES))
    kind = next((kind for magic, kind in _BINARY_KINDS.items() if head.startswith(magic)), None)
    is_dense = n_control > max(_MAX_CONTROL_SHARE * len(head), _MIN_CONTROL_BYTES)
    if n_control and (kind or is_dense):  # a few NULs in text cost their lines, not the file
        raise SourceError(
            f"{path} is {kind or 'binary data'}, not UTF-8 or Latin-1 text.",
            remedy="Unpack or convert it to UTF-8 or Latin-1 text first, or correct the mapping's format.",
        )
