"""Whatever happens on the disk, a server goes on with a whole matrix."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from marquee.errors import FeatureStoreError
from marquee.features.item_matrix import ItemMatrix, ItemMatrixFolder, ItemMatrixHolder, export_item_matrix
from marquee.features.item_matrix.folder import CURRENT, ITEMS, MANIFEST, MATRIX
from tests.marquee.features.item_tables import AS_OF, NOW, item_table, numbered


def export(root: Path, hour: int) -> ItemMatrix:
    """A version whose every value is its hour."""
    rows = item_table(numbered(20), value=hour)
    return export_item_matrix(rows, root, as_of=AS_OF + timedelta(hours=hour), now=NOW)


def hour_of(matrix: ItemMatrix) -> float:
    return (matrix.as_of_us - AS_OF.timestamp() * 1_000_000) / 3_600_000_000


def place(root: Path, name: str) -> Path:
    """A file of the current version, or the pointer to it."""
    if name == CURRENT:
        return root / CURRENT
    return root / (root / CURRENT).read_text() / name


def flipped(where: float) -> Callable[[Path], None]:
    def flip(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[int(where * (len(content) - 1))] ^= 1
        path.write_bytes(content)

    return flip


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


FILES = [MATRIX, ITEMS, MANIFEST, CURRENT]
FAULTS = [flipped(0), flipped(0.5), flipped(1), torn, Path.unlink]
FAULT_NAMES = ["first byte", "middle byte", "last byte", "torn", "missing"]


def test_holder_takes_the_newer_version_and_readers_of_the_old_keep_theirs(tmp_path: Path):
    export(tmp_path, 0)
    holder = ItemMatrixHolder(tmp_path)
    held = holder.current
    export(tmp_path, 1)

    assert holder.current is held
    assert [holder.refresh(), holder.refresh()] == [True, False]

    assert (hour_of(holder.current), holder.current.matrix.max()) == (1, 1)
    assert (hour_of(held), held.matrix.max()) == (0, 0)
    assert (holder.failed_refreshes, holder.last_failure) == (0, None)
    assert holder.age_seconds(NOW) == 23 * 3600


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("fault", FAULTS, ids=FAULT_NAMES)
def test_holder_serves_the_old_version_while_the_new_one_is_damaged(tmp_path: Path, file: str, fault):
    export(tmp_path, 0)
    holder = ItemMatrixHolder(tmp_path)
    export(tmp_path, 1)
    path = place(tmp_path, file)
    whole = path.read_bytes()
    fault(path)

    assert [holder.refresh(), holder.refresh()] == [False, False]

    assert hour_of(holder.current) == 0
    assert holder.current.matrix.max() == 0
    assert holder.failed_refreshes == 2
    assert holder.last_failure is not None
    path.write_bytes(whole)
    assert holder.refresh()
    assert (hour_of(holder.current), holder.failed_refreshes, holder.last_failure) == (1, 2, None)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("fault", FAULTS, ids=FAULT_NAMES)
def test_holder_does_not_start_with_a_damaged_version_and_names_the_file(tmp_path: Path, file: str, fault):
    export(tmp_path, 0)
    path = place(tmp_path, file)
    fault(path)

    with pytest.raises(FeatureStoreError) as refusal:
        ItemMatrixHolder(tmp_path)

    assert str(tmp_path if file == CURRENT else path) in refusal.value.problem
    assert "marquee features export" in refusal.value.remedy


def test_version_under_the_name_of_another_is_refused(tmp_path: Path):
    first, second = (export(tmp_path, hour).version for hour in (0, 1))
    shutil.rmtree(tmp_path / second)
    (tmp_path / first).rename(tmp_path / second)

    with pytest.raises(FeatureStoreError, match="seal or version does not fit"):
        ItemMatrixHolder(tmp_path)


def test_pointer_out_of_the_folder_is_refused(tmp_path: Path):
    made = export(tmp_path / "other", 0)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / CURRENT).write_text(f"../other/{made.version}")

    with pytest.raises(FeatureStoreError, match="names no version"):
        ItemMatrixHolder(tmp_path / "own")


def test_holder_with_nothing_exported_is_one_clear_error(tmp_path: Path):
    with pytest.raises(FeatureStoreError, match="there is no item matrix"):
        ItemMatrixHolder(tmp_path / "nowhere")


def test_held_matrix_outlives_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("marquee.features.item_matrix.folder.MAPPED_FROM_BYTES", 0)
    export(tmp_path, 3)
    holder = ItemMatrixHolder(tmp_path)
    shutil.rmtree(tmp_path)

    assert not holder.refresh()

    np.testing.assert_array_equal(holder.current.matrix, np.full_like(holder.current.matrix, 3))
    assert holder.failed_refreshes == 1


def test_load_of_a_version_swapped_away_meanwhile_gives_the_newer_one(tmp_path: Path, monkeypatch):
    export(tmp_path, 0)
    load = ItemMatrixFolder.load
    overtaken = iter([1, 2])

    def overtaken_load(self: ItemMatrixFolder, version: str) -> ItemMatrix:
        monkeypatch.setattr(ItemMatrixFolder, "load", load)
        for hour in overtaken:
            export(tmp_path, hour)
        return load(self, version)

    monkeypatch.setattr(ItemMatrixFolder, "load", overtaken_load)

    assert hour_of(ItemMatrixFolder(tmp_path).load_current()) == 2


def test_readers_during_100_swaps_never_see_a_mix(tmp_path: Path):
    exported = {export(tmp_path, 0).version: 0}
    holder = ItemMatrixHolder(tmp_path)
    done = Event()

    def read() -> set[tuple[str, float, float, float]]:
        seen = set()
        while not done.is_set():
            matrix = holder.current
            rows = matrix.lookup(numbered(20))
            seen.add((matrix.version, hour_of(matrix), float(rows.min()), float(rows.max())))
            done.wait(0.0002)  # or it keeps the interpreter to itself
        return seen

    def refresh() -> int:
        swaps = 0
        while not done.is_set():
            swaps += holder.refresh()
            done.wait(0.001)
        return swaps

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        refresher = pool.submit(refresh)
        swaps = 0
        try:
            for hour in range(1, 101):
                exported[export(tmp_path, hour).version] = hour
                swaps += holder.refresh()
        finally:
            done.set()

    seen = set.union(*(reader.result() for reader in readers))
    assert seen <= {(version, hour, hour, hour) for version, hour in exported.items()}
    assert len(seen) > 1
    assert swaps + refresher.result() == 100
    assert hour_of(holder.current) == 100
    assert holder.failed_refreshes == 0


KILLED = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from marquee.features.item_matrix import folder
    from tests.marquee.features.test_item_matrix_holder import export

    def stop(*_arguments):
        print("stopped", flush=True)
        sys.stdin.read()

    setattr(folder, sys.argv[2], stop)
    export(Path(sys.argv[1]), 1)
    """
)


@pytest.mark.parametrize("point", ["sync", "write_atomically"])  # in the first file; between write and swap
def test_export_killed_leaves_the_version_before_and_can_be_repeated(tmp_path: Path, point: str):
    before = export(tmp_path, 0)
    holder = ItemMatrixHolder(tmp_path)
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path), point],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"stopped\n"
        process.send_signal(signal.SIGKILL)

    folders = {path.name for path in tmp_path.iterdir() if path.is_dir()}
    assert len(folders) == 2  # what the dead one left: a draft, or a version that no one points at
    assert ItemMatrixFolder(tmp_path).load_current().version == before.version
    assert not holder.refresh()
    repeated = export(tmp_path, 1)
    assert holder.refresh()
    assert hour_of(holder.current) == 1
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {before.version, repeated.version}
    assert holder.failed_refreshes == 0
