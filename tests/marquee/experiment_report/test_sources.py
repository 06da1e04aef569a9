"""The two logs as they are read: once each, with their hashes, bad rows counted."""

import hashlib
from datetime import timedelta
from pathlib import Path

import pytest

from marquee import schema
from marquee.data.snapshot import Snapshot
from marquee.data.warehouse import Warehouse
from marquee.errors import ContractError
from marquee.experiment_report.sources import read_events, read_exposure_log
from tests.marquee.experiment_report.made_logs import START, events_of, request

NOW = START + timedelta(days=1)


def test_exposures_of_all_files_count_once(tmp_path: Path):
    lines = [request(n, f"u{n}", "control", START).to_line() for n in range(3)]
    (tmp_path / "exposures-a.jsonl").write_bytes(lines[0] + lines[1] + b"{}\n")
    (tmp_path / "exposures-b.jsonl").write_bytes(lines[1] + lines[2] + lines[0][:40])

    log = read_exposure_log(tmp_path)

    assert sorted(log.requests["request_id"]) == ["r0", "r1", "r2"]
    assert (len(log.shown), len(log.assignments)) == (6, 3)
    assert log.n_rejected == 1  # the torn end of the second file is no fault of the log
    content = (tmp_path / "exposures-a.jsonl").read_bytes()
    assert log.files["exposures-a.jsonl"] == hashlib.sha256(content).hexdigest()


def test_events_of_a_file_are_those_of_the_asked_time(tmp_path: Path):
    path = tmp_path / "events.parquet"
    days = [START + timedelta(days=day) for day in (-3, -1, 0, 1)]
    events_of(*(("ann", "x", "click", day) for day in days)).write_parquet(path)

    found = read_events(path, now=NOW, first=START - timedelta(days=1), until=START)

    assert found.events["timestamp"].to_list() == days[1:3]
    assert found.content_id == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (found.users, found.movies) == (None, None)


def test_events_of_a_warehouse_come_with_its_tables_and_id(tmp_path: Path):
    warehouse = Warehouse(tmp_path / "warehouse")
    warehouse.write_table(schema.MOVIES, events_of(("u", "x", "click", START)).select("item_id"))

    found = read_events(tmp_path / "warehouse", now=NOW, first=START, until=None)

    assert found.content_id == Snapshot.of(warehouse.contents).id
    assert found.movies is not None
    assert found.movies["item_id"].to_list() == ["x"]
    assert found.events.is_empty()


def test_file_with_too_many_bad_rows_is_refused(tmp_path: Path):
    rows = ["user_id,item_id,interaction_type,timestamp,value"]
    rows += [f"u{n},x,{'click' if n else 'nonsense'},2024-03-01T00:00:00Z," for n in range(30)]
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("\n".join(rows) + "\n", encoding="utf-8")
    bad.write_text("\n".join(rows[:5]) + "\n", encoding="utf-8")

    found = read_events(good, now=NOW, first=START, until=None)

    assert (len(found.events), found.n_quarantined) == (29, 1)
    with pytest.raises(ContractError, match="1 of 4 rows"):
        read_events(bad, now=NOW, first=START, until=None)
