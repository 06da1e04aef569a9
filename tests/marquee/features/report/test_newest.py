"""The newest row of each key, as an online store would answer at the state's last moment."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from marquee import schema
from marquee.errors import FeatureStoreError
from marquee.features.report.newest import StateVersion, newest_rows
from marquee.features.state import SideTables, StateConfig, StateFolder, build_state
from tests.factories import DAY_S, event_table
from tests.marquee.features.report.state import EPOCH, version_of

ACTIVITY, STATISTICS = schema.USER_ACTIVITY_VIEW, schema.MOVIE_STATISTICS_VIEW
ROWS = [("u0", "a", 0, 4.0), ("u0", "b", 2 * DAY_S, 3.0), ("u1", "a", DAY_S, 2.0)]


def test_newest_rows_are_the_last_of_each_key(tmp_path: Path):
    build_state(tmp_path, event_table(ROWS), config=StateConfig(n_buckets=1))

    newest = newest_rows(
        StateVersion.current(StateFolder(tmp_path)), ACTIVITY, ttl_seconds=None, sample_keys=9
    )

    assert (newest.n_keys, newest.n_expired, newest.n_later) == (2, 0, 0)
    assert newest.newest == EPOCH + timedelta(days=2)
    assert newest.read([schema.USER_EVENTS_ALL], limit=9)[schema.USER_EVENTS_ALL].to_list() == [2, 1]


def test_newest_row_past_its_limit_of_age_is_null_and_counted(tmp_path: Path):
    # the state's last moment is day 4; rows of days 1 and 3
    version = version_of(
        tmp_path, ACTIVITY, [("u0", 1, {schema.USER_EVENTS_ALL: 5}), ("u1", 3, {schema.USER_EVENTS_ALL: 6})]
    )

    at_limit = newest_rows(version, ACTIVITY, ttl_seconds=3 * DAY_S, sample_keys=9)
    beyond = newest_rows(version, ACTIVITY, ttl_seconds=3 * DAY_S - 1, sample_keys=9)

    assert at_limit.n_expired == 0
    assert beyond.n_expired == 1
    assert beyond.read([schema.USER_EVENTS_ALL], limit=9)[schema.USER_EVENTS_ALL].to_list() == [None, 6]


def test_rows_after_the_states_moment_are_not_counted(tmp_path: Path):
    version = version_of(
        tmp_path,
        ACTIVITY,
        [("u0", 1, {schema.USER_EVENTS_ALL: 5}), ("u0", 9, {schema.USER_EVENTS_ALL: 9}), ("u1", 9, {})],
    )

    newest = newest_rows(version, ACTIVITY, ttl_seconds=None, sample_keys=9)

    assert (newest.n_keys, newest.n_later) == (1, 1)
    assert newest.read([schema.USER_EVENTS_ALL], limit=9)[schema.USER_EVENTS_ALL].to_list() == [5]


def test_sample_is_of_the_same_keys_in_two_versions(tmp_path: Path):
    rows = [(f"u{n}", 1, {schema.USER_EVENTS_ALL: n}) for n in range(400)]
    now, before = (
        newest_rows(version_of(tmp_path / name, ACTIVITY, each), ACTIVITY, ttl_seconds=None, sample_keys=100)
        for name, each in (("now", rows), ("before", rows[::-1]))
    )

    assert now.n_keys == 400
    assert 60 < len(now.chosen) < 140
    assert now.chosen[schema.USER_ID].to_list() == before.chosen[schema.USER_ID].to_list()
    assert len(now.read([schema.USER_EVENTS_ALL], limit=10)) == 10


def test_version_before_is_the_one_that_is_not_current(tmp_path: Path):
    first = build_state(tmp_path, event_table(ROWS[:1]), config=StateConfig(n_buckets=1))
    only = StateVersion.current(StateFolder(tmp_path))
    build_state(tmp_path, event_table(ROWS), config=StateConfig(n_buckets=1))

    before = StateVersion.current(StateFolder(tmp_path)).before()

    assert only.before() is None or only.before().contents.id != first.state_id
    assert before is not None
    assert before.contents.id == first.state_id


def test_version_before_that_is_damaged_is_none(tmp_path: Path):
    first = build_state(tmp_path, event_table(ROWS[:1]), config=StateConfig(n_buckets=1))
    build_state(tmp_path, event_table(ROWS), config=StateConfig(n_buckets=1))
    (tmp_path / "versions" / first.state_id / "state.json").write_text("{")

    assert StateVersion.current(StateFolder(tmp_path)).before() is None


def test_table_that_a_build_removed_is_one_clear_error(tmp_path: Path):
    build_state(tmp_path, event_table(ROWS), tables=SideTables(), config=StateConfig(n_buckets=1))
    version = StateVersion.current(StateFolder(tmp_path))
    for part in version.contents.tables[STATISTICS]:
        (version.path / part.path).unlink()

    with pytest.raises(FeatureStoreError, match="can't be read"):
        newest_rows(version, STATISTICS, ttl_seconds=None, sample_keys=9)


def test_view_without_rows_has_no_keys(tmp_path: Path):
    newest = newest_rows(version_of(tmp_path, ACTIVITY, []), ACTIVITY, ttl_seconds=60, sample_keys=9)

    assert (newest.n_keys, newest.newest) == (0, None)
    assert newest.read([schema.USER_EVENTS_ALL], limit=9).schema[schema.USER_EVENTS_ALL] == pl.Int64
