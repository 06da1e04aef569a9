import errno
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from marquee import schema
from marquee.data.datasets.fetch import DatasetConfig
from marquee.data.datasets.prepare import prepare_dataset
from marquee.data.export import export_snapshot
from marquee.data.snapshot import Snapshot, paths_of
from marquee.data.warehouse import Warehouse
from marquee.errors import WarehouseError
from tests.small_run import write_dataset

NOW = datetime(2024, 6, 1, tzinfo=UTC)


@pytest.fixture
def filled(tmp_path: Path) -> tuple[Warehouse, Snapshot]:
    """A warehouse with the small data set, and its snapshot."""
    warehouse = Warehouse(tmp_path / "warehouse")
    prepared = prepare_dataset(
        "folder",
        warehouse=warehouse,
        cache=tmp_path / "cache",
        now=NOW,
        source=str(write_dataset(tmp_path / "source")),
        config=DatasetConfig(),
    )
    return warehouse, prepared.snapshot


def test_exported_snapshot_is_a_warehouse_with_the_same_content(
    filled: tuple[Warehouse, Snapshot], tmp_path: Path
):
    warehouse, snapshot = filled

    made = export_snapshot(warehouse, snapshot, tmp_path / "out")

    again = made.open_snapshot(snapshot.id)
    assert again == snapshot
    assert_frame_equal(
        made.scan_interactions(again).collect(), warehouse.scan_interactions(snapshot).collect()
    )
    for table in (schema.USERS, schema.MOVIES):
        assert_frame_equal(
            made.read_table(table, snapshot=again), warehouse.read_table(table, snapshot=snapshot)
        )


def test_exported_snapshot_holds_its_parts_only(filled: tuple[Warehouse, Snapshot], tmp_path: Path):
    warehouse, snapshot = filled

    export_snapshot(warehouse, snapshot, tmp_path / "out")

    parts = {path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*.parquet")}
    assert parts == {Path(path) for path in paths_of(snapshot)}


def test_exported_parts_are_links_and_outlive_the_warehouse(
    filled: tuple[Warehouse, Snapshot], tmp_path: Path
):
    warehouse, snapshot = filled
    part = next(iter(paths_of(snapshot)))

    made = export_snapshot(warehouse, snapshot, tmp_path / "out")

    assert (tmp_path / "out" / part).samefile(warehouse.root / part)
    warehouse.root.rename(tmp_path / "elsewhere")
    assert made.scan_interactions(made.open_snapshot(snapshot.id)).collect().height == 2_250


def test_export_to_another_disk_copies(
    filled: tuple[Warehouse, Snapshot], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    warehouse, snapshot = filled
    part = next(iter(paths_of(snapshot)))

    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    export_snapshot(warehouse, snapshot, tmp_path / "out")

    assert not (tmp_path / "out" / part).samefile(warehouse.root / part)
    assert (tmp_path / "out" / part).read_bytes() == (warehouse.root / part).read_bytes()


def test_export_of_a_snapshot_whose_part_is_gone_says_so(filled: tuple[Warehouse, Snapshot], tmp_path: Path):
    warehouse, snapshot = filled
    (warehouse.root / next(iter(paths_of(snapshot)))).unlink()

    with pytest.raises(WarehouseError):
        export_snapshot(warehouse, snapshot, tmp_path / "out")


def test_export_where_a_file_is_in_the_way_says_so(filled: tuple[Warehouse, Snapshot], tmp_path: Path):
    warehouse, snapshot = filled
    (tmp_path / "out").write_text("a file", encoding="utf-8")

    with pytest.raises(WarehouseError):
        export_snapshot(warehouse, snapshot, tmp_path / "out")
