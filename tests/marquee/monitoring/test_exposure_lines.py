"""Logs as they are found on disks: zipped, torn, spoilt in places."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from marquee.data.log_lines import RejectedLine
from marquee.errors import SourceError
from marquee.monitoring.exposure import Exposure
from marquee.monitoring.exposure_lines import exposure_files, parsed, read_exposures
from tests.marquee.monitoring.exposure_factory import exposure


def line(**differences) -> str:
    """A good line with other values, as JSON."""
    return json.dumps(json.loads(exposure().to_line()) | differences) + "\n"


ITEM = json.loads(exposure().to_line())["items"][0]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_log_plain_or_zipped_gives_back_what_was_written(tmp_path: Path, pack):
    path = tmp_path / "log"
    path.write_bytes(pack(exposure(1).to_line() + exposure(2).to_line()))

    assert list(read_exposures(path)) == [exposure(1), exposure(2)]


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (line(version=2), "version"),
        (line(time_us="now"), "time_us"),
        (line(time_us=2**63), "time_us"),
        (line(n=True), "n"),
        (line(surface="front"), "surface"),
        (line(request_id=""), "request_id"),
        (line(colour="red"), "colour"),
        (line(context={"timestamp_us": 1, "device": None}), "context.location"),
        (line(items=[ITEM, ITEM | {"position": 0}]), "items.1.position"),
        (line(items=[ITEM | {"propensity": 0}]), "items.0.propensity"),
        (line(items=[ITEM | {"mood": 0}]), "items.0.mood"),
        (line(latency_ms=1).replace('"latency_ms": 1', '"latency_ms": NaN'), "latency_ms"),
        (json.dumps({k: v for k, v in json.loads(line()).items() if k != "bundle_id"}) + "\n", "bundle_id"),
        ("[1]\n", None),
        ('{"a": \n', None),
        ("[" * 100_000 + "\n", None),
    ],
)
def test_bad_line_names_itself_and_its_field_and_the_others_are_read(tmp_path: Path, text, field):
    path = tmp_path / "log"
    path.write_text(line() + text + line())

    entries = list(read_exposures(path))

    assert [type(each) for each in entries] == [Exposure, RejectedLine, Exposure]
    assert (entries[1].line, entries[1].field, entries[1].is_torn) == (2, field, False)


def test_rejected_line_tells_where_and_why():
    assert str(parsed(line(n=-1), line=7)) == "line 7, field n: Input should be greater than or equal to 0"
    assert str(parsed("[1]\n", line=8)).startswith("line 8: Input should be ")


def test_torn_last_line_is_told_apart(tmp_path: Path):
    path = tmp_path / "log"
    path.write_bytes(exposure(1).to_line() + exposure(2).to_line()[:40])

    first, torn = read_exposures(path)

    assert first == exposure(1)
    assert (torn.line, torn.is_torn) == (2, True)


def test_whole_last_line_without_its_line_end_counts(tmp_path: Path):
    path = tmp_path / "log"
    path.write_bytes(exposure(1).to_line().rstrip())

    assert list(read_exposures(path)) == [exposure(1)]


def test_byte_that_is_no_text_costs_its_line_only(tmp_path: Path):
    path = tmp_path / "log"
    path.write_bytes(b'{"user_id": "\xff"}\n' + exposure(1).to_line())

    rejected, read = read_exposures(path)

    assert (rejected.line, rejected.reason) == (1, "bad encoding")
    assert read == exposure(1)


def test_empty_log_is_refused(tmp_path: Path):
    path = tmp_path / "log"
    path.touch()

    with pytest.raises(SourceError, match="empty"):
        list(read_exposures(path))


def test_files_of_a_folder_are_those_with_exposures_in_order(tmp_path: Path):
    names = ["exposures-2-a.jsonl", "exposures-1-b.jsonl.gz", "exposures-1-a.jsonl"]
    for name in [*names, "requests-1.jsonl", "exposures-3.txt"]:
        (tmp_path / name).write_text("x")
    (tmp_path / "exposures-0.jsonl").touch()

    found = exposure_files(tmp_path)

    assert [path.name for path in found] == ["exposures-1-a.jsonl", "exposures-1-b.jsonl.gz", names[0]]


def test_folder_that_is_missing_is_refused(tmp_path: Path):
    with pytest.raises(SourceError, match="nowhere"):
        exposure_files(tmp_path / "nowhere")


def test_files_that_were_full_before_a_moment_are_left_out(tmp_path: Path):
    names = [
        "20240301T22-a-1-00001",
        "20240301T23-a-1-00002",
        "20240302T00-a-1-00003",
        "2024",
        "99999999T99-b",
    ]
    for name in names:
        (tmp_path / f"exposures-{name}.jsonl").write_bytes(b"{}\n")

    found = exposure_files(tmp_path, since=datetime(2024, 3, 2, tzinfo=UTC))

    assert sorted(each.stem.removeprefix("exposures-") for each in found) == sorted(names[2:])
    assert len(exposure_files(tmp_path, since=datetime(2024, 3, 1, 23, 59, tzinfo=UTC))) == len(names) - 1
    assert len(exposure_files(tmp_path)) == len(names)
