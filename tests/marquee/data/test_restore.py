from pathlib import Path

import pytest

from marquee import schema
from marquee.data.export import export_snapshot
from marquee.data.restore import only_snapshot, restore_snapshot
from marquee.data.tables import conform
from marquee.data.warehouse import Warehouse
from marquee.errors import WarehouseError
from tests.factories import movie_table


def movies(*titles: str):
    known = {schema.ITEM_ID: [str(number) for number in range(len(titles))], schema.TITLE: list(titles)}
    return movie_table(known)


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """The folder of a snapshot with one table of two movies."""
    warehouse = Warehouse(tmp_path / "theirs")
    warehouse.write_table(schema.MOVIES, movies("Alien", "Brazil"))
    export_snapshot(warehouse, warehouse.snapshot(), tmp_path / "exported")
    return tmp_path / "exported"


def test_snapshot_restored_into_an_empty_warehouse_is_what_it_holds(exported: Path, tmp_path: Path):
    warehouse = Warehouse(tmp_path / "ours")

    restored = restore_snapshot(exported, warehouse)

    assert restored.is_present
    assert warehouse.snapshot() == restored.snapshot == only_snapshot(exported)
    assert warehouse.read_table(schema.MOVIES).equals(conform(schema.MOVIES, movies("Alien", "Brazil")))


def test_snapshot_restored_beside_other_data_leaves_them(exported: Path, tmp_path: Path):
    warehouse = Warehouse(tmp_path / "ours")
    warehouse.write_table(schema.MOVIES, movies("Casablanca"))
    before = warehouse.contents

    restored = restore_snapshot(exported, warehouse)
    warehouse.snapshot()  # the next writer removes what no snapshot names

    assert not restored.is_present
    assert warehouse.contents == before
    assert warehouse.read_table(schema.MOVIES)[schema.TITLE].to_list() == ["Casablanca"]
    theirs = warehouse.read_table(schema.MOVIES, snapshot=restored.snapshot.id)
    assert theirs[schema.TITLE].to_list() == ["Alien", "Brazil"]


def test_snapshot_restored_again_writes_no_part(exported: Path, tmp_path: Path):
    warehouse = Warehouse(tmp_path / "ours")
    restore_snapshot(exported, warehouse)
    before = {path: path.stat().st_mtime_ns for path in warehouse.root.rglob("*.parquet")}

    assert restore_snapshot(exported, warehouse).is_present

    assert {path: path.stat().st_mtime_ns for path in warehouse.root.rglob("*.parquet")} == before


def test_restored_part_is_no_second_name_of_the_folders(exported: Path, tmp_path: Path):
    warehouse = Warehouse(tmp_path / "ours")
    restored = restore_snapshot(exported, warehouse)

    next(exported.glob("movies/*.parquet")).write_bytes(b"overwritten")

    assert len(warehouse.read_table(schema.MOVIES, snapshot=restored.snapshot)) == 2


@pytest.mark.parametrize("content", [b"PAR1", None])
def test_damaged_folder_is_refused_and_nothing_is_restored(
    exported: Path, tmp_path: Path, content: bytes | None
):
    part = next(exported.glob("movies/*.parquet"))
    part.unlink()
    if content is not None:
        part.write_bytes(content)

    with pytest.raises(WarehouseError, match=r"its content was changed|No such file"):
        restore_snapshot(exported, Warehouse(tmp_path / "ours"))

    assert not (tmp_path / "ours").exists()


def test_folder_of_no_snapshot_is_refused(tmp_path: Path):
    with pytest.raises(WarehouseError, match="holds 0 snapshots"):
        only_snapshot(tmp_path)
