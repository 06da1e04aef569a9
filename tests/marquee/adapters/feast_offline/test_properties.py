"""The join against a brute force that filters and sorts the whole history for every label."""

import tempfile
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marquee.adapters.feast_offline.historical import HistoricalJob
from marquee.adapters.feast_offline.jobs import Request
from marquee.adapters.feast_offline.labels import LabelFrame
from marquee.adapters.feast_offline.opening import Opener
from marquee.adapters.feast_offline.table import ParquetTable
from marquee.adapters.feast_offline.views import ViewRequest

OPENER = Opener(None, s3_connect_timeout_seconds=1, s3_request_timeout_seconds=1)
TIME = pa.timestamp("us", tz="UTC")

# Few keys and few moments, so that ties, expiry edges and late rows happen all the time.
moments = st.integers(0, 8)
rows = st.lists(
    st.fixed_dictionaries(
        {
            "user": st.none() | st.sampled_from(["a", "b"]),
            "device": st.none() | st.integers(1, 2),
            "event": moments,
            "created": st.none() | moments,
            "value": st.none() | st.integers(0, 99),
        }
    ),
    max_size=12,
)
label_rows = st.lists(
    st.fixed_dictionaries(
        {
            "user": st.none() | st.sampled_from(["a", "b", "unknown"]),
            "device": st.none() | st.integers(1, 3),
            "event_timestamp": moments,
        }
    ),
    max_size=10,
)
key_sets = st.sampled_from([(), ("user",), ("device",), ("user", "device")])
ttls = st.integers(0, 4)
examples = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def brute_force(history, label, *, keys, ttl_us, known_at):
    """The value that a label gets: filter, sort, take the last."""
    if any(label[key] is None for key in keys):
        return None
    now = label["event_timestamp"]
    counts = [
        (row["event"], -1 if row["created"] is None else row["created"], place, row["value"])
        for place, row in enumerate(history)
        if all(row[key] == label[key] for key in keys)
        and row["event"] <= now
        and not (known_at and row["created"] is not None and row["created"] > now)
    ]
    if not counts:
        return None
    event, _, _, value = max(counts)
    return None if ttl_us and event < now - ttl_us else value


def arrow(rows, names):
    kinds = {"user": pa.string(), "device": pa.int64(), "value": pa.int64()}
    schema = pa.schema([(name, kinds.get(name, TIME)) for name in names])
    return pa.Table.from_pylist([{name: row[name] for name in names} for row in rows], schema=schema)


def view(folder, history, *, keys, ttl_us, name="value"):
    path = Path(folder) / f"{name}.parquet"
    table = arrow(history, ["user", "device", "event", "created", "value"])
    pq.write_table(table.rename_columns([*table.column_names[:-1], name]), path)
    return ViewRequest(
        name=name,
        table=ParquetTable(OPENER.location(str(path))),
        keys=keys,
        label_keys=keys,
        event="event",
        created="created",
        features=(name,),
        outputs=(name,),
        ttl_us=ttl_us,
    )


def labelled(asked):
    table = arrow(asked, ["user", "device", "event_timestamp"])
    return LabelFrame.of(table.append_column("label", pa.array(range(len(asked)), pa.int64())))


def joined(asked, views, *, known_at, chunk_rows=3):
    job = HistoricalJob(
        Request(OPENER), labelled(asked), views=views, known_at=known_at, chunk_rows=chunk_rows
    )
    return job.to_arrow()


@examples
@given(rows, label_rows, key_sets, ttls, st.booleans())
def test_join_any_history_gives_what_filtering_and_sorting_gives(history, asked, keys, ttl_us, known_at):
    with tempfile.TemporaryDirectory() as folder:
        result = joined(asked, [view(folder, history, keys=keys, ttl_us=ttl_us)], known_at=known_at)

    assert result["label"].to_pylist() == list(range(len(asked)))
    assert result.drop_columns(["value", "label"]).equals(arrow(asked, ["user", "device", "event_timestamp"]))
    assert result["value"].to_pylist() == [
        brute_force(history, label, keys=keys, ttl_us=ttl_us, known_at=known_at) for label in asked
    ]


