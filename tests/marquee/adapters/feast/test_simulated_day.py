"""A few hundred requests among the events of a synthetic day; tests/end_to_end has thousands."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from marquee import schema
from marquee.adapters.feast import FeatureDoor, UserRow
from marquee.adapters.feast.simulated_day import (
    DayConfig,
    DayReport,
    Stage,
    replay_day,
    simulate_day,
    split_day,
)
from marquee.errors import FeatureStoreError, NotEnoughDataError
from marquee.features.request_log import read_requests
from tests.factories import DAY_S, event_table
from tests.marquee.adapters.feast.place import REPO, TABLES, at, door

TYPES = ("rating", "view", "impression", "like")
ROWS = [
    # Every user comes back to the same movies, several times within one second.
    (
        f"u{number % 7}",
        f"m{number * number % 97}",
        60 * 40 * number // 3 * 3,
        number % 6 or None,
        TYPES[number % 4],
    )
    for number in range(400)
]
SHORT = DayConfig(requests=150, others_requests=3)


def simulated(root: Path, config: DayConfig = SHORT, **options) -> tuple[FeatureDoor, DayReport]:
    made = door(root)
    stage = Stage(root, made, REPO, TABLES)
    return made, simulate_day(stage, event_table(ROWS), root / "log.jsonl", config=config, **options)


def test_day_with_repeats_and_disorder_is_exact(tmp_path: Path):
    made, report = simulated(tmp_path)

    parity = replay_day(tmp_path, made, tmp_path / "log.jsonl")

    assert (parity.requests, parity.equal, parity.exit_code) == (report.requests, report.requests, 0)
    assert report.requests >= 150
    assert report.pushes > report.events  # some came twice
    assert len(report.push_ms) == report.pushes
    assert len(report.read_ms) == report.requests


def test_day_of_long_histories_is_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(schema, "HISTORY_WIDTH", 3)

    made, report = simulated(tmp_path)

    assert replay_day(tmp_path, made, tmp_path / "log.jsonl").equal == report.requests


def test_late_events_are_the_differences_and_nothing_else_is(tmp_path: Path):
    made, report = simulated(tmp_path, DayConfig(requests=100, others_requests=1, own_requests=0.1, late=0.3))

    parity = replay_day(tmp_path, made, tmp_path / "log.jsonl")

    differing = parity.requests - parity.equal
    # A late impression changes nothing, nor does a late repeat of an earlier choice.
    assert 0 < differing <= report.requests_before_late
    assert set(parity.causes) == {"late event", "stale"}
    assert sum(parity.causes.values()) == differing


def test_lists_are_made_from_the_row_that_is_logged(tmp_path: Path):
    def newest_first(row: UserRow, _now: object) -> list[str]:
        return (row.values[schema.USER_HISTORY_ITEMS] or [])[::-1][:2]

    simulated(tmp_path, serve=newest_first)

    for request in read_requests(tmp_path / "log.jsonl"):
        assert request.items == tuple((request.row[schema.USER_HISTORY_ITEMS] or [])[::-1][:2])


def test_same_seed_makes_the_same_log(tmp_path: Path):
    logs = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        simulated(tmp_path / name)
        logs.append((tmp_path / name / "log.jsonl").read_bytes())

    assert logs[0] == logs[1]


def test_store_with_rows_of_the_users_is_not_written_to(tmp_path: Path):
    simulated(tmp_path)

    with pytest.raises(FeatureStoreError, match="holds a row of user 'u0' already"):
        simulated(tmp_path)


def test_day_begins_at_the_latest_midnight_that_leaves_moments_enough():
    rows = [("u", f"m{number}", number * DAY_S / 4) for number in range(12)]  # four moments a day, three days

    before, day = split_day(event_table(rows), DayConfig(requests=10, others_requests=2))

    assert day[schema.TIMESTAMP].min() == at(1)  # five moments are needed, the last day has four
    assert (len(before), len(day)) == (4, 8)
    with pytest.raises(NotEnoughDataError, match="10 requests need 10 moments"):
        split_day(event_table(rows), DayConfig(requests=10, others_requests=1))


@pytest.fixture
def no_push(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    return lambda: monkeypatch.setattr(FeatureDoor, "push", _lost)


def _lost(_door: FeatureDoor, _view: str, rows: pl.DataFrame):
    from marquee.adapters.feast import PushReport

    return PushReport(written=0, superseded=len(rows))


def test_pushes_that_are_lost_are_found(tmp_path: Path, no_push: Callable[[], None]):
    no_push()

    made, _ = simulated(tmp_path)

    parity = replay_day(tmp_path, made, tmp_path / "log.jsonl")
    assert parity.exit_code == 1
    assert set(parity.causes) == {"stale"}
