import os
from collections.abc import Callable
from pathlib import Path

import pytest

from marquee.data.mapping import Mapping
from marquee.data.sources import find_files
from marquee.errors import SourceError

Write = Callable[..., Path]


def names(mapping: Mapping, *sources: str | Path) -> list[str]:
    return [file.path.name for file in find_files(sources, mapping)]


def test_folder_stands_for_its_data_files_at_any_depth_by_name(write: Write, mapping: Mapping):
    for name in ("b.csv", "a.csv.gz", "deep/c.TSV", "README.txt", "x.parquet", ".hidden.csv", "_tmp/d.csv"):
        write("x", name)

    assert names(mapping, write("x", "b.csv").parent) == ["a.csv.gz", "b.csv", "c.TSV"]


def test_glob_stands_for_the_files_it_matches_by_name(write: Write, mapping: Mapping):
    folder = write("x", "part-2.log").parent
    write("x", "part-1.log")
    write("x", "part-1/deep.log")

    assert names(mapping, f"{folder}/part-*") == ["part-1.log", "part-2.log"]
    assert names(mapping, f"{folder}/**/deep.log") == ["deep.log"]


def test_file_whose_name_looks_like_a_glob_is_that_file(write: Write, mapping: Mapping):
    write("x", "events1.csv")

    assert names(mapping, write("x", "events[1].csv")) == ["events[1].csv"]


def test_file_named_twice_or_through_a_link_is_read_once(write: Write, mapping: Mapping):
    path = write("x")
    link = path.with_name("link.csv")
    link.symlink_to(path)

    assert names(mapping, path, link, f"{path.parent}/*.csv", path.parent) == ["events.csv"]


@pytest.mark.parametrize(
    "sources", [["absent.csv"], ["*.nothing"], ["absent/*.csv"], ["loop"], ["empty"], ["pipe"], []]
)
def test_source_that_leads_to_no_file_is_one_error_naming_it(
    tmp_path: Path, mapping: Mapping, sources: list[str]
):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(SourceError) as caught:
        find_files([tmp_path / source for source in sources], mapping)

    assert all(source in caught.value.problem for source in sources)
    assert caught.value.remedy


def test_empty_file_is_one_error(write: Write, mapping: Mapping):
    with pytest.raises(SourceError, match=r"events\.csv is empty"):
        find_files([write("")], mapping)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_or_folder_that_may_not_be_read_is_one_error(write: Write, mapping: Mapping):
    path = write("x")
    path.chmod(0)
    with pytest.raises(SourceError, match="Permission denied"):
        find_files([path], mapping)[0].content_hash()

    path.parent.chmod(0)
    try:
        with pytest.raises(SourceError, match="Permission denied"):
            find_files([path.parent], mapping)
    finally:
        path.parent.chmod(0o700)


def test_file_that_changes_after_it_was_found_is_one_error(write: Write, mapping: Mapping):
    (file,) = find_files([write("before")], mapping)
    file.require_unchanged()
    write("afterwards")

    with pytest.raises(SourceError, match="changed"):
        file.require_unchanged()


def test_source_without_a_name_is_not_the_working_directory(mapping: Mapping):
    with pytest.raises(SourceError, match="no source is named"):
        find_files([""], mapping)
