"""An ingest that is killed or runs out of disk leaves the warehouse as it was, and the next one succeeds."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from marquee.data.ingest import IngestReport
from marquee.data.mapping import Mapping
from marquee.data.snapshot import Snapshot
from marquee.data.warehouse import Warehouse

Write = Callable[..., Path]
Ingest = Callable[..., IngestReport]

HEADER = "user,item,type,time,value\n"
MONTH = 2_678_400  # seconds of January 1970

CHILD = """
import os, resource, signal, sys
from datetime import UTC, datetime
from marquee.data import ingest, staging, storage, warehouse
from marquee.data.mapping import Mapping
from marquee.errors import MarqueeError

source, root, mapping, point, limit = sys.argv[1:]
calls = 0

def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

def die_after_some_chunks(done, total):
    global calls
    calls += 1
    if point == "reading" and calls == 4:
        die()

def die_around_replacing_the_contents(file, target, install=storage.install):
    if target.name == "warehouse.json" and point == "before replace":
        die()
    install(file, target)
    if target.name == "warehouse.json":
        die()

def die_in_second_month(self, *args, merge=staging.MonthMerger.merge, **kwargs):
    return die() if args[0] == "1970-02" else merge(self, *args, **kwargs)

if point == "merging":
    staging.MonthMerger.merge = die_in_second_month
if point == "before commit":
    warehouse.WarehouseWriter.commit = die
if point in ("before replace", "after commit"):
    storage.install = die_around_replacing_the_contents
if limit != "none":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
try:
    ingest.ingest_interactions(
        [source], Mapping.model_validate_json(mapping), warehouse.Warehouse(root),
        config=ingest.IngestConfig(chunk_records=100, staged_rows=250, max_bad_share=0.5),
        now=datetime(2024, 6, 1, tzinfo=UTC), on_progress=die_after_some_chunks,
    )
except MarqueeError as err:
    print(type(err).__name__, err)
"""


def events(first: int, n: int) -> str:
    """Events of January and February 1970 with text that does not compress away."""
    rows = (
        f"u{i * 7_919 % 100_003},i{i * 104_729 % 100_019},like,{i if i % 2 else MONTH + i},\n"
        for i in range(first, first + n)
    )
    return HEADER + "".join(rows)


def run_child(
    source: Path, into: Warehouse, mapping: Mapping, *, point: str = "none", limit: str = "none"
) -> tuple[int, str]:
    command = [
        sys.executable,
        "-c",
        CHILD,
        str(source),
        str(into.root),
        mapping.model_dump_json(),
        point,
        limit,
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout


@pytest.fixture
def wanted(write: Write, ingest: Ingest, warehouse: Warehouse, tmp_path: Path) -> Snapshot:
    """The snapshot that the two ingests below make undisturbed; the first one is in the warehouse."""
    undisturbed = Warehouse(tmp_path / "undisturbed")
    ingest(write(events(0, 50), "first.csv"))
    ingest(write(events(0, 50), "first.csv"), into=undisturbed)
    ingest(write(events(25, 1_000), "second.csv"), into=undisturbed)
    return undisturbed.snapshot()


@pytest.mark.parametrize("point", ["reading", "merging", "before commit", "before replace", "after commit"])
def test_killed_ingest_leaves_all_or_nothing_and_the_next_one_completes_it(
    point: str, wanted: Snapshot, write: Write, ingest: Ingest, warehouse: Warehouse, mapping: Mapping
):
    before = warehouse.contents
    source = write(events(25, 1_000), "second.csv")

    code, _ = run_child(source, warehouse, mapping, point=point)

    assert code == -9
    committed = point == "after commit"
    assert (warehouse.contents == before) is not committed
    assert warehouse.read_interactions().height == (1_025 if committed else 50)
    report = ingest(source)
    assert len(report.skipped_files) == (1 if committed else 0)
    assert warehouse.snapshot() == wanted
    assert leftovers(warehouse) == []


@pytest.mark.parametrize("limit", [100, 2_000, 6_000])
def test_full_disk_is_one_error_and_the_next_ingest_completes_it(
    limit: int, wanted: Snapshot, write: Write, ingest: Ingest, warehouse: Warehouse, mapping: Mapping
):
    before = warehouse.contents
    source = write(events(25, 1_000), "second.csv")

    code, output = run_child(source, warehouse, mapping, limit=str(limit))

    assert code == 0
    assert output.startswith("WarehouseError")
    assert output.count("\n") == 1
    assert str(warehouse.root) in output
    assert warehouse.contents == before
    assert leftovers(warehouse) == []
    assert ingest(source).new == 975
    assert warehouse.snapshot() == wanted


def test_full_disk_while_the_quarantine_is_written_is_one_error(
    write: Write, warehouse: Warehouse, mapping: Mapping
):
    source = write(events(0, 1_000) + "".join(f"u,i,like,{'x' * 500},\n" for _ in range(900)))

    code, output = run_child(source, warehouse, mapping, limit="100000")

    assert (code, output.split()[0]) == (0, "WarehouseError")
    assert leftovers(warehouse) == []
    assert not (warehouse.root / "warehouse.json").exists()


def test_full_disk_while_the_contents_are_written_is_one_error(
    wanted: Snapshot, write: Write, warehouse: Warehouse, mapping: Mapping
):
    before = warehouse.contents

    code, output = run_child(write(HEADER, "none.csv"), warehouse, mapping, limit="200")

    assert (code, output.split()[0]) == (0, "WarehouseError")
    assert warehouse.contents == before
    assert leftovers(warehouse) == []


def leftovers(warehouse: Warehouse) -> list[str]:
    """Files that neither the contents nor a snapshot name."""
    named = (
        {part.path for parts in warehouse.contents.tables.values() for part in parts}
        if (warehouse.root / "warehouse.json").exists()
        else set()
    )
    for id_ in warehouse.snapshot_ids():
        named |= {part.path for parts in warehouse.open_snapshot(id_).tables.values() for part in parts}
    found = {
        path.relative_to(warehouse.root).as_posix() for path in warehouse.root.rglob("*") if path.is_file()
    }
    expected = (
        named | {".lock", "warehouse.json"} | {f"snapshots/{id_}.json" for id_ in warehouse.snapshot_ids()}
    )
    return sorted(found - expected)
