"""The table on disk: periods replaced once, and nothing lost to a fault."""

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from marquee.data.storage import exclusive_lock
from marquee.errors import ConfigError
from marquee.online_metrics.config import OnlineConfig
from marquee.online_metrics.folder import FILE, keep, read_table
from tests.full_disk import files_of_at_most
from tests.marquee.online_metrics.small_log import DAY, asked, at, done, logs_of, measured

ROOT = Path(__file__).parents[3]
DAYS = [asked(number, "ann", 24.0 * number + 1, "a") for number in range(4)]
CLICKS = done(*(("ann", "a", "click", 24.0 * number + 2) for number in range(4)))
KILLED = """
import os, signal, sys
from pathlib import Path
import polars as pl
from marquee.data import storage
from marquee.online_metrics.folder import keep

storage.sync = lambda path: os.kill(os.getpid(), signal.SIGKILL)  # written beside, and not yet renamed
keep(pl.read_parquet(sys.argv[1]), Path(sys.argv[2]))
"""


def run(until_hour: float, *, first: int = 0, shown=DAYS) -> pl.DataFrame:
    """The table of a run that sees the requests of some days, and events up to an hour."""
    logs = logs_of(
        [each for each in shown[first:] if each.time_us <= at(until_hour).timestamp() * 1e6], CLICKS
    )
    return measured(logs, until=at(until_hour)).table


def test_later_run_replaces_the_periods_that_it_covers(tmp_path: Path):
    keep(run(40), tmp_path)
    kept = keep(run(80, first=1), tmp_path)

    assert (kept.replaced, kept.better) == (3, ())
    assert_frame_equal(kept.table, read_table(tmp_path))
    assert_frame_equal(kept.table.filter(pl.col("period") == DAY), run(40).filter(pl.col("period") == DAY))
    assert_frame_equal(kept.table.filter(pl.col("period") > DAY), run(80).filter(pl.col("period") > DAY))


def test_same_run_twice_is_once(tmp_path: Path):
    keep(run(80), tmp_path)
    before = (tmp_path / FILE).read_bytes()
    keep(run(80), tmp_path)

    assert (tmp_path / FILE).read_bytes() == before


@settings(max_examples=10, deadline=None)
@given(st.permutations([30.0, 55.0, 100.0]))
def test_runs_in_any_order_leave_the_newest(tmp_path_factory, hours):
    folder = tmp_path_factory.mktemp("online")
    for hour in hours:
        keep(run(hour), folder)

    assert_frame_equal(read_table(folder), run(100))


def test_log_that_lost_requests_takes_nothing_away(tmp_path: Path):
    more = [*DAYS, asked(9, "bob", 2, "b")]
    keep(run(100, shown=more), tmp_path)
    kept = keep(run(100), tmp_path)

    assert kept.better == (DAY,)
    assert_frame_equal(read_table(tmp_path), run(100, shown=more))


def test_killed_writer_leaves_the_old_table_and_no_lock(tmp_path: Path):
    folder, given_table = tmp_path / "online", tmp_path / "new.parquet"
    keep(run(40), folder)
    run(100).write_parquet(given_table)

    died = subprocess.run(
        [sys.executable, "-c", KILLED, given_table, folder], cwd=ROOT, timeout=60, check=False
    )

    assert died.returncode == -9
    assert [each.name for each in folder.iterdir() if each.suffix == ".tmp"]  # it died in the middle
    assert_frame_equal(read_table(folder), run(40))
    keep(run(100), folder)
    assert_frame_equal(read_table(folder), run(100))


def test_full_disk_leaves_the_old_table(tmp_path: Path):
    keep(run(40), tmp_path)
    before = (tmp_path / FILE).read_bytes()

    with files_of_at_most(1_000), pytest.raises(ConfigError, match="can't be read or written"):
        keep(run(100), tmp_path)

    assert (tmp_path / FILE).read_bytes() == before


def test_second_writer_waits_and_then_says_who_is_there(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("marquee.online_metrics.folder._PATIENCE_S", 0.05)

    with (
        exclusive_lock(tmp_path / ".online.lock"),
        pytest.raises(ConfigError, match="being written by another process"),
    ):
        keep(run(40), tmp_path)


def test_another_window_is_refused(tmp_path: Path):
    keep(run(40), tmp_path)
    other = measured(logs_of(DAYS, CLICKS), config=OnlineConfig(k=2, window_hours=48)).table

    with pytest.raises(ConfigError, match="window_hours = 24, not 48") as caught:
        keep(other, tmp_path)

    assert "--to" in caught.value.remedy


@pytest.mark.parametrize("content", [b"PAR1 torn", b""])
def test_torn_file_is_said(tmp_path: Path, content: bytes):
    (tmp_path / FILE).write_bytes(content)

    with pytest.raises(ConfigError):
        keep(run(40), tmp_path)


def test_table_of_another_release_is_said(tmp_path: Path):
    run(40).drop("k").write_parquet(tmp_path / FILE)

    with pytest.raises(ConfigError, match="other columns"):
        read_table(tmp_path)


def test_folder_without_a_table_has_no_rows(tmp_path: Path):
    assert read_table(tmp_path / "absent").is_empty()
