from collections.abc import Callable
from datetime import time, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from marquee.data.mapping import Mapping
from marquee.data.readers import read_chunks
from marquee.data.records import ReadConfig, RecordChunk
from marquee.errors import ContractError, SourceError

Write = Callable[..., Path]

MAPPING = Mapping(
    format="parquet",
    columns={"user_id": "user", "item_id": "item", "timestamp": "ts"},
    constants={"interaction_type": "like"},
)


def write_parquet(folder: Path, columns: dict[str, Any], **options: Any) -> Path:
    path = folder / "events.parquet"
    pl.DataFrame(columns).write_parquet(path, **options)
    return path


def read(path: Path, **config: int) -> list[RecordChunk]:
    return list(read_chunks(path, MAPPING, config=ReadConfig(**config)))


@pytest.mark.parametrize("chunk_records", [1, 3, 7, 100])
@pytest.mark.parametrize("row_group_size", [2, 100])
def test_parquet_rows_come_once_in_order_whatever_chunks_and_row_groups(
    tmp_path: Path, chunk_records: int, row_group_size: int
):
    columns = {"user": range(10), "item": ["i"] * 10, "ts": [1] * 10, "extra": [0] * 10}
    path = write_parquet(tmp_path, columns, row_group_size=row_group_size)

    chunks = read(path, chunk_records=chunk_records)

    assert [user for chunk in chunks for user in chunk.frame["user_id"]] == list(range(10))
    assert [line for chunk in chunks for line in chunk.lines] == list(range(1, 11))
    assert max(len(chunk.frame) for chunk in chunks) <= chunk_records
    assert chunks[-1].bytes_read == path.stat().st_size


def test_parquet_record_is_shown_as_json(tmp_path: Path):
    (chunk,) = read(write_parquet(tmp_path, {"user": ["u\u00e9"], "item": [None], "ts": [3]}))

    assert chunk.record(0) == '{"user_id": "u\u00e9", "item_id": null, "timestamp": 3}'


def test_parquet_without_rows_gives_no_records(tmp_path: Path):
    chunks = read(write_parquet(tmp_path, {"user": [], "item": [], "ts": []}))

    assert sum(chunk.n_read for chunk in chunks) == 0


def test_parquet_binary_column_is_text_and_its_broken_rows_are_rejected(tmp_path: Path):
    columns = {"user": [b"u1", b"\xff", None], "item": ["i"] * 3, "ts": [1] * 3}

    (chunk,) = read(write_parquet(tmp_path, columns))

    assert chunk.frame["user_id"].to_list() == ["u1", None]
    assert list(chunk.lines) == [1, 3]
    assert [(r.line, r.reason, r.columns) for r in chunk.rejected] == [(2, "bad_encoding", ("user_id",))]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"user": ["u"], "item": ["i"], "when": [1]}, ("'ts'", "when")),
        ({"user": [["u"]], "item": ["i"], "ts": [1]}, ("'user'", "List")),
        ({"user": ["u"], "item": [{"id": 1}], "ts": [1]}, ("'item'", "Struct")),
        ({"user": ["u"], "item": ["i"], "ts": [timedelta(1)]}, ("'ts'", "Duration", "no moment")),
        ({"user": ["u"], "item": ["i"], "ts": [time(1)]}, ("'ts'", "Time", "no moment")),
    ],
)
def test_parquet_whose_columns_do_not_fit_is_refused(
    tmp_path: Path, columns: dict[str, Any], words: tuple[str, ...]
):
    with pytest.raises(ContractError) as caught:
        read(write_parquet(tmp_path, columns))

    assert [word for word in words if word not in caught.value.problem] == []


def test_parquet_that_is_text_or_torn_or_damaged_is_one_error(tmp_path: Path, write: Write):
    path = write_parquet(tmp_path, {"user": ["u"] * 1_000, "item": ["i"] * 1_000, "ts": list(range(1_000))})
    whole = path.read_bytes()
    damaged = whole[:100] + b"\xff" * (len(whole) - 112) + whole[-12:]

    for content in (b"user,item\nu,i\n", whole[: len(whole) // 2], damaged, b"PAR1PAR1"):
        with pytest.raises(SourceError, match=r"x\.parquet.* Parquet"):
            read(write(content, "x.parquet"))


def test_parquet_damaged_in_its_data_is_one_error(tmp_path: Path, write: Write):
    path = write_parquet(tmp_path, {"user": ["u"] * 1_000, "item": ["i"] * 1_000, "ts": list(range(1_000))})
    whole = path.read_bytes()

    with pytest.raises(SourceError, match=r"x\.parquet is damaged"):
        read(write(whole[:4] + b"\x7f" * 60 + whole[64:], "x.parquet"))
