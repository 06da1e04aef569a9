from datetime import UTC, datetime

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.adapters.feast_offline.jobs import Request
from marquee.adapters.feast_offline.matching import latest
from marquee.adapters.feast_offline.opening import Opener
from marquee.adapters.feast_offline.pulling import Pull, PullAllJob, PullLatestJob, since_epoch, span_of
from marquee.adapters.feast_offline.table import ParquetTable
from marquee.errors import ContractError
from tests.marquee.adapters.feast_offline.repository import USER_SCHEMA, day, user_row, write

OPENER = Opener(None, s3_connect_timeout_seconds=1, s3_request_timeout_seconds=1)


def pull(path, start=None, end=None, keys=("user_id",)):
    return Pull(
        table=ParquetTable(OPENER.location(path)),
        keys=keys,
        features=("u_a", "u_n"),
        event="event_timestamp",
        created="created",
        span=span_of(start, end),
    )


@pytest.fixture
def path(tmp_path):
    rows = [
        user_row(1, 1.0, 10, event=day(1)),
        user_row(2, 5.0, 50, event=day(2)),
        user_row(1, 2.0, 20, event=day(3), created=day(5)),
        user_row(1, 3.0, 30, event=day(3), created=day(4)),
        user_row(None, 9.0, 90, event=day(3)),
        user_row(2, 6.0, 60, event=day(6)),
    ]
    return write(tmp_path / "users.parquet", rows, USER_SCHEMA)


def numbers(job):
    return job.to_arrow()["u_n"].to_pylist()


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (day(1), day(9), [20, 60]),  # of the tie on day 3 the last created wins
        (day(2), day(3), [50, 20]),  # both ends count
        (day(1), day(2), [10, 50]),
        (day(4), day(5), []),
    ],
)
def test_pull_latest_gives_the_newest_row_of_each_key_within_the_span(path, start, end, expected):
    assert numbers(PullLatestJob(Request(OPENER), pull(path, start, end))) == expected


def test_pull_latest_without_keys_gives_one_row_with_feasts_own_key(path):
    result = PullLatestJob(Request(OPENER), pull(path, keys=())).to_arrow()

    assert result["u_n"].to_pylist() == [60]
    assert result["__dummy_id"].to_pylist() == [""]


@pytest.mark.parametrize("chunk_rows", [1, 2, 100])
@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (None, None, [10, 50, 20, 30, 90, 60]),
        (day(2), day(3), [50, 20, 30, 90]),
        (day(7), None, []),
        (None, day(1), [10]),
    ],
)
def test_pull_all_gives_the_rows_within_the_span_in_stored_order(path, chunk_rows, start, end, expected):
    assert numbers(PullAllJob(Request(OPENER), pull(path, start, end), chunk_rows=chunk_rows)) == expected


def test_pull_times_arrive_as_utc_microseconds(tmp_path):
    naive = datetime(2026, 1, 1, 12)  # noqa: DTZ001  # what it means is what is tested
    rows = pa.table(
        {
            "user_id": [1],
            "u_a": [1.0],
            "u_n": [1],
            "event_timestamp": pa.array([naive], pa.timestamp("ns")),
            "created": pa.array([naive], pa.timestamp("ms")),
        }
    )
    pq.write_table(rows, tmp_path / "a.parquet")

    result = PullAllJob(Request(OPENER), pull(str(tmp_path / "a.parquet")), chunk_rows=9).to_arrow()

    assert result.schema.field("event_timestamp").type == pa.timestamp("us", tz="UTC")
    assert result["created"].to_pylist() == [naive.replace(tzinfo=UTC)]


def test_pull_column_that_is_missing_is_refused_before_anything_is_read(path):
    with pytest.raises(ContractError, match="'u_x'"):
        Pull(
            ParquetTable(OPENER.location(path)), (), ("u_x",), "event_timestamp", None, span_of(None, None)
        ).checked()


def test_since_epoch_naive_moment_means_utc():
    assert since_epoch(datetime(1970, 1, 2)) == 86_400_000_000  # noqa: DTZ001
    assert since_epoch(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1


moment = st.none() | st.integers(0, 3)


@given(st.lists(st.tuples(st.none() | st.integers(0, 2), moment, moment), max_size=12))
def test_latest_is_the_maximum_by_event_created_and_place(rows):
    keys, events, createds = ([row[part] for row in rows] for part in range(3))
    best = {}
    for place, (key, event, created) in enumerate(rows):
        if key is not None and event is not None:
            rank = (event, -1 if created is None else created, place)
            best[key] = max(best.get(key, rank), rank)

    found = latest(
        [pl.Series(keys, dtype=pl.Int64)], *(pl.Series(x, dtype=pl.Int64) for x in (events, createds))
    )

    assert found.tolist() == sorted(rank[2] for rank in best.values())
