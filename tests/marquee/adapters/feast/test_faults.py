"""Stores that are missing, locked, damaged, full or out of reach: each is one clear error."""

import os
import socket
import sqlite3
from pathlib import Path

import polars as pl
import pytest

from marquee import schema
from marquee.adapters.feast import FeatureDoor, materialise
from marquee.adapters.feast.faults import store_errors
from marquee.errors import FeatureStoreError
from marquee.features.state import StateFolder, build_state
from tests.factories import DAY_S, SECOND_US, event_table
from tests.full_disk import files_of_at_most
from tests.marquee.adapters.feast.place import EPOCH, REPO, at, build, door, filled

REDIS = """
project: marquee
provider: local
state_root: ${MARQUEE_STATE}/current
registry: {registry_type: file, path: "${MARQUEE_STATE}/registry.db", cache_ttl_seconds: 0}
online_store:
  type: marquee.adapters.feast.redis.QuickRedisOnlineStore
  connection_string: "${ADDRESS},socket_timeout=0.05,socket_connect_timeout=0.05"
  skip_dedup: true
offline_store: {type: marquee.adapters.feast_offline.AsofOfflineStore}
entity_key_serialization_version: 3
"""


@pytest.fixture
def store(tmp_path: Path) -> FeatureDoor:
    """Brought online at day 14, in a folder of its own that a test may harm."""
    return filled(tmp_path, until=at(14))


def later_rows(root: Path) -> pl.DataFrame:
    """The state's activity a day later: SQLite writes nothing where a row stays as it is."""
    rows = StateFolder(root).scan("user_activity").collect()
    later = [
        pl.col(schema.EVENT_TIMESTAMP) + pl.duration(days=1),
        pl.col(schema.USER_SEEN_US) + DAY_S * SECOND_US,
    ]
    return rows.with_columns(later)


def refused(store: FeatureDoor) -> FeatureStoreError:
    with pytest.raises(FeatureStoreError) as refusal:
        store.get_user_row("ranking_v1", "u0", now=at(14))
    return refusal.value


# --- SQLite ---------------------------------------------------------------------------------------------


def test_online_file_that_is_missing_lacks_its_tables(store: FeatureDoor, tmp_path: Path):
    (tmp_path / "online.db").unlink()

    error = refused(door(tmp_path))

    assert "lacks its tables: no such table: marquee_user_" in error.problem
    assert "`marquee features apply`" in error.remedy


