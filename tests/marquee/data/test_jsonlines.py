import json
from collections.abc import Callable
from pathlib import Path

import pytest

from marquee.data.mapping import Mapping
from marquee.data.readers import read_chunks
from marquee.data.records import ReadConfig, RecordChunk

Write = Callable[..., Path]

MAPPING = Mapping(
    format="jsonl",
    columns={"user_id": "user", "item_id": "item.id", "timestamp": "ts", "value": "value"},
    constants={"interaction_type": "rating"},
)
GOOD = '{"user": 7, "item": {"id": "i"}, "ts": 1.5, "value": 4}'


def read(path: Path) -> RecordChunk:
    (chunk,) = read_chunks(path, MAPPING, config=ReadConfig())
    return chunk


def test_json_values_become_text_and_dots_step_into_objects(write: Write):
    chunk = read(write(GOOD + '\n\n{"user": true, "item.id": "flat", "ts": "2024"}\n{"item": 3}\n'))

    assert chunk.frame.rows() == [("7", "i", "1.5", "4"), ("true", "flat", "2024", None), (None,) * 4]
    assert list(chunk.lines) == [1, 3, 4]
    assert chunk.record(0) == GOOD


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"user": 7', "invalid_json"),
        ("user,item", "invalid_json"),
        ("[" * 200_000, "invalid_json"),
        ('{"user": ' + "9" * 5_000 + "}", "invalid_json"),
        ("[1, 2]", "not_an_object"),
        ("7", "not_an_object"),
        ("null", "not_an_object"),
        ('{"user": [1], "item": {"id": 2}}', "nested_value"),
        ('{"user": "\\ud800", "ts": 1}', "bad_encoding"),
    ],
)
def test_json_line_that_is_no_record_is_rejected_and_the_next_one_read(write: Write, line: str, reason: str):
    chunk = read(write(f"{line}\n{GOOD}\n"))

    assert [(record.line, record.reason) for record in chunk.rejected] == [(1, reason)]
    assert list(chunk.lines) == [2]


def test_json_nested_value_names_its_column(write: Write):
    (rejected,) = read(write(json.dumps({"user": 1, "value": {"stars": 4}}))).rejected

    assert rejected.columns == ("value",)


def test_json_surrogate_pair_and_unmapped_oddities_are_fine(write: Write):
    chunk = read(write('{"user": "\\ud83d\\ude00", "extra": [1, {"a": 2}], "note": "\\ud800"}\n'))

    assert (chunk.frame["user_id"].to_list(), chunk.rejected) == (["\U0001f600"], [])
