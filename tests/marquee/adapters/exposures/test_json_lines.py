"""Files of exposures: whole lines whatever happens to the writer or the disk."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from marquee.adapters.exposures.json_lines import JsonLinesSink
from marquee.adapters.exposures.log import ExposureLog, RetryConfig
from marquee.data.log_lines import RejectedLine
from marquee.errors import ExposureSinkError
from marquee.monitoring.exposure_lines import exposure_files, read_exposures
from tests.full_disk import files_of_at_most
from tests.marquee.adapters.exposures.sinks import lines, wait_for
from tests.marquee.monitoring.exposure_factory import exposure

ROOT = Path(__file__).parents[4]
KILLED_WRITER = """
import sys
from pathlib import Path
from marquee.adapters.exposures.json_lines import JsonLinesSink
from marquee.adapters.exposures.log import ExposureLog
from tests.marquee.monitoring.exposure_factory import exposure

log = ExposureLog(JsonLinesSink(Path(sys.argv[1])), batch=50, linger_ms=1)
number = 0
while True:
    if log.offer(exposure(number)):
        number += 1
    seen = log.counts
    out = seen.written + seen.dropped_full + seen.lost + seen.queue_length
    print(seen.written, seen.offered - out, flush=True)
"""


def read(folder: Path) -> list[str]:
    """Request ids of all files in the order of their names; a line that is none is not among them."""
    entries = [entry for path in exposure_files(folder) for entry in read_exposures(path)]
    return [entry.request_id for entry in entries if not isinstance(entry, RejectedLine)]


def test_batches_are_read_back_from_one_file(tmp_path: Path):
    sink = JsonLinesSink(tmp_path / "made" / "here")

    sink.write(lines(1, 3))
    sink.write(lines(4, 4))
    sink.close()

    assert len(exposure_files(tmp_path / "made" / "here")) == 1
    assert read(tmp_path / "made" / "here") == ["r1", "r2", "r3", "r4"]


def test_file_that_would_grow_too_large_is_followed_by_another(tmp_path: Path):
    size = len(b"".join(line.content for line in lines(1, 2)))
    sink = JsonLinesSink(tmp_path, max_file_bytes=size)

    for number in range(1, 6):
        sink.write(lines(number, number))
    sink.write(lines(6, 9))  # more than a file: it still goes somewhere

    assert [len(list(read_exposures(path))) for path in exposure_files(tmp_path)] == [2, 2, 1, 4]
    assert read(tmp_path) == [f"r{number}" for number in range(1, 10)]


def test_each_hour_has_its_file(tmp_path: Path):
    moments = iter([datetime(2024, 1, 1, 9, 59, 59, tzinfo=UTC), datetime(2024, 1, 1, 10, tzinfo=UTC)])
    sink = JsonLinesSink(tmp_path, now=lambda: next(moments))

    sink.write(lines(1, 1))
    sink.write(lines(2, 2))

    names = [path.name for path in exposure_files(tmp_path)]
    assert [name.split("-")[1] for name in names] == ["20240101T09", "20240101T10"]
    assert read(tmp_path) == ["r1", "r2"]


def test_writers_of_one_folder_have_files_of_their_own(tmp_path: Path):
    first, second = JsonLinesSink(tmp_path), JsonLinesSink(tmp_path)

    first.write(lines(1, 1))
    second.write(lines(2, 2))
    first.write(lines(3, 3))

    assert sorted(len(list(read_exposures(path))) for path in exposure_files(tmp_path)) == [1, 2]


def test_torn_line_of_an_earlier_writer_costs_nothing_else(tmp_path: Path):
    torn = tmp_path / "exposures-20200101T00-host-1-1-00001.jsonl"
    torn.write_bytes(exposure(1).to_line() + exposure(2).to_line()[:-20])
    sink = JsonLinesSink(tmp_path)

    sink.write(lines(3, 3))

    assert read(tmp_path) == ["r1", "r3"]


def test_full_disk_takes_none_of_a_batch_and_all_of_it_when_there_is_room(tmp_path: Path):
    sink = JsonLinesSink(tmp_path)
    sink.write(lines(1, 2))
    room = exposure_files(tmp_path)[0].stat().st_size + 100  # a part of one more line

    with files_of_at_most(room), pytest.raises(ExposureSinkError, match="File too large") as caught:
        sink.write(lines(3, 5))
    before = read(tmp_path)
    sink.write(lines(3, 5))

    assert (caught.value.taken, caught.value.may_retry) == (0, True)
    assert before == ["r1", "r2"]
    assert read(tmp_path) == [f"r{number}" for number in range(1, 6)]
    assert b"".join(line.content for line in lines(1, 5)) == exposure_files(tmp_path)[0].read_bytes()


def test_log_on_a_full_disk_counts_what_it_loses_and_goes_on_with_room(tmp_path: Path):
    sink = JsonLinesSink(tmp_path)
    log = ExposureLog(sink, linger_ms=1, retry=RetryConfig(total_s=0))

    with files_of_at_most(100):
        log.offer(exposure(1))
        wait_for(lambda: log.counts.lost == 1)
    log.offer(exposure(2))
    counts = log.close()

    assert (counts.offered, counts.lost, counts.written) == (2, 1, 1)
    assert read(tmp_path) == ["r2"]


def test_file_that_cannot_even_be_cut_is_left_for_another(tmp_path: Path):
    sink = JsonLinesSink(tmp_path)
    sink.write(lines(1, 1))
    os.close(sink._descriptor)  # the disk below goes away: writing and cutting fail alike

    with pytest.raises(ExposureSinkError, match="Bad file descriptor"):
        sink.write(lines(2, 2))
    sink.write(lines(2, 2))

    assert read(tmp_path) == ["r1", "r2"]


def test_folder_that_cannot_be_made_is_refused(tmp_path: Path):
    (tmp_path / "file").touch()

    with pytest.raises(ExposureSinkError, match="Not a directory"):
        JsonLinesSink(tmp_path / "file" / "folder")


def test_folder_that_vanished_fails_until_it_is_back(tmp_path: Path):
    folder = tmp_path / "folder"
    sink = JsonLinesSink(folder)
    folder.rmdir()

    with pytest.raises(ExposureSinkError, match="No such file"):
        sink.write(lines(1, 1))
    folder.mkdir()
    sink.write(lines(1, 1))

    assert read(folder) == ["r1"]


def test_killed_writer_leaves_whole_lines_and_all_that_it_called_written(tmp_path: Path):
    command = [sys.executable, "-c", KILLED_WRITER, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        said = [next(writer.stdout) for _ in range(3_000)]
        writer.send_signal(signal.SIGKILL)
        said += writer.stdout.read().splitlines()[:-1]  # the last may be torn itself
    told = [tuple(map(int, each.split())) for each in said]
    written = told[-1][0]

    entries = [entry for path in exposure_files(tmp_path) for entry in read_exposures(path)]

    rejected = [entry for entry in entries if isinstance(entry, RejectedLine)]
    whole = [entry.request_id for entry in entries if not isinstance(entry, RejectedLine)]
    assert writer.returncode == -signal.SIGKILL
    assert [entry.is_torn for entry in rejected] in ([], [True])
    assert whole == [f"r{number}" for number in range(len(whole))]
    assert 0 < written <= len(whole)
    assert {missing for _, missing in told} == {0}
