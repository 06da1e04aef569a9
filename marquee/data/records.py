"""Records as they come off a source, before the contract has seen them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

UNREADABLE_RECORDS: Final[dict[str, str]] = {
    "line_too_long": "the line is longer than max_line_bytes",
    "bad_encoding": "the bytes are not text in the mapping's encoding",
    "nul_byte": "the line holds a NUL byte",
    "unclosed_quote": "a quoted field opens here and does not close as part of this record",
    "bad_quoting": "a quote stands where the delimiter should be",
    "field_too_long": "a quoted field is longer than the CSV reader takes",
    "too_few_fields": "the record has fewer fields than the header or the mapping says",
    "too_many_fields": "the record has more fields than the header or the mapping says",
    "invalid_json": "the line is not valid JSON",
    "not_an_object": "the line is JSON, but not an object",
    "nested_value": "a mapped field holds a list or an object",
}
"""Why a record can't even be split into fields: the reason's code and its meaning."""


class ReadConfig(BaseModel):
    """Bounds on what a reader holds in memory."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    chunk_records: int = Field(default=100_000, ge=1)
    """Records that are checked at once."""
    chunk_bytes: int = Field(default=64 * 2**20, ge=1)
    """A chunk of text ends after this many bytes even with fewer records."""
    max_line_bytes: int = Field(default=2**20, ge=1)
    """A longer line, or a longer record of several lines, goes to quarantine unread."""


@dataclass(frozen=True)
class Rejected:
    """A record that breaks the contract; `line` counts from 1 (the row, in Parquet)."""

    line: int
    reason: str
    record: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class RecordChunk:
    """A bounded run of records from one file.

    `frame` has one column for each mapped contract column: strings from text, the file's own dtypes
    from Parquet. `lines` and `record` are aligned with it.
    """

    frame: pl.DataFrame
    lines: Sequence[int]
    record: Callable[[int], str]
    """The raw text of row `i` of the frame."""
    rejected: Sequence[Rejected]
    bytes_read: int
    """Bytes of the file read so far, of its compressed form where it is compressed."""

    @property
    def n_read(self) -> int:
        """Records in the chunk, usable or not."""
        return len(self.lines) + len(self.rejected)


Values: TypeAlias = Sequence[str | None]


@dataclass(eq=False)
class TextRecords:
    """What a text format's parser yields into: usable records on one side, rejected ones on the other."""

    lines: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    values: list[Values] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    n_chars: int = 0

    def add(self, line: int, text: str, values: Values) -> None:
        """Keep a record that could be split; `values` in the order of the mapped columns."""
        self.lines.append(line)
        self.texts.append(text)
        self.values.append(values)
        self.n_chars += len(text)

    def reject(self, line: int, reason: str, text: str, *, columns: tuple[str, ...] = ()) -> None:
        """Keep a record that could not be split."""
        self.rejected.append(Rejected(line, reason, text, columns))
        self.n_chars += len(text)

    def is_full(self, config: ReadConfig) -> bool:
        """Whether the chunk must end here."""
        n_records = len(self.lines) + len(self.rejected)
        return n_records >= config.chunk_records or self.n_chars >= config.chunk_bytes

    def to_chunk(self, columns: Sequence[str], *, bytes_read: int) -> RecordChunk:
        """The chunk, its frame all strings."""
        series = [
            pl.Series(name, [values[i] for values in self.values], dtype=pl.String)
            for i, name in enumerate(columns)
        ]
        return RecordChunk(
            pl.DataFrame(series), self.lines, self.texts.__getitem__, self.rejected, bytes_read
        )
