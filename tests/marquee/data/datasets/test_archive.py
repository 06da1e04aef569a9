import zipfile

import pytest

from marquee.data.datasets import archive
from marquee.data.datasets.archive import list_files, take_files
from marquee.data.datasets.raw import ignore_progress
from marquee.errors import SourceError
from tests.marquee.data.datasets.layouts import write_folder, write_zip


def take(root, names, *, folder, into):
    return take_files(list_files(root), names, folder=folder, into=into, on_progress=ignore_progress)


def test_list_files_puts_shallow_folders_first(tmp_path):
    root = write_zip(tmp_path / "a.zip", {"deep/er/x": b"", "top": b"", "b/y": b"", "b/z": b""})

    assert list(list_files(root).names_by_folder.items()) == [
        ("", ("top",)),
        ("b", ("y", "z")),
        ("deep/er", ("x",)),
    ]


def test_list_files_of_a_folder_and_of_its_zip_agree(tmp_path):
    folder = write_folder(tmp_path / "data" / "ml", {"u.data": b"1"}).parent
    zipped = write_zip(tmp_path / "a.zip", {"u.data": b"1"}, folder="ml")

    assert list_files(folder).names_by_folder == list_files(zipped).names_by_folder == {"ml": ("u.data",)}


def test_take_files_of_a_zip_writes_the_wanted_and_nothing_else(tmp_path):
    root = write_zip(tmp_path / "a.zip", {"u.data": b"events", "u.item": b"movies"}, folder="ml")

    files = take(root, ["u.data"], folder="ml", into=tmp_path / "into")

    assert files["u.data"].read_bytes() == b"events"
    assert [path.name for path in (tmp_path / "into").iterdir()] == ["u.data"]


@pytest.mark.parametrize("folder", ["../..", "/etc"])
def test_take_files_of_a_member_that_points_outside_stays_inside(tmp_path, folder):
    root = write_zip(tmp_path / "a.zip", {"u.data": b"events"}, folder=folder)

    files = take(root, ["u.data"], folder=folder, into=tmp_path / "into")

    assert files["u.data"] == tmp_path / "into" / "u.data"


def test_take_files_replaces_a_spoilt_file_and_keeps_a_whole_one(tmp_path):
    root = write_zip(tmp_path / "a.zip", {"u.data": b"events"})
    first = take(root, ["u.data"], folder="", into=tmp_path / "into")["u.data"]
    age = first.stat().st_mtime_ns

    assert take(root, ["u.data"], folder="", into=tmp_path / "into")["u.data"].stat().st_mtime_ns == age
    first.write_bytes(b"evenXs")

    assert take(root, ["u.data"], folder="", into=tmp_path / "into")["u.data"].read_bytes() == b"events"


def test_take_files_of_a_flipped_byte_leaves_no_file(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_STORED) as stored:
        stored.writestr("u.data", b"events of an evening")
    content = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(content.replace(b"evening", b"evenXng"))

    with pytest.raises(SourceError, match="Bad CRC-32"):
        take(tmp_path / "a.zip", ["u.data"], folder="", into=tmp_path / "into")

    assert list((tmp_path / "into").iterdir()) == []


def test_take_files_of_an_oversized_member_is_refused(tmp_path, monkeypatch):
    root = write_zip(tmp_path / "a.zip", {"u.data": b"0" * 1_001})
    monkeypatch.setattr(archive, "MAX_MEMBER_BYTES", 1_000)

    with pytest.raises(SourceError, match="1,001 bytes"):
        take(root, ["u.data"], folder="", into=tmp_path / "into")


@pytest.mark.parametrize("cut", [10, -10])
def test_list_files_of_a_torn_zip_is_one_error(tmp_path, cut):
    root = write_zip(tmp_path / "a.zip", {"u.data": b"events"})
    root.write_bytes(root.read_bytes()[:cut])

    with pytest.raises(SourceError, match="can't be read as a zip"):
        list_files(root)


def test_list_files_of_nothing_is_one_error(tmp_path):
    with pytest.raises(SourceError, match="does not exist"):
        list_files(tmp_path / "nowhere")