@examples
@given(rows, rows, label_rows, key_sets, ttls, st.booleans())
def test_join_future_rows_moved_change_nothing(history, noise, asked, keys, ttl_us, known_at):
    last = max((label["event_timestamp"] for label in asked), default=0)
    past = [row for row in history if row["event"] <= last]
    future = [row | {"event": last + 1 + row["event"]} for row in noise]
    with tempfile.TemporaryDirectory() as folder:
        before = joined(asked, [view(folder, past, keys=keys, ttl_us=ttl_us)], known_at=known_at)
        after = joined(asked, [view(folder, future + past, keys=keys, ttl_us=ttl_us)], known_at=known_at)

    assert after.equals(before)


@examples
@given(rows, rows, label_rows, key_sets, ttls)
def test_join_rows_created_later_change_nothing_where_only_the_known_counts(
    history, noise, asked, keys, ttl_us
):
    last = max((label["event_timestamp"] for label in asked), default=0)
    late = [row | {"created": last + 1} for row in noise]
    with tempfile.TemporaryDirectory() as folder:
        before = joined(asked, [view(folder, history, keys=keys, ttl_us=ttl_us)], known_at=True)
        after = joined(asked, [view(folder, late + history, keys=keys, ttl_us=ttl_us)], known_at=True)

    assert after.equals(before)


@examples
@given(rows, rows, label_rows, ttls, st.booleans())
def test_join_order_of_views_is_irrelevant(users, devices, asked, ttl_us, known_at):
    with tempfile.TemporaryDirectory() as folder:
        one = view(folder, users, keys=("user",), ttl_us=ttl_us, name="u")
        two = view(folder, devices, keys=("device",), ttl_us=0, name="d")
        forwards = joined(asked, [one, two], known_at=known_at)
        backwards = joined(asked, [two, one], known_at=known_at)

    assert backwards.select(forwards.column_names).equals(forwards)


@examples
@given(label_rows.flatmap(st.permutations), rows, ttls)
def test_join_each_label_is_independent_of_the_others(asked, history, ttl_us):
    with tempfile.TemporaryDirectory() as folder:
        stored = view(folder, history, keys=("user",), ttl_us=ttl_us)
        together = joined(asked, [stored], known_at=False)["value"].to_pylist()
        alone = [joined([label], [stored], known_at=False)["value"][0].as_py() for label in asked]

    assert together == alone


def many_labels(n):
    """Labels in no order of time, more than a chunk and more than a row group."""
    number = pl.Series(range(n), dtype=pl.Int64)
    return pl.DataFrame(
        {
            "user": pl.select(pl.when(number % 2 == 0).then(pl.lit("a")).otherwise(pl.lit("b"))).to_series(),
            "event_timestamp": (number * 7919 % 1000).cast(pl.Datetime("us", "UTC")),
            "label": number,
        }
    )


def assert_order_and_values(folder, n, chunk_rows):
    history = [
        {"user": u, "device": 1, "event": t, "created": t, "value": t} for t in range(1000) for u in "ab"
    ]
    stored = view(folder, history, keys=("user",), ttl_us=0)
    frame = LabelFrame.of(many_labels(n).to_arrow(compat_level=pl.CompatLevel.oldest()))
    job = HistoricalJob(Request(OPENER), frame, views=[stored], known_at=False, chunk_rows=chunk_rows)
    written = job.to_parquet_stream(Path(folder) / "out.parquet")
    result = pl.from_arrow(job.to_arrow())
    assert written == n
    assert result["label"].to_list() == list(range(n))
    assert (result["value"] == result["event_timestamp"].to_physical()).all()
    assert pl.read_parquet(Path(folder) / "out.parquet").equals(result)


def test_join_more_labels_than_a_chunk_keeps_all_in_order(tmp_path):
    assert_order_and_values(tmp_path, 300_000, chunk_rows=70_000)


@pytest.mark.slow
def test_join_millions_of_labels_keeps_all_in_order(tmp_path):
    assert_order_and_values(tmp_path, 2_500_000, chunk_rows=1_000_000)
