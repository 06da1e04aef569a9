import hashlib

import pytest

from marquee.data.datasets.download import cached_wheel, fetch_url, fetch_wheel
from marquee.data.datasets.raw import ignore_progress
from marquee.errors import DatasetUnavailableError
from tests.marquee.data.datasets.layouts import served, write_folder, write_wheel


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A wheel that pip finds in a folder, with no index in reach."""
    pinned = write_wheel(tmp_path / "index", "carrier", {"carrier/data.txt": b"payload" * 1_000})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return pinned


def test_fetch_wheel_through_pip_keeps_the_verified_file_only(tmp_path, wheel):
    seen = []

    path = fetch_wheel(wheel, cache=tmp_path / "cache", on_progress=lambda *args: seen.append(args))

    assert hashlib.sha256(path.read_bytes()).hexdigest() == wheel.sha256
    assert [entry.name for entry in path.parent.iterdir()] == [wheel.filename]
    assert seen[-1] == (f"download {wheel.filename}", wheel.n_bytes, wheel.n_bytes)


def test_fetch_wheel_with_a_warm_cache_needs_no_pip(tmp_path, wheel, monkeypatch):
    path = fetch_wheel(wheel, cache=tmp_path / "cache", on_progress=ignore_progress)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "empty"))

    assert fetch_wheel(wheel, cache=tmp_path / "cache", on_progress=ignore_progress) == path


def test_fetch_wheel_of_other_bytes_is_refused(tmp_path, wheel):
    (tmp_path / "index" / wheel.filename).write_bytes(b"something else")

    with pytest.raises(DatasetUnavailableError, match=r"carrier 1\.0 wheel through pip"):
        fetch_wheel(wheel, cache=tmp_path / "cache", on_progress=ignore_progress)

    assert list((tmp_path / "cache" / "wheels").iterdir()) == []


def test_cached_wheel_that_was_spoilt_counts_as_missing(tmp_path, wheel):
    path = fetch_wheel(wheel, cache=tmp_path / "cache", on_progress=ignore_progress)
    path.write_bytes(path.read_bytes()[:-1])

    assert cached_wheel(wheel, cache=tmp_path / "cache") is None


def test_fetch_wheel_into_a_file_instead_of_a_folder_is_one_error(tmp_path, wheel):
    (tmp_path / "cache").write_text("a file")

    with pytest.raises(DatasetUnavailableError, match=r"carrier 1\.0 wheel"):
        fetch_wheel(wheel, cache=tmp_path / "cache", on_progress=ignore_progress)


def test_fetch_url_of_a_served_file_reports_its_bytes(tmp_path):
    write_folder(tmp_path / "www", {"a.zip": b"x" * 5_000})
    seen = []

    with served(tmp_path / "www") as address:
        path = fetch_url(
            f"{address}/a.zip",
            path=tmp_path / "cache" / "a.zip",
            known_hash=f"sha256:{hashlib.sha256(b'x' * 5_000).hexdigest()}",
            on_progress=lambda *args: seen.append(args),
        )

    assert path.read_bytes() == b"x" * 5_000
    assert ("download a.zip", 5_000, 5_000) in seen


def test_fetch_url_of_a_wrong_checksum_leaves_no_file(tmp_path):
    write_folder(tmp_path / "www", {"a.zip": b"forged"})

    with (
        served(tmp_path / "www") as address,
        pytest.raises(DatasetUnavailableError, match="hash of downloaded file"),
    ):
        fetch_url(
            f"{address}/a.zip",
            path=tmp_path / "cache" / "a.zip",
            known_hash="md5:" + "0" * 32,
            on_progress=ignore_progress,
        )

    assert list((tmp_path / "cache").iterdir()) == []


def test_fetch_url_of_a_missing_page_says_404(tmp_path):
    (tmp_path / "www").mkdir()

    with served(tmp_path / "www") as address, pytest.raises(DatasetUnavailableError, match="404"):
        fetch_url(f"{address}/a.zip", path=tmp_path / "a.zip", known_hash=None, on_progress=ignore_progress)
