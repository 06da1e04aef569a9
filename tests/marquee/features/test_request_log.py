"""Lines that come back as they were served, and what becomes of those that can't."""

import gzip
import json
import math
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee import schema
from marquee.data.log_lines import RejectedLine
from marquee.errors import ContractError, SourceError, WarehouseError
from marquee.features.request_log import LoggedRequest, logging_to, parsed, read_requests

ROW = {
    schema.USER_AGE: 33.0,
    schema.USER_EVENTS_ALL: 2,
    schema.USER_RATING_MEAN: struct.unpack("f", struct.pack("f", 3.7))[0],
    schema.USER_HISTORY_ITEMS: ["ä", "\u2028b"],
    schema.USER_HISTORY_TIMES: [1, 2**62],
    schema.USER_HISTORY_VALUES: [4.5, math.nan],
    "user_occupation": None,
}


def request(number: int = 1, **differences) -> LoggedRequest:
    values = {
        "request_id": f"r{number}",
        "time_us": 10 * number,
        "service": "ranking_v1",
        "service_hash": "abc",
        "user_id": "u",
        "row": ROW,
    }
    return LoggedRequest(**values | differences)


def line(**differences) -> str:
    """A good line with other values, as JSON."""
    return json.dumps(json.loads(request().to_line()) | differences) + "\n"


def test_log_gives_back_what_was_written(tmp_path: Path):
    path = tmp_path / "log.jsonl"
    with logging_to(path) as log:
        log.write(request(1))
        log.write(request(2, items=("a", "b")))

    first, second = read_requests(path)

    assert (first.request_id, first.time_us, first.items) == ("r1", 10, None)
    assert (second.request_id, second.items) == ("r2", ("a", "b"))
    assert list(first.row) == list(ROW)
    assert repr(first.row) == repr(ROW)  # NaN differs from itself, not its name


def test_zipped_log_is_read_as_well(tmp_path: Path):
    path = tmp_path / "log.jsonl.gz"
    path.write_bytes(gzip.compress(request().to_line()))

    assert [each.request_id for each in read_requests(path)] == ["r1"]


@given(st.lists(st.floats(width=32, allow_infinity=False)), st.none() | st.floats(width=32, allow_nan=False))
def test_any_float32_comes_back_with_the_same_bits(values, mean):
    if mean is not None and math.isinf(mean):
        mean = -0.0
    row = {schema.USER_HISTORY_VALUES: values, schema.USER_RATING_MEAN: mean}

    back = parsed(request(row=row).to_line().decode(), line=1).row

    known = [math.nan if math.isnan(value) else value for value in values]
    assert struct.pack(f"{len(known)}f", *back[schema.USER_HISTORY_VALUES]) == struct.pack(
        f"{len(known)}f", *known
    )
    assert repr(back[schema.USER_RATING_MEAN]) == repr(mean)


@pytest.mark.parametrize(
    ("feature", "value"),
    [
        (schema.USER_RATING_MEAN, math.nan),
        (schema.USER_RATING_MEAN, math.inf),
        (schema.USER_RATING_MEAN, 0.1),  # a double, not what the store served
        (schema.USER_HISTORY_VALUES, [1e39]),
        (schema.USER_EVENTS_ALL, 2.0),
        (schema.USER_EVENTS_ALL, True),
        (schema.USER_EVENTS_ALL, 2**63),
        (schema.USER_HISTORY_ITEMS, ["a", None]),
        (schema.USER_HISTORY_ITEMS, "a"),
        ("user_mood", 1),
    ],
)
def test_value_that_is_not_its_features_is_neither_written_nor_read(tmp_path: Path, feature: str, value):
    with (
        logging_to(tmp_path / "log") as log,
        pytest.raises(ContractError, match=f"'r1' has row.{feature} = "),
    ):
        log.write(request(row={feature: value}))

    assert (tmp_path / "log").read_bytes() == b""
    found = parsed(line(row={feature: value}), line=7)
    assert isinstance(found, RejectedLine)
    assert str(found).startswith(f"line 7, field row.{feature}: ")


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (line(version=2), "version"),
        (line(time_us="now"), "time_us"),
        (line(user_id=""), "user_id"),
        (line(row=[1]), "row"),
        (line(items=["a", 1]), "items.1"),
        (line(colour="red"), "colour"),
        ("[1]\n", None),
        ('{"a": \n', None),
        ("[" * 100_000 + "\n", None),
    ],
)
def test_bad_line_names_its_field_and_the_others_are_read(tmp_path: Path, text: str, field: str | None):
    path = tmp_path / "log.jsonl"
    path.write_text(line() + text + line())

    entries = list(read_requests(path))

    assert [type(each) for each in entries] == [LoggedRequest, RejectedLine, LoggedRequest]
    assert (entries[1].line, entries[1].field, entries[1].is_torn) == (2, field, False)


def test_byte_that_is_no_text_costs_its_line_only(tmp_path: Path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(line().encode() + b'{"user_id": "\xff"}\n' + line().encode())

    assert [getattr(each, "reason", "") for each in read_requests(path)] == ["", "bad encoding", ""]


def test_torn_last_line_is_told_apart_and_removed_by_the_next_writer(tmp_path: Path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(request(1).to_line() + request(2).to_line()[:40])

    before = list(read_requests(path))
    with logging_to(path) as log:
        log.write(request(3))

    assert before[1].is_torn
    assert before[1].line == 2
    assert [each.request_id for each in read_requests(path)] == ["r1", "r3"]


def test_log_of_a_killed_writer_holds_every_request_that_it_had_acknowledged(tmp_path: Path):
    path = tmp_path / "log.jsonl"
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from marquee.features.request_log import logging_to, parsed\n"
        f"line = {line()!r}\n"
        "with logging_to(Path(sys.argv[1])) as log:\n"
        "    for _ in range(100):\n"
        "        log.write(parsed(line, line=1))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )

    done = subprocess.run([sys.executable, "-c", program, str(path)], check=False)

    assert done.returncode == -9
    assert len([each for each in read_requests(path) if isinstance(each, LoggedRequest)]) == 100
    with logging_to(path) as log:  # the lock went with its holder
        log.write(request())


def test_second_writer_of_one_log_is_refused(tmp_path: Path):
    with logging_to(tmp_path / "log"), pytest.raises(WarehouseError), logging_to(tmp_path / "log"):
        pass


def test_missing_log_is_one_clear_error(tmp_path: Path):
    with pytest.raises(SourceError, match="no\\.jsonl"):
        list(read_requests(tmp_path / "no.jsonl"))
