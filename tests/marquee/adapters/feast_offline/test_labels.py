from datetime import UTC, datetime

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from feast.errors import EntityTimestampInferenceException

from marquee.adapters.feast_offline.labels import LabelFrame, arrow_labels
from marquee.errors import ContractError

LIMITS = {"memory_limit": "1GB", "temp_directory": None}
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def frame(source):
    return LabelFrame.of(arrow_labels(source, **LIMITS))


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-01T12:00:00",
        "2026-01-01 12:00",
        "2026-01-01T12:00:00Z",
        "2026-01-01T14:00:00+02:00",
        NOON,
        NOON.replace(tzinfo=None),
        pd.Timestamp("2026-01-01 07:00", tz="America/New_York"),
    ],
)
def test_labels_time_in_any_form_is_utc(time):
    result = frame(pd.DataFrame({"user_id": [1], "event_timestamp": [time]}))

    assert result.table["event_timestamp"].to_pylist() == [NOON]


def test_labels_naive_and_aware_strings_in_one_column_are_each_understood():
    times = ["2026-01-01T12:00:00", "2026-01-01T14:00:00+02:00"]

    result = frame(pd.DataFrame({"event_timestamp": times}))

    assert result.table["event_timestamp"].to_pylist() == [NOON, NOON]


@pytest.mark.parametrize("source", ["SELECT '2026-01-01T12:00:00' AS event_timestamp"])
def test_labels_strings_from_sql_are_understood(source):
    assert frame(source).table["event_timestamp"].to_pylist() == [NOON]


@pytest.mark.parametrize("kind", ["pandas", "polars", "arrow", "sql"])
def test_labels_of_any_kind_are_the_same_table(kind):
    table = pa.table(
        {"user_id": [3, 1, 2], "event_timestamp": pa.array([NOON] * 3, pa.timestamp("us", tz="UTC"))}
    )
    query = (
        "SELECT * FROM (VALUES (3::BIGINT, TIMESTAMP '2026-01-01 12:00'), (1, '2026-01-01 12:00'),"
        " (2, '2026-01-01 12:00')) AS t(user_id, event_timestamp)"
    )
    sources = {"pandas": table.to_pandas(), "polars": pl.from_arrow(table), "arrow": table, "sql": query}

    assert frame(sources[kind]).table.equals(table)


def test_labels_own_time_column_is_found_where_it_is_the_only_one():
    result = frame(pd.DataFrame({"user_id": [1], "asked at": [NOON]}))

    assert result.time == "asked at"


def test_labels_two_timestamps_none_of_them_named_is_refused():
    with pytest.raises(EntityTimestampInferenceException, match="event_timestamp"):
        frame(pd.DataFrame({"a": [NOON], "b": [NOON]}))


@pytest.mark.parametrize("missing", [None, pd.NaT])
def test_labels_row_without_time_is_refused(missing):
    with pytest.raises(ContractError, match="1 rows of the label frame have no 'event_timestamp'"):
        frame(pd.DataFrame({"event_timestamp": [NOON, missing]}))


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("SELECT * FROM nowhere", "nowhere"),
        ("not SQL", "label query failed"),
        ("", "is empty"),
        ("COPY (SELECT 1) TO 's3://bucket/a.parquet'", "label query failed"),
        (pd.DataFrame({"event_timestamp": ["soon"]}), "is not a time"),
        (pd.DataFrame({"event_timestamp": [5]}), "is of type int64"),
        (pd.DataFrame({"event_timestamp": [NOON], "mixed": [{"a": 1}]}).assign(mixed=[[1, "a"]]), "no table"),
        (pd.DataFrame([[NOON, NOON]], columns=["event_timestamp"] * 2), "Duplicate|two columns|no table"),
        ([1], "is a list"),
    ],
)
def test_labels_that_cannot_be_used_are_refused_in_one_sentence(source, problem):
    with pytest.raises(ContractError, match=problem):
        frame(source)


def test_labels_bounds_of_an_empty_frame_are_nothing():
    empty = frame(pd.DataFrame({"event_timestamp": pd.to_datetime([], utc=True)}))

    assert empty.bounds() == (None, None)


def test_labels_caller_columns_keep_their_names_values_and_order():
    source = pd.DataFrame({"z": ["x", None], "event_timestamp": [NOON, NOON], 7: [1, 2], "a": [True, None]})

    result = frame(source).table

    assert result.column_names == ["z", "event_timestamp", "7", "a"]
    assert result["a"].to_pylist() == [True, None]


def test_labels_callers_frame_is_not_changed():
    source = pd.DataFrame({"event_timestamp": ["2026-01-01"]})

    frame(source)

    assert source["event_timestamp"].tolist() == ["2026-01-01"]
