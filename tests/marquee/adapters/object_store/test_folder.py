import os
import subprocess
import sys
from pathlib import Path

import pytest

from marquee.adapters.object_store import ObjectStoreConfig, get_folder, open_store, put_folder
from marquee.adapters.object_store.folder import FolderStore
from marquee.data.storage import exclusive_lock
from marquee.errors import ObjectStoreError
from tests.marquee.adapters.object_store.conformance import StoreConformance, contents, written
from tests.marquee.adapters.object_store.faults import ROOT


class TestFolderStore(StoreConformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> FolderStore:
        return FolderStore(tmp_path / "a store", ObjectStoreConfig(max_document_mb=1))

    @pytest.fixture
    def tamper(self, store: FolderStore):
        def change(key: str, content: bytes | None) -> None:
            if content is None:
                (store.root / key).unlink()
            else:
                (store.root / key).write_bytes(content)

        return change


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store", ObjectStoreConfig(lock_patience_s=0))


def staged(store: FolderStore) -> list[str]:
    return [path.name for path in (store.root / ".marquee" / "staging").iterdir()]


INCREMENT = """
import sys
from marquee.adapters.object_store import open_store
from marquee.errors import ConflictError

store = open_store(sys.argv[1])
for _ in range(25):
    while True:
        seen = store.read("count")
        try:
            store.write("count", b"%d" % (int(seen.content) + 1), expected=seen.version)
        except ConflictError:
            continue
        break
"""


def test_counts_of_several_processes_add_up(store: FolderStore):
    store.write("count", b"0", expected=None)
    command = [sys.executable, "-c", INCREMENT, store.uri]

    children = [subprocess.Popen(command, cwd=ROOT) for _ in range(3)]

    assert [child.wait(timeout=60) for child in children] == [0, 0, 0]
    assert store.read("count").content == b"75"


FILL = """
import resource, sys
from pathlib import Path
from marquee.adapters.object_store import get_folder, open_store, put_folder
from marquee.errors import ObjectStoreError

store, folder, new = open_store(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000))
for call in (
    lambda: put_folder(store, "runs/2", folder),
    lambda: store.write("d", b"0" * 2_000, expected=store.read("d").version),
    lambda: get_folder(store, "runs/1", new),
):
    try:
        call()
    except ObjectStoreError as error:
        print(error.problem)
"""


def test_full_disk_stops_every_write_and_leaves_what_was_there(store: FolderStore, tmp_path: Path):
    folder = written(tmp_path / "folder", a=b"small", b=b"0" * 2_000)
    put_folder(store, "runs/1", folder)
    store.write("d", b"before", expected=None)
    before = contents(store.root)

    done = subprocess.run(
        [sys.executable, "-c", FILL, store.uri, str(folder), str(tmp_path / "new")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert [line.partition(": ")[2] for line in done.stdout.splitlines()] == ["File too large."] * 3
    after = contents(store.root)
    left = after.keys() - before.keys()
    assert {key: content for key, content in after.items() if key not in left} == before
    assert [Path(key).name for key in left] == ["a"]  # whole, and no folder: there is no index
    assert staged(store) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "store"]


def test_key_below_an_object_is_refused(store: FolderStore):
    store.write("a", b"", expected=None)

    with pytest.raises(ObjectStoreError, match=r"File exists|Not a directory"):
        store.write("a/b", b"", expected=None)

    assert staged(store) == []


def test_write_while_another_process_holds_the_lock_gives_up(store: FolderStore):
    store.write("d", b"one", expected=None)

    with (
        exclusive_lock(store.root / ".marquee" / "lock"),
        pytest.raises(ObjectStoreError, match=r"the object store .* another process"),
    ):
        store.write("d", b"two", expected=None)

    assert store.read("d").content == b"one"


def test_leftovers_of_the_killed_are_removed_after_a_day(store: FolderStore):
    store.write("d", b"", expected=None)
    old, young = (store.root / ".marquee" / "staging" / name for name in ("old", "young"))
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))

    store.write("e", b"", expected=None)

    assert staged(store) == ["young"]
    assert store.list_keys() == ["d", "e"]


def test_folder_is_moved_with_all_its_content(store: FolderStore, tmp_path: Path):
    put_folder(store, "runs/1", written(tmp_path / "folder", a=b"one"))
    moved = store.root.rename(tmp_path / "elsewhere")

    get_folder(open_store(str(moved)), "runs/1", tmp_path / "new")

    assert contents(tmp_path / "new") == {"a": b"one"}
