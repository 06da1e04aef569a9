from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from marquee.adapters.feast_offline.opening import Opener
from marquee.adapters.feast_offline.pulling import since_epoch
from marquee.adapters.feast_offline.table import ParquetTable, Span
from marquee.errors import ContractError, SourceError

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
OPEN = Span()


def table(folder, address):
    opener = Opener(folder, s3_connect_timeout_seconds=1, s3_request_timeout_seconds=1)
    return ParquetTable(opener.location(address))


def write(path, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    times = pa.array([NOON] * len(next(iter(columns.values()))), pa.timestamp("us", tz="UTC"))
    pq.write_table(pa.table({**columns, "t": times}), path)


def test_table_folder_is_read_in_the_order_of_its_files(tmp_path):
    write(tmp_path / "f/b.parquet", a=[3])
    write(tmp_path / "f/a.parquet", a=[1, 2])

    assert table(tmp_path, "f").read(["a"], time="t", span=OPEN).column(0).to_pylist() == [1, 2, 3]


def test_table_names_of_folders_are_columns(tmp_path):
    write(tmp_path / "f/day=2026-01-02/kind=x/a.parquet", a=[1])
    write(tmp_path / "f/day=2026-01-01/kind=y/a.parquet", a=[2])

    result = table(tmp_path, "f")

    assert result.folder_columns == ["day", "kind"]
    assert result.read(["day", "kind", "a"], time="t", span=OPEN).to_pydict() == {
        "0": ["2026-01-01", "2026-01-02"],
        "1": ["y", "x"],
        "2": [2, 1],
    }


def test_table_folder_above_that_looks_like_a_partition_is_none(tmp_path):
    write(tmp_path / "run=7/f/a.parquet", a=[1])

    assert table(tmp_path, "run=7/f/*.parquet").schema.names == ["a", "t"]
    assert table(tmp_path, "run=7/f/a.parquet").schema.names == ["a", "t"]


def test_table_column_that_older_files_lack_is_null_there(tmp_path):
    write(tmp_path / "f/a.parquet", a=[1])
    write(tmp_path / "f/b.parquet", a=[2], new=["x"])

    assert table(tmp_path, "f").read(["new"], time="t", span=OPEN).column(0).to_pylist() == [None, "x"]


@pytest.mark.parametrize("name", ["with space", 'with "quotes"', "it's", "a.b", "0", "^x$", "*", "ä", "row"])
def test_table_column_of_any_name_is_read(tmp_path, name):
    write(tmp_path / "a.parquet", **{name: [5]})

    assert table(tmp_path, "a.parquet").read([name, "t"], time="t", span=OPEN).column(0).to_pylist() == [5]


@pytest.mark.parametrize("name", ["it's", 'say "x"', "with space", "50%", "a;b"])
def test_table_file_of_any_name_is_read(tmp_path, name):
    write(tmp_path / name / "a.parquet", a=[1])

    assert table(tmp_path, name).read(["a"], time="t", span=OPEN).num_rows == 1
    assert table(tmp_path, f"{name}/a.parquet").read(["a"], time="t", span=OPEN).num_rows == 1


@pytest.mark.parametrize(
    "kind",
    [
        pa.timestamp("s"),
        pa.timestamp("ms"),
        pa.timestamp("us"),
        pa.timestamp("ns"),
        pa.timestamp("us", tz="UTC"),
    ],
)
def test_table_span_keeps_both_of_its_ends(tmp_path, kind):
    moments = [NOON + timedelta(hours=hour) for hour in range(5)]
    naive = moments if kind.tz else [moment.replace(tzinfo=None) for moment in moments]
    pq.write_table(pa.table({"t": pa.array(naive, kind), "a": range(5)}), tmp_path / "a.parquet")

    span = Span(since_epoch(moments[1]), since_epoch(moments[3]))
    result = table(tmp_path, "a.parquet").read(["a"], time="t", span=span)

    assert result.column(0).to_pylist() == [1, 2, 3]


def test_table_span_of_dates_keeps_the_days_that_it_touches(tmp_path):
    days = [date(2026, 1, day) for day in range(1, 6)]
    pq.write_table(pa.table({"t": days, "a": range(5)}), tmp_path / "a.parquet")

    span = Span(
        since_epoch(datetime(2026, 1, 2, tzinfo=UTC)), since_epoch(datetime(2026, 1, 3, 12, tzinfo=UTC))
    )
    result = table(tmp_path, "a.parquet").read(["a"], time="t", span=span)

    assert result.column(0).to_pylist() == [1, 2]


def test_table_span_beyond_what_the_column_can_hold_is_open(tmp_path):
    pq.write_table(
        pa.table({"t": pa.array([NOON.replace(tzinfo=None)], pa.timestamp("ns")), "a": [1]}),
        tmp_path / "a.parquet",
    )

    span = Span(-(2**60), since_epoch(datetime(9999, 12, 31, tzinfo=UTC)))

    assert table(tmp_path, "a.parquet").read(["a"], time="t", span=span).num_rows == 1


def test_table_missing_is_one_error(tmp_path):
    with pytest.raises(SourceError, match=r"gone\.parquet holds no file"):
        _ = table(tmp_path, "gone.parquet").schema


def test_table_that_is_no_parquet_is_one_error(tmp_path):
    (tmp_path / "a.parquet").write_text("a,b\n1,2\n")

    with pytest.raises(SourceError, match=r"a\.parquet can't be read"):
        _ = table(tmp_path, "a.parquet").schema


def test_table_torn_file_is_one_error(tmp_path):
    write(tmp_path / "a.parquet", a=list(range(10_000)))
    whole = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(whole[:100] + b"\0" * 2000 + whole[2100:])

    with pytest.raises(SourceError, match=r"a\.parquet can't be read"):
        table(tmp_path, "a.parquet").read(["a"], time="t", span=OPEN)


def test_table_column_that_is_missing_is_named_with_those_that_are_there(tmp_path):
    write(tmp_path / "a.parquet", a=[1])

    with pytest.raises(ContractError, match=r"no single column 'b', which view 'v' names \(it has a, t\)"):
        table(tmp_path, "a.parquet").require(["a", "b"], asked_by="view 'v'")


def test_table_files_whose_types_do_not_fit_are_one_error(tmp_path):
    write(tmp_path / "f/a.parquet", a=[1])
    write(tmp_path / "f/b.parquet", a=["x"])

    with pytest.raises(SourceError, match="f can't be read"):
        table(tmp_path, "f").read(["a"], time="t", span=OPEN)
