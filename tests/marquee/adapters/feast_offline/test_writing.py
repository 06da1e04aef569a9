import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from marquee.adapters.feast_offline.opening import Opener
from marquee.adapters.feast_offline.table import ParquetTable
from marquee.adapters.feast_offline.writing import add_files, append
from marquee.errors import ConfigError, ContractError, SourceError


def table(folder, address):
    return ParquetTable(
        Opener(folder, s3_connect_timeout_seconds=1, s3_request_timeout_seconds=1).location(address)
    )


def visible(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


OLD = pa.table({"key": [1, 2], "value": ["a", "b"]})
NEW = pa.table({"key": [3], "value": ["c"]})


def test_append_to_a_file_puts_new_rows_behind(tmp_path):
    pq.write_table(OLD, tmp_path / "a.parquet")

    append(table(tmp_path, "a.parquet"), NEW, mapping={})

    assert pq.read_table(tmp_path / "a.parquet").to_pydict() == {"key": [1, 2, 3], "value": ["a", "b", "c"]}
    assert visible(tmp_path) == ["a.parquet"]


def test_append_to_a_folder_adds_a_file_that_is_read_last(tmp_path):
    (tmp_path / "f").mkdir()
    pq.write_table(OLD, tmp_path / "f/old.parquet")

    append(table(tmp_path, "f"), NEW, mapping={})
    append(table(tmp_path, "f"), NEW.set_column(0, "key", [[4]]), mapping={})

    assert len(visible(tmp_path / "f")) == 3
    assert table(tmp_path, "f").dataset.to_table()["key"].to_pylist() == [1, 2, 3, 4]


def test_append_to_named_folders_puts_each_row_into_its_folder(tmp_path):
    (tmp_path / "f/day=1").mkdir(parents=True)
    pq.write_table(OLD, tmp_path / "f/day=1/old.parquet")
    rows = pa.table({"key": [3, 4], "value": ["c", "d"], "day": [2, 1]})

    append(table(tmp_path, "f"), rows, mapping={})

    result = ds.dataset(tmp_path / "f", partitioning="hive").to_table().sort_by("key")
    assert result["key"].to_pylist() == [1, 2, 3, 4]
    assert result["day"].to_pylist() == [1, 1, 2, 1]
    assert not [name for name in visible(tmp_path) if "incoming" in name]


def test_append_columns_in_another_order_and_width_are_fitted(tmp_path):
    pq.write_table(OLD, tmp_path / "a.parquet")

    append(
        table(tmp_path, "a.parquet"), pa.table({"value": ["c"], "key": pa.array([3], pa.int32())}), mapping={}
    )

    assert pq.read_table(tmp_path / "a.parquet").schema.field("key").type == pa.int64()


def test_append_mapped_names_are_written_under_the_stored_ones(tmp_path):
    pq.write_table(OLD, tmp_path / "a.parquet")

    append(table(tmp_path, "a.parquet"), NEW.rename_columns(["user_id", "value"]), mapping={"key": "user_id"})

    assert pq.read_table(tmp_path / "a.parquet")["key"].to_pylist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (pa.table({"key": [3]}), "has key, value"),
        (pa.table({"key": [3], "value": ["c"], "more": [1]}), "more"),
        (pa.table({"key": ["three"], "value": ["c"]}), "do not fit"),
        (pa.table({"key": [3.5], "value": ["c"]}), "do not fit"),
    ],
)
def test_append_rows_that_do_not_fit_are_refused_and_nothing_changes(tmp_path, rows, problem):
    pq.write_table(OLD, tmp_path / "a.parquet")

    with pytest.raises(ContractError, match=problem):
        append(table(tmp_path, "a.parquet"), rows, mapping={})

    assert pq.read_table(tmp_path / "a.parquet").equals(OLD)
    assert visible(tmp_path) == ["a.parquet"]


def test_append_to_a_glob_is_refused(tmp_path):
    pq.write_table(OLD, tmp_path / "a.parquet")

    with pytest.raises(ConfigError, match="pattern"):
        append(table(tmp_path, "*.parquet"), NEW, mapping={})


def test_append_to_nothing_is_refused(tmp_path):
    with pytest.raises(SourceError, match="holds no file"):
        append(table(tmp_path, "gone.parquet"), NEW, mapping={})


def test_add_files_cuts_nanoseconds_to_microseconds(tmp_path):
    rows = pa.table({"t": pa.array([1_999], pa.timestamp("ns"))})

    add_files(table(tmp_path, "log").location, rows)

    (name,) = visible(tmp_path)
    assert pq.read_schema(tmp_path / name).field("t").type == pa.timestamp("us")
    assert pq.read_table(tmp_path / name)["t"].cast(pa.int64()).to_pylist() == [1]
