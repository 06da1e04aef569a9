"""Delimited text (CSV, TSV, `::`): records of one or, within quotes, several lines."""

import csv
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path

from marquee.data.lines import NumberedLine, TextFile
from marquee.data.mapping import Mapping
from marquee.errors import ContractError, SourceError


def read_delimited(text: TextFile, mapping: Mapping, *, path: Path) -> Iterator[None]:
    """Parse each record into `text.records`; yields after each one.

    Blank lines are no records. A quote that never closes, or closes only where the record no longer
    fits its header, costs its own line and no other.

    Raises:
        SourceError: the header can't be read.
        ContractError: a mapped field is not in the header.
    """
    parser = _Parser(text, mapping)
    positions, width = _layout(parser, mapping, path=path)
    pick = _picker(positions)
    while (line := parser.take()) is not None:
        number, content = line
        if content is None or not content.strip("\r\n"):
            yield
            continue
        fields = parser.parse(number, content, width=width)
        if fields is not None:
            text.records.add(number, parser.raw, pick(fields))
        yield


class _Parser:
    """Splits lines into fields, with lines that can be given back."""

    def __init__(self, text: TextFile, mapping: Mapping) -> None:
        self.raw = ""
        """The text of the record parsed last, without its line end."""
        self._text = text
        self._lines = text.lines()
        self._returned: deque[NumberedLine] = deque()
        self._delimiter = mapping.delimiter
        self._quoting = mapping.quoting
        self._max_chars = text.max_line_bytes

    def take(self) -> NumberedLine | None:
        """The next line, None at the end."""
        return self._returned.popleft() if self._returned else next(self._lines, None)

    def parse(self, number: int, content: str, *, width: int | None) -> Sequence[str] | None:
        """The fields of the record that starts with this line; None where it was rejected."""
        self.raw = content.rstrip("\r\n")
        if self._quoting and '"' in content:
            fields = self._parse_quoted(number, content, width=width)
        else:
            fields = self.raw.split(self._delimiter)
        if fields is None or width is None or len(fields) == width:
            return fields
        reason = "too_few_fields" if len(fields) < width else "too_many_fields"
        self._text.records.reject(number, reason, self.raw)
        return None

    def _parse_quoted(self, number: int, content: str, *, width: int | None) -> Sequence[str] | None:
        taken: list[NumberedLine] = [(number, content)]
        reader = csv.reader(self._record_lines(taken), delimiter=self._delimiter, strict=True)
        try:
            fields = next(reader)
        except csv.Error as err:
            self._give_back(taken)
            self._text.records.reject(number, _reason(err, n_lines=len(taken)), self.raw)
            return None
        if len(taken) > 1 and width is not None and len(fields) != width:
            # a stray quote that happened to meet another one: the later lines are records of their own
            self._give_back(taken)
            self._text.records.reject(number, "unclosed_quote", self.raw)
            return None
        self.raw = "".join(content or "" for _, content in taken).rstrip("\r\n")
        return fields

    def _record_lines(self, taken: list[NumberedLine]) -> Iterator[str]:
        first = taken[0][1] or ""
        n_chars = len(first)
        yield first
        while (line := self.take()) is not None:
            taken.append(line)
            n_chars += len(line[1] or "")
            if line[1] is None or n_chars > self._max_chars:
                return
            yield line[1]

    def _give_back(self, taken: list[NumberedLine]) -> None:
        self._returned.extendleft(reversed(taken[1:]))


def _reason(err: csv.Error, *, n_lines: int) -> str:
    if "field limit" in str(err):
        return "field_too_long"
    return "unclosed_quote" if n_lines > 1 or "unexpected end" in str(err) else "bad_quoting"


def _layout(parser: _Parser, mapping: Mapping, *, path: Path) -> tuple[list[int], int]:
    """Position of each mapped column, and the number of fields of a record."""
    if not mapping.header:
        positions = [position for position in mapping.columns.values() if isinstance(position, int)]
        return positions, mapping.fields or max(positions) + 1
    names = _header(parser, mapping, path=path)
    found = [_position(field, names, path=path) for field in mapping.columns.values()]
    return found, len(names)


def _header(parser: _Parser, mapping: Mapping, *, path: Path) -> list[str]:
    line = parser.take()
    while line is not None and line[1] is not None and not line[1].strip("\r\n"):
        line = parser.take()
    fields = parser.parse(line[0], line[1], width=None) if line and line[1] is not None else None
    if fields is None:
        raise SourceError(
            f"{path} has no header that can be read as {mapping.encoding} text.",
            remedy="Correct the mapping's encoding or quoting, or set header to false and give positions.",
        )
    names = [name.strip() for name in fields]
    return [name.rsplit(":", 1)[0] for name in names] if mapping.typed_header else names


def _position(field: str | int, names: Sequence[str], *, path: Path) -> int:
    matches = [field] if isinstance(field, int) else [i for i, name in enumerate(names) if name == field]
    if len(matches) == 1 and matches[0] < len(names):
        return matches[0]
    fault = "has no" if not matches or matches[0] >= len(names) else "has more than one"
    raise ContractError(
        f"{path} {fault} field {field!r}; its header has: {_listed(names)}.",
        remedy="Name one of them in the mapping's columns, or correct its delimiter.",
    )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(name[:40] for name in names[:20])
    return shown if len(names) <= 20 else f"{shown} and {len(names) - 20} more"


def _picker(positions: Sequence[int]) -> Callable[[Sequence[str]], tuple[str, ...]]:
    # itemgetter of one position gives the bare item: pad, the second one is never looked at
    return itemgetter(positions[0], *(positions[1:] or positions))
