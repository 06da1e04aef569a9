"""What holds of every object store; each implementation's tests inherit it and give the store."""

import os
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from marquee.adapters.object_store import (
    FolderIndex,
    ObjectStore,
    delete_folder,
    get_folder,
    put_folder,
    read_index,
)
from marquee.bundle import FileEntry, Parts, verify_bundle, write_bundle
from marquee.errors import ConflictError, ObjectMissingError, ObjectStoreError
from tests.marquee.adapters.object_store.faults import killed_while_storing

BAD_KEYS = [
    "", "/a", "a/", "a//b", "../a", "a/../b", "./a", "a\\b", "a\nb", "a\0b", "\ud800",
    ".marquee/lock", "é" * 128, "a/" * 520 + "a",
]  # fmt: skip


def written(folder: Path, **files: bytes) -> Path:
    """A folder of files; a double underscore in a name is a slash."""
    for name, content in files.items():
        file = folder / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


class StoreConformance:
    """Inherit it and give fixtures `store` and `tamper`."""

    @pytest.fixture
    def store(self) -> ObjectStore:
        raise NotImplementedError

    @pytest.fixture
    def uri(self, store: ObjectStore) -> str:
        """What `open_store` takes in another process."""
        return store.uri

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return written(tmp_path / "folder", a=b"one", b__c=b"two" * 1_000, b__empty=b"")

    # --- files ---

    def test_file_comes_back_as_it_was(self, store: ObjectStore, tmp_path: Path):
        source = written(tmp_path, f=b"abc" * 1_000) / "f"

        stored = store.put_file("x/f", source)
        fetched = store.get_file("x/f", tmp_path / "new" / "g")

        assert stored == fetched == FileEntry(sha256=sha256(b"abc" * 1_000).hexdigest(), size_bytes=3_000)
        assert contents(tmp_path / "new") == {"g": b"abc" * 1_000}

    def test_file_of_several_parts_comes_back_as_it_was(self, store: ObjectStore, tmp_path: Path):
        (tmp_path / "f").write_bytes(os.urandom(11 * 2**20))

        stored = store.put_file("f", tmp_path / "f")

        assert store.get_file("f", tmp_path / "g", expected=stored) == stored
        assert (tmp_path / "g").read_bytes() == (tmp_path / "f").read_bytes()

    def test_file_put_again_is_replaced(self, store: ObjectStore, tmp_path: Path):
        written(tmp_path, old=b"old", new=b"new", g=b"before")
        store.put_file("f", tmp_path / "old")

        store.put_file("f", tmp_path / "new")

        store.get_file("f", tmp_path / "g")
        assert (tmp_path / "g").read_bytes() == b"new"

    def test_missing_file_is_named_and_nothing_is_left(self, store: ObjectStore, tmp_path: Path):
        with pytest.raises(ObjectMissingError, match="holds no x/f"):
            store.get_file("x/f", tmp_path / "new" / "f")

        assert contents(tmp_path / "new") == {}

    def test_missing_source_is_named(self, store: ObjectStore, tmp_path: Path):
        with pytest.raises(ObjectStoreError, match=r"no-such-file.*No such file"):
            store.put_file("f", tmp_path / "no-such-file")

        assert not store.exists("f")

    def test_file_that_is_not_the_expected_one_leaves_the_target(self, store: ObjectStore, tmp_path: Path):
        here = written(tmp_path / "here", f=b"abc", g=b"before")
        stored = store.put_file("f", here / "f")

        with pytest.raises(ObjectStoreError, match=r"3 bytes instead of 4"):
            store.get_file("f", here / "g", expected=stored.model_copy(update={"size_bytes": 4}))

        assert contents(here) == {"f": b"abc", "g": b"before"}

    @pytest.mark.parametrize("key", BAD_KEYS)
    def test_bad_key_is_refused_by_everything(self, store: ObjectStore, tmp_path: Path, key: str):
        written(tmp_path, f=b"abc")
        calls = [
            lambda: store.put_file(key, tmp_path / "f"),
            lambda: store.get_file(key, tmp_path / "g"),
            lambda: store.read(key),
            lambda: store.write(key, b"", expected=None),
            lambda: store.exists(key),
            lambda: store.delete(key),
            lambda: put_folder(store, key, tmp_path),
            lambda: get_folder(store, key, tmp_path / "new"),
            lambda: delete_folder(store, key),
        ]

        for call in calls:
            with pytest.raises(ObjectStoreError, match="is no key"):
                call()

    # --- documents ---

    def test_document_comes_back_with_the_version_of_its_writing(self, store: ObjectStore):
        version = store.write("aliases/champion", b"one", expected=None)

        document = store.read("aliases/champion")

        assert (document.content, document.version) == (b"one", version)

    def test_document_is_written_over_the_version_that_was_read(self, store: ObjectStore):
        first = store.write("d", b"one", expected=None)

        second = store.write("d", b"two", expected=first)

        assert store.read("d").content == b"two"
        assert second != first

    @pytest.mark.parametrize("later", [b"two", b"one"])
    def test_new_document_where_there_is_one_conflicts(self, store: ObjectStore, later: bytes):
        store.write("d", b"one", expected=None)

        with pytest.raises(ConflictError, match="somebody else"):
            store.write("d", later, expected=None)

        assert store.read("d").content == b"one"

    def test_of_two_writers_that_read_one_version_the_second_conflicts(self, store: ObjectStore):
        seen = store.write("d", b"one", expected=None)
        store.write("d", b"two", expected=seen)

        with pytest.raises(ConflictError, match="Read it again"):
            store.write("d", b"three", expected=seen)

        assert store.read("d").content == b"two"

    def test_document_deleted_meanwhile_conflicts(self, store: ObjectStore):
        seen = store.write("d", b"one", expected=None)
        store.delete("d")

        with pytest.raises(ConflictError):
            store.write("d", b"two", expected=seen)

        assert not store.exists("d")

    def test_of_many_writers_at_once_exactly_one_wins_each_round(self, store: ObjectStore):
        def won(writer: int, seen: str | None) -> bytes | None:
            try:
                store.write("d", content := b"%d" % writer, expected=seen)
            except ConflictError:
                return None
            return content

        seen = None
        with ThreadPoolExecutor(4) as pool:
            for start in range(0, 40, 4):
                results = list(pool.map(won, range(start, start + 4), [seen] * 4))
                document = store.read("d")
                assert [result for result in results if result] == [document.content]
                seen = document.version

    def test_missing_document_is_named(self, store: ObjectStore):
        with pytest.raises(ObjectMissingError, match="holds no aliases/champion"):
            store.read("aliases/champion")

    def test_document_beyond_the_limit_is_not_taken_into_memory(self, store: ObjectStore, tmp_path: Path):
        (tmp_path / "f").write_bytes(b"0" * (store.config.max_document_mb * 2**20 + 1))
        store.put_file("f", tmp_path / "f")

        with pytest.raises(ObjectStoreError, match="more than 1 MB"):
            store.read("f")

    # --- listing ---

    def test_keys_with_a_prefix_are_listed_in_order(self, store: ObjectStore):
        for key in ("b/2", "b/10", "b/10/x" if "s3" in store.uri else "b/11/x", "bc", "a"):
            store.write(key, b"", expected=None)

        assert store.list_keys("b/1") == sorted(key for key in store.list_keys() if key.startswith("b/1"))
        assert len(store.list_keys("b/1")) == 2
        assert store.list_keys("b") == sorted([*store.list_keys("b/"), "bc"])
        assert store.list_keys("none") == store.list_keys("no/ne") == []
        assert len(store.list_keys()) == 5

    def test_deleted_object_is_gone_and_may_be_deleted_again(self, store: ObjectStore):
        store.write("a/b", b"", expected=None)
        assert store.exists("a/b")

        store.delete("a/b")
        store.delete("a/b")

        assert not store.exists("a/b")
        assert store.list_keys() == []

    def test_folder_of_objects_is_no_object(self, store: ObjectStore):
        store.write("a/b", b"", expected=None)

        assert not store.exists("a")
        with pytest.raises(ObjectMissingError):
            store.read("a")

    # --- folders ---

    def test_folder_comes_back_as_it_was(self, store: ObjectStore, folder: Path, tmp_path: Path):
        stored = put_folder(store, "runs/1", folder)

        fetched = get_folder(store, "runs/1", tmp_path / "new")

        assert contents(tmp_path / "new") == contents(folder)
        assert fetched == stored == read_index(store, "runs/1")
        assert fetched.size_bytes == 3 + 3_000

    def test_bundle_comes_back_valid(self, store: ObjectStore, tmp_path: Path):
        manifest = write_bundle(
            tmp_path / "bundle", Parts(texts={"ranker/model": "tree"}), content={"k": 1}, provenance={}
        )
        put_folder(store, f"bundles/{manifest.bundle_id}", tmp_path / "bundle")

        get_folder(store, f"bundles/{manifest.bundle_id}", tmp_path / "new")

        assert verify_bundle(tmp_path / "new") == manifest

    def test_files_keep_their_names_for_other_tools(self, store: ObjectStore, folder: Path):
        index = put_folder(store, "runs/1", folder)

        place = f"runs/1/{index.digest[:16]}"
        assert store.list_keys() == sorted(
            [f"{place}/a", f"{place}/b/c", f"{place}/b/empty", "runs/1/index.json"]
        )

    def test_same_folder_again_changes_nothing(self, store: ObjectStore, folder: Path):
        first = put_folder(store, "runs/1", folder)
        version = store.read("runs/1/index.json").version

        assert put_folder(store, "runs/1", folder) == first
        assert store.read("runs/1/index.json").version == version

    def test_other_content_under_the_key_conflicts(self, store: ObjectStore, folder: Path, tmp_path: Path):
        put_folder(store, "runs/1", folder)
        before = store.list_keys()

        with pytest.raises(ConflictError, match="other content"):
            put_folder(store, "runs/1", written(tmp_path / "other", a=b"other"))

        assert store.list_keys() == before

    def test_of_two_folders_at_once_one_is_there_whole(self, store: ObjectStore, tmp_path: Path):
        folders = [written(tmp_path / str(n), **{f"f{i}": b"%d" % n for i in range(20)}) for n in range(2)]

        def won(folder: Path) -> Path | None:
            try:
                put_folder(store, "runs/1", folder)
            except ConflictError:
                return None
            return folder

        with ThreadPoolExecutor(2) as pool:
            winners = [folder for folder in pool.map(won, folders) if folder]

        get_folder(store, "runs/1", tmp_path / "new")
        assert [contents(winner) for winner in winners] == [contents(tmp_path / "new")]

    def test_folder_of_a_killed_writer_is_not_there_until_it_is_stored_again(
        self, store: ObjectStore, uri: str, folder: Path, tmp_path: Path
    ):
        killed_while_storing(uri, "runs/1", folder)
        assert len(store.list_keys("runs/1/")) == 1  # of three files

        with pytest.raises(ObjectMissingError, match="no finished folder runs/1"):
            get_folder(store, "runs/1", tmp_path / "new")
        assert not (tmp_path / "new").exists()

        put_folder(store, "runs/1", folder)
        get_folder(store, "runs/1", tmp_path / "new")
        assert contents(tmp_path / "new") == contents(folder)

    @pytest.mark.parametrize(
        ("content", "fault"),
        [
            (b"onf", "sha256"),
            (b"on", "2 bytes instead of 3"),
            (b"", "0 bytes instead of 3"),
            (None, "holds no"),
        ],
    )
    def test_folder_with_a_tampered_file_is_refused_whole(
        self, store: ObjectStore, folder: Path, tmp_path: Path, tamper, content: bytes | None, fault: str
    ):
        index = put_folder(store, "runs/1", folder)
        tamper(f"runs/1/{index.digest[:16]}/a", content)

        with pytest.raises(ObjectStoreError, match=fault):
            get_folder(store, "runs/1", tmp_path / "new")

        assert [path.name for path in tmp_path.iterdir() if path.name.endswith(("new", ".tmp"))] == []

    @pytest.mark.parametrize(
        ("old", "new", "fault"),
        [
            (b'"size_bytes": 3\n', b'"size_bytes": 4\n', "digest"),
            (b'"a":', b'"../../a":', "digest"),
            (b'"version": 1', b'"version": 2', "Input should be 1"),
            (b"{", b"", "Invalid JSON|JSON"),
        ],
    )
    def test_tampered_index_is_refused(
        self, store: ObjectStore, folder: Path, tmp_path: Path, tamper, old: bytes, new: bytes, fault: str
    ):
        put_folder(store, "runs/1", folder)
        text = store.read("runs/1/index.json").content
        assert old in text
        tamper("runs/1/index.json", text.replace(old, new, 1))

        with pytest.raises(ObjectStoreError, match=f"tampered with: .*({fault})"):
            get_folder(store, "runs/1", tmp_path / "new")

    def test_forged_index_that_leads_out_of_the_target_is_refused(self, store: ObjectStore, tmp_path: Path):
        forged = FolderIndex.of({"../escaped": FileEntry(sha256=sha256(b"").hexdigest(), size_bytes=0)})
        store.write("runs/1/index.json", forged.model_dump_json().encode(), expected=None)

        with pytest.raises(ObjectStoreError, match=r"'\.\./escaped' is no key"):
            get_folder(store, "runs/1", tmp_path / "new")

    def test_folder_is_not_fetched_over_another(self, store: ObjectStore, folder: Path):
        put_folder(store, "runs/1", folder)

        with pytest.raises(ObjectStoreError, match="exists already"):
            get_folder(store, "runs/1", folder)

    def test_folder_that_changes_while_it_is_stored_is_refused(
        self, store: ObjectStore, folder: Path, monkeypatch: pytest.MonkeyPatch
    ):
        put_file = store.put_file

        def put_changed(key: str, file: Path) -> FileEntry:
            file.write_bytes(b"changed")
            return put_file(key, file)

        monkeypatch.setattr(store, "put_file", put_changed)

        with pytest.raises(ObjectStoreError, match="changed while it was being stored"):
            put_folder(store, "runs/1", folder)

        assert not store.exists("runs/1/index.json")

    def test_folder_without_files_or_with_a_link_is_refused(self, store: ObjectStore, tmp_path: Path):
        (tmp_path / "empty").mkdir()
        written(tmp_path / "linked", a=b"one")
        (tmp_path / "linked" / "b").symlink_to("/etc/hostname")

        for name, fault in {"none": "no folder", "empty": "no folder", "linked": "b is a link"}.items():
            with pytest.raises(ObjectStoreError, match=fault):
                put_folder(store, "runs/1", tmp_path / name)

        assert store.list_keys() == []

    def test_deleted_folder_leaves_nothing_and_its_key_is_free(
        self, store: ObjectStore, folder: Path, tmp_path: Path
    ):
        put_folder(store, "runs/1", folder)
        put_folder(store, "runs/10", folder)

        delete_folder(store, "runs/1")

        assert store.list_keys("runs/1/") == []
        assert read_index(store, "runs/10").files
        put_folder(store, "runs/1", written(tmp_path / "other", a=b"other"))