def test_online_file_that_is_locked_says_who_may_hold_it(store: FeatureDoor, tmp_path: Path):
    reader = door(tmp_path)
    assert reader.get_user_row("ranking_v1", "u0", now=at(14)).is_known
    reader.store._get_provider().online_store._conn.execute("PRAGMA busy_timeout = 20")  # SQLite waits 5 s
    writer = sqlite3.connect(tmp_path / "online.db", isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    try:
        error = refused(reader)
    finally:
        writer.close()

    assert "is being written by another process: database is locked" in error.problem
    assert reader.get_user_row("ranking_v1", "u0", now=at(14)).is_known


def test_online_file_that_is_damaged_says_how_to_make_it_anew(store: FeatureDoor, tmp_path: Path):
    (tmp_path / "online.db").write_bytes(b"no database " * 1000)

    error = refused(door(tmp_path))

    assert "is damaged: file is not a database" in error.problem
    assert "Remove its file" in error.remedy


def test_online_file_that_is_a_folder_cannot_be_opened(store: FeatureDoor, tmp_path: Path):
    (tmp_path / "online.db").unlink()
    (tmp_path / "online.db").mkdir()

    assert "can't be opened" in refused(door(tmp_path)).problem


def test_push_to_a_file_that_was_taken_away_cannot_be_written(store: FeatureDoor, tmp_path: Path):
    assert store.get_user_row("ranking_v1", "u0", now=at(14)).is_known
    (tmp_path / "online.db").rename(tmp_path / "moved.db")  # SQLite answers as on a read-only disk

    with pytest.raises(FeatureStoreError, match="can't be written: attempt to write a readonly database"):
        store.push("user_activity", later_rows(tmp_path))


def test_full_disk_at_push_is_one_clear_error_and_leaves_the_rows(store: FeatureDoor, tmp_path: Path):
    before = store.get_user_row("ranking_v1", "u0", now=at(14))

    with files_of_at_most(0), pytest.raises(FeatureStoreError, match="full") as refusal:
        store.push("user_activity", later_rows(tmp_path))

    assert "Make room" in refusal.value.remedy
    assert store.get_user_row("ranking_v1", "u0", now=at(14)).known_at_s == before.known_at_s
    assert store.push("user_activity", later_rows(tmp_path)).written == 2


def test_full_disk_at_materialise_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(materialise, "SPAN_ROWS", 50)  # a week at a time
    rows = [(f"u{number}", "a", DAY_S * 8 * (1 + number % 4)) for number in range(200)]  # four weeks
    build_state(tmp_path, event_table(rows))
    made = door(tmp_path)
    made.apply(made.declarations(REPO))
    window = {"start": EPOCH, "end": at(40), "views": ["user_activity"], "journal": tmp_path / "journal.json"}

    with files_of_at_most(200_000), pytest.raises(FeatureStoreError, match="full"):
        made.materialise(**window)
    report = door(tmp_path).materialise(**window)[0]

    assert 0 < report.resumed_at < 200
    assert report.written == 200 - report.resumed_at
    reader = door(tmp_path)
    known = [reader.get_user_row("candidates_v1", f"u{number}", now=at(40)).is_known for number in range(200)]
    assert all(known)


# --- the registry ---------------------------------------------------------------------------------------


def test_full_disk_at_apply_leaves_the_registry_whole(tmp_path: Path):
    made = door(tmp_path)
    made.apply(made.declarations(REPO))
    before = (tmp_path / "registry.db").read_bytes()
    changed = made.declarations(REPO)
    changed.views["user_profile"].description = "Other words."

    with files_of_at_most(1000), pytest.raises(FeatureStoreError, match="has no room"):
        made.apply(changed)

    assert (tmp_path / "registry.db").read_bytes() == before
    assert door(tmp_path).plan(changed).changes != ()


def test_registry_that_is_a_folder_is_one_clear_error(tmp_path: Path):
    (tmp_path / "registry.db").mkdir()
    made = door(tmp_path)

    with pytest.raises(FeatureStoreError, match="a folder in the place of a file"):
        made.plan(made.declarations(REPO))


def test_registry_that_is_empty_has_no_project(tmp_path: Path):
    (tmp_path / "registry.db").touch()

    with pytest.raises(FeatureStoreError, match="holds no project 'marquee'"):
        _ = door(tmp_path).views


# --- Redis, as far as no server is needed (test_redis.py has one) -----------------------------------------


def redis_door(root: Path, port: int) -> FeatureDoor:
    (root / "redis.yaml").write_text(REDIS)
    made = door(root, str(root / "redis.yaml"), ADDRESS=f"127.0.0.1:{port}")
    made.apply(made.declarations(REPO))
    return made


def test_server_that_is_gone_is_one_clear_error_for_reads_and_writes(tmp_path: Path):
    build(tmp_path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        gone = redis_door(tmp_path, probe.getsockname()[1])  # bound, and nobody listens

        read = refused(gone)
        with pytest.raises(FeatureStoreError, match=r"push to user_activity: .* does not answer"):
            gone.push("user_activity", later_rows(tmp_path))

    assert "does not answer: Error 111 connecting to 127.0.0.1" in read.problem
    assert "reachable" in read.remedy


def test_server_that_accepts_and_never_answers_is_asked_once(tmp_path: Path):
    build(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(1)
        stalled = redis_door(tmp_path, silent.getsockname()[1])

        error = refused(stalled)
        calls = []
        silent.setblocking(False)
        try:
            while True:
                calls.append(silent.accept()[0])
        except BlockingIOError:
            pass
        for call in calls:
            call.close()

    assert "does not answer: Timeout" in error.problem
    assert len(calls) == 1  # redis-py's own retries would call again and hold the request for seconds


def test_errors_of_other_kinds_pass_through():
    with pytest.raises(ZeroDivisionError), store_errors("read", profile="local"):
        _ = 1 / 0


def test_system_errors_keep_their_own_words():
    with (
        pytest.raises(FeatureStoreError, match=r"does not answer: .*unheard of"),
        store_errors("read", profile="local"),
    ):
        raise OSError(os.EX_OSERR, "unheard of")
