import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from marquee import schema
from marquee.data.ingest import IngestReport
from marquee.data.warehouse import Warehouse
from marquee.errors import ContractError, WarehouseError

HEADER = "user,item,type,time,value\n"
USERS = pl.DataFrame({"user_id": ["u1", "u2"], "age": [30, 40]})
Write = Callable[..., Path]
Ingest = Callable[..., IngestReport]


@pytest.fixture
def filled(write: Write, ingest: Ingest, warehouse: Warehouse) -> Warehouse:
    """Two events in each of two months (1970-01 and 1970-02), and two users."""
    ingest(write(HEADER + "u1,i1,like,1,\nu2,i2,rating,2,4\nu1,i2,view,2678400,0.5\nu2,i1,like,2678401,\n"))
    warehouse.write_table(schema.USERS, USERS)
    return warehouse


def parts(warehouse: Warehouse) -> set[str]:
    return {path.relative_to(warehouse.root).as_posix() for path in warehouse.root.rglob("*.parquet")}


def test_written_table_is_read_back_with_its_schema(warehouse: Warehouse):
    part = warehouse.write_table(schema.USERS, USERS.reverse())

    read = warehouse.read_table(schema.USERS)
    assert read.select("user_id", "age").rows() == [("u1", 30), ("u2", 40)]
    assert dict(read.schema) == schema.USERS_SCHEMA
    assert part.rows == 2


def test_table_never_written_is_empty_and_has_its_schema(filled: Warehouse):
    for name, fields in schema.TABLE_SCHEMAS.items():
        assert dict(filled.read_table(name).schema) == fields
    assert filled.read_table(schema.MOVIES).is_empty()


def test_table_written_again_replaces_the_first(filled: Warehouse):
    filled.write_table(schema.USERS, USERS[:1])

    assert filled.read_table(schema.USERS)["user_id"].to_list() == ["u1"]


def test_interactions_are_read_by_time_with_the_columns_asked_for(filled: Warehouse):
    read = filled.read_interactions(columns=["item_id", "interaction_type"])

    assert read.rows() == [("i1", "like"), ("i2", "rating"), ("i2", "view"), ("i1", "like")]
    assert filled.scan_interactions().filter(pl.col("value") > 0.4).collect().height == 2
    assert dict(filled.read_interactions().schema) == schema.INTERACTIONS_SCHEMA


def test_table_that_does_not_conform_changes_nothing(filled: Warehouse):
    before = filled.contents

    with pytest.raises(ContractError):
        filled.write_table(schema.USERS, USERS.with_columns(height=1))

    assert filled.contents == before


@pytest.mark.parametrize("name", ["actors", schema.INTERACTIONS])
def test_table_of_a_name_that_is_not_written_whole_is_refused(warehouse: Warehouse, name: str):
    with pytest.raises(WarehouseError, match=name):
        warehouse.write_table(name, USERS)
    with pytest.raises(WarehouseError, match="actors"):
        warehouse.read_table("actors")


def test_reading_where_no_warehouse_is_says_so(warehouse: Warehouse):
    for read in (warehouse.read_interactions, warehouse.snapshot, lambda: warehouse.read_table(schema.USERS)):
        with pytest.raises(WarehouseError, match="no warehouse"):
            read()
    assert not warehouse.root.exists()


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"version": 2}', '{"tables": {"users": [{"path": 1}]}}', "\0\xff"]
)
def test_damaged_table_of_contents_is_refused_by_name(filled: Warehouse, content: str):
    (filled.root / "warehouse.json").write_text(content)

    with pytest.raises(WarehouseError, match=r"warehouse\.json"):
        filled.read_interactions()
    with pytest.raises(WarehouseError, match=r"warehouse\.json"):
        filled.write_table(schema.USERS, USERS)


def test_missing_or_damaged_part_is_one_error(filled: Warehouse):
    part = filled.root / filled.contents.tables[schema.USERS][0].path
    part.write_bytes(b"PAR1 no longer")
    with pytest.raises(WarehouseError):
        filled.read_table(schema.USERS)

    part.unlink()
    with pytest.raises(WarehouseError, match=part.name):
        filled.read_table(schema.USERS)


def test_second_writer_is_refused_while_the_first_one_writes(filled: Warehouse, ingest: Ingest, write: Write):
    with filled.writing():
        with pytest.raises(WarehouseError, match="another process"):
            Warehouse(filled.root).write_table(schema.USERS, USERS)
        with pytest.raises(WarehouseError, match="another process"):
            ingest(write(HEADER + "u,i,like,9,\n", "more.csv"))
        assert filled.read_interactions().height == 4  # readers go on

    filled.write_table(schema.USERS, USERS[:1])


def test_warehouse_in_a_place_that_is_a_file_is_one_error(tmp_path: Path):
    (tmp_path / "w").write_text("a file")

    with pytest.raises(WarehouseError, match=r"File exists|Not a directory"):
        Warehouse(tmp_path / "w").write_table(schema.USERS, USERS)


