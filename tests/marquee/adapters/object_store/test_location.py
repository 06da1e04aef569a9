from pathlib import Path

import pytest

from marquee.adapters.object_store import ObjectStoreConfig, open_store
from marquee.errors import ObjectStoreError


def test_path_and_file_address_are_one_store(tmp_path: Path):
    folder = tmp_path / "a b"
    by_path, by_address = open_store(str(folder)), open_store(folder.as_uri())

    by_path.write("d", b"one", expected=None)

    assert by_address.read("d").content == b"one"
    assert by_path.uri == by_address.uri == folder.as_uri()


def test_relative_path_begins_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    assert open_store("store").uri == (tmp_path / "store").as_uri()


@pytest.mark.parametrize(
    ("uri", "canonical"),
    [
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/", "s3://bucket"),
        ("s3://bucket/a/b/", "s3://bucket/a/b"),
    ],
)
def test_bucket_and_prefix_are_named_by_one_address(
    uri: str, canonical: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    assert open_store(uri).uri == canonical


@pytest.mark.parametrize(
    "uri",
    ["", "ftp://host/a", "file://host/a", "file://", "s3://", "s3:///a", "s3://A_b/a", "s3://a..b", "s3://bucket/../a"],
)  # fmt: skip
def test_other_address_is_refused(uri: str):
    with pytest.raises(ObjectStoreError):
        open_store(uri)


def test_opening_writes_nothing(tmp_path: Path):
    open_store(str(tmp_path / "store"), ObjectStoreConfig(attempts=1))

    assert list(tmp_path.iterdir()) == []


def test_unknown_profile_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")

    with pytest.raises(ObjectStoreError, match="no-such-profile"):
        open_store("s3://bucket/a")
