"""Read the small tables that stand beside the events; lines and values that don't fit are kept as issues."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from marquee.data.datasets.raw import ISSUES_SCHEMA
from marquee.errors import SourceError

if TYPE_CHECKING:
    import _csv  # the only name of the reader's type

Encoding = Literal["utf-8", "latin-1"]
_MAX_SHOWN = 200  # characters of a value in an issue


@dataclass
class Issues:
    """Values that could not be read, collected while reading; nothing is dropped without an entry here."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, source: Path, line: int | None, *, column: str, value: str, reason: str) -> None:
        """Note one value."""
        self.rows.append(
            {
                "source": source.name,
                "line": line,
                "column": column,
                "value": value[:_MAX_SHOWN],
                "reason": reason,
            }
        )

    def to_table(self) -> pl.DataFrame:
        """As `raw.ISSUES_SCHEMA`."""
        return pl.DataFrame(self.rows, schema=ISSUES_SCHEMA)

    def number(self, text: str, *, source: Path, line: int, column: str) -> int | None:
        """A whole number of 0 to 32,767; None for empty text, and with an issue for anything else."""
        stripped = text.strip()
        if stripped.isascii() and stripped.isdigit() and int(stripped) < 2**15:
            return int(stripped)
        if stripped:
            self.add(source, line, column=column, value=text, reason="not a whole number")
        return None


def first_of_each(table: pl.DataFrame, column: str, *, source: Path, issues: Issues) -> pl.DataFrame:
    """The rows with a new id in `column`; an empty or repeated id becomes an issue."""
    is_new = table[column].is_first_distinct() & (table[column].str.len_chars() > 0)
    for value in table[column].filter(~is_new):
        reason = "stands there already: the first row counts" if value else "empty"
        issues.add(source, None, column=column, value=value, reason=reason)
    return table.filter(is_new)


def read_delimited(
    path: Path,
    delimiter: str,
    *,
    encoding: Encoding,
    n_fields: int,
    issues: Issues,
    skip_header: bool = False,
) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of each unquoted line; a line with another number of fields becomes an issue.

    Raises:
        SourceError: it can't be read, or is not text of `encoding`.
    """
    for number, line in enumerate(_read_text(path, encoding).split("\n"), start=1):
        fields = line.rstrip("\r").split(delimiter)
        if (number == 1 and skip_header) or fields == [""]:
            continue
        if len(fields) != n_fields:
            reason = f"{len(fields)} fields, {n_fields} expected"
            issues.add(path, number, column="", value=line, reason=reason)
        else:
            yield number, fields


def read_csv(path: Path, columns: tuple[str, ...], *, issues: Issues) -> Iterator[tuple[int, dict[str, str]]]:
    """First line and named columns of each record of a quoted CSV with a header.

    Columns that are not named are left out. A record with another number of fields than the header becomes an
    issue and is read as far as it goes.

    Raises:
        SourceError: it can't be read, is not UTF-8, or its header lacks a column.
    """
    text = _read_text(path, "utf-8").removeprefix("\ufeff")
    reader = csv.reader(
        io.StringIO(text, newline="")
    )  # str.splitlines would also split at U+2028 and the like
    header = [name.strip() for name in next(reader, [])]
    if missing := [column for column in columns if column not in header]:
        raise SourceError(
            f"{path} has no column {missing[0]!r}; its header is {', '.join(header)[:200]!r}.",
            remedy=f"It needs the columns {', '.join(columns)}.",
        )
    for line, fields in _records(reader, path=path):
        if len(fields) != len(header):
            reason = f"{len(fields)} fields, {len(header)} expected"
            issues.add(path, line, column="", value=",".join(fields), reason=reason)
        padded = dict(zip(header, fields + [""] * len(header), strict=False))
        yield line, {column: padded[column] for column in columns}


def _records(reader: "_csv.Reader", *, path: Path) -> Iterator[tuple[int, list[str]]]:
    """First line and fields of each record that is not a blank line."""
    line = reader.line_num + 1
    try:
        for fields in reader:
            if fields:
                yield line, fields
            line = reader.line_num + 1
    except csv.Error as err:
        raise SourceError(f"{path}, line {line}: {err}.", remedy="Mend the line.") from err


def _read_text(path: Path, encoding: Encoding) -> str:
    try:
        with path.open(encoding=encoding, newline="") as file:
            return file.read()
    except OSError as err:
        raise SourceError(
            f"{path} can't be read: {err.strerror}.", remedy="Check the path and permissions."
        ) from err
    except UnicodeDecodeError as err:
        raise SourceError(
            f"{path} is not {encoding} text: byte {err.start}: {err.reason}.",
            remedy="Give the file as published.",
        ) from err