def test_leftovers_are_removed_by_the_next_writer_and_strangers_are_not(filled: Warehouse):
    leftover = filled.root / "users" / f"{'0' * 32}.parquet"
    leftover.write_bytes(b"half")
    unfinished = filled.root / "quarantine" / "run.jsonl.part"
    unfinished.parent.mkdir()
    unfinished.write_text("half")
    stranger = filled.root / "users" / "my own.parquet"
    stranger.write_bytes(b"mine")
    kept = parts(filled) - {"users/" + leftover.name}

    filled.write_table(schema.USERS, USERS)

    assert parts(filled) == kept
    assert not unfinished.exists()
    assert stranger.read_bytes() == b"mine"


# --- snapshots ------------------------------------------------------------------------------------


def test_snapshot_reads_what_it_froze_after_everything_changed(
    filled: Warehouse, ingest: Ingest, write: Write
):
    frozen = filled.snapshot()

    filled.write_table(schema.USERS, USERS[:1])
    ingest(write(HEADER + "u9,i9,like,3,\n", "more.csv"))
    filled.write_table(schema.USERS, USERS[1:])  # a third writer, which cleans up after the second

    assert filled.read_interactions(frozen.id).height == 4
    assert filled.read_table(schema.USERS, snapshot=frozen.id[:8])["user_id"].to_list() == ["u1", "u2"]
    assert filled.read_interactions().height == 5
    assert filled.snapshot().id != frozen.id


def test_snapshot_of_the_same_state_is_the_same_snapshot(filled: Warehouse):
    frozen = filled.snapshot()

    assert filled.snapshot() == frozen == filled.open_snapshot(frozen.id)
    assert filled.snapshot_ids() == [frozen.id]
    assert frozen.rows == {schema.INTERACTIONS: 4, schema.USERS: 2}


def test_snapshot_id_does_not_depend_on_how_the_events_came_in(
    filled: Warehouse, ingest: Ingest, write: Write, tmp_path: Path
):
    other = Warehouse(tmp_path / "other")
    other.write_table(schema.USERS, USERS.reverse())
    ingest(write(HEADER + "u2,i1,like,2678401,\nu1,i1,like,1,\n", "a.csv"), into=other)
    ingest(write(HEADER + "u1,i1,like,1,\nu1,i2,view,2678400,0.5\n", "b.csv"), into=other)
    ingest(write(HEADER + "u2,i2,rating,2,4\nu2,i2,rating,2,4\n", "c.csv"), into=other, chunk_records=1)

    assert other.snapshot() == filled.snapshot()


@pytest.mark.parametrize("table", [schema.INTERACTIONS, schema.USERS])
def test_snapshot_with_one_flipped_byte_is_refused_by_the_files_name(filled: Warehouse, table: str):
    frozen = filled.snapshot()
    part = filled.root / frozen.tables[table][0].path
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)

    with pytest.raises(WarehouseError, match=part.name):
        filled.read_table(table, snapshot=frozen.id)


def test_snapshot_with_a_missing_part_is_refused_by_the_files_name(filled: Warehouse):
    frozen = filled.snapshot()
    part = filled.root / frozen.tables[schema.USERS][0].path
    part.unlink()

    with pytest.raises(WarehouseError, match=rf"{part.name} is missing"):
        filled.read_table(schema.USERS, snapshot=frozen)


def test_snapshot_whose_manifest_was_edited_is_refused(filled: Warehouse):
    frozen = filled.snapshot()
    manifest = filled.root / "snapshots" / f"{frozen.id}.json"
    content = json.loads(manifest.read_text())
    content["tables"][schema.USERS][0]["rows"] = 3
    manifest.write_text(json.dumps(content))

    with pytest.raises(WarehouseError, match="changed after it was written"):
        filled.open_snapshot(frozen.id)


def test_snapshot_under_another_ones_id_is_refused(filled: Warehouse):
    frozen = filled.snapshot()
    shutil.copy(
        filled.root / "snapshots" / f"{frozen.id}.json", filled.root / "snapshots" / f"{'0' * 64}.json"
    )

    with pytest.raises(WarehouseError, match=frozen.id[:12]):
        filled.open_snapshot("0" * 64)


def test_damaged_manifest_keeps_all_parts(filled: Warehouse):
    frozen = filled.snapshot()
    (filled.root / "snapshots" / f"{frozen.id}.json").write_text("{")
    before = parts(filled)

    filled.write_table(schema.USERS, USERS[:1])
    filled.write_table(schema.USERS, USERS[1:])

    assert before <= parts(filled)


@pytest.mark.parametrize("wanted", ["", "abc", "0" * 64])
def test_unknown_or_short_snapshot_id_is_refused_with_those_there_are(filled: Warehouse, wanted: str):
    frozen = filled.snapshot()

    with pytest.raises(WarehouseError, match=frozen.id[:12]):
        filled.open_snapshot(wanted)
