"""One door to all source formats."""

from collections.abc import Iterator
from pathlib import Path

from marquee.data.delimited import read_delimited
from marquee.data.jsonlines import read_json_lines
from marquee.data.lines import open_text
from marquee.data.mapping import Mapping
from marquee.data.parquet import read_parquet
from marquee.data.records import ReadConfig, RecordChunk, TextRecords


def read_chunks(path: Path, mapping: Mapping, *, config: ReadConfig) -> Iterator[RecordChunk]:
    """The records of one file in order, in chunks of bounded size; each record stands in exactly one.

    Raises:
        SourceError: the file as a whole can't be read: missing, forbidden, empty, binary, torn.
        ContractError: a mapped field is missing from the file.
    """
    if mapping.format == "parquet":
        yield from read_parquet(path, mapping, config=config)
    else:
        yield from _read_text(path, mapping, config=config)


def _read_text(path: Path, mapping: Mapping, *, config: ReadConfig) -> Iterator[RecordChunk]:
    columns = list(mapping.columns)
    with open_text(path, encoding=mapping.encoding, max_line_bytes=config.max_line_bytes) as text:
        is_csv = mapping.format == "csv"
        steps = read_delimited(text, mapping, path=path) if is_csv else read_json_lines(text, mapping)
        for _ in steps:
            if text.records.is_full(config):
                yield text.records.to_chunk(columns, bytes_read=text.bytes_read)
                text.records = TextRecords()
        yield text.records.to_chunk(columns, bytes_read=text.bytes_read)
