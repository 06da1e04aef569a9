from pathlib import Path

import pytest
from pyarrow import fs

from marquee.adapters.feast_offline.location import Location, S3Access
from marquee.errors import SourceError

AMBIENT = S3Access(None, {}, connect_timeout_seconds=1, request_timeout_seconds=2)


def place(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def names(location, folder):
    return [path.removeprefix(f"{folder}/") for path in location.files()]


def test_location_relative_address_is_relative_to_the_repository(tmp_path):
    assert (
        Location.of("data/a.parquet", relative_to=tmp_path, s3=AMBIENT).path == f"{tmp_path}/data/a.parquet"
    )


def test_location_file_uri_is_its_path(tmp_path):
    assert Location.of(f"file://{tmp_path}/a", relative_to=None, s3=AMBIENT).path == f"{tmp_path}/a"


def test_location_unknown_scheme_is_refused():
    with pytest.raises(SourceError, match="ftp://host/a"):
        Location.of("ftp://host/a", relative_to=None, s3=AMBIENT)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.parquet", ["a.parquet", "b.parquet"]),
        ("[!a].parquet", ["b.parquet"]),
        ("?.parquet", ["a.parquet", "b.parquet"]),
        ("day=*/*.parquet", ["day=1/c.parquet", "day=2/d.parquet"]),
        ("**/*.parquet", ["a.parquet", "b.parquet", "day=1/c.parquet", "day=2/d.parquet", "x/y/e.parquet"]),
        ("x/**", ["x/y/e.parquet"]),
    ],
)
def test_location_glob_gives_the_files_that_match_sorted(tmp_path, pattern, expected):
    place(
        tmp_path,
        *("b.parquet", "a.parquet", "day=2/d.parquet", "day=1/c.parquet", "x/y/e.parquet"),
        *("notes.txt", ".a.parquet.half", "_draft/f.parquet"),
    )

    assert names(Location.of(pattern, relative_to=tmp_path, s3=AMBIENT), tmp_path) == expected


def test_location_file_that_is_called_like_a_pattern_is_a_file(tmp_path):
    place(tmp_path, "a[1].parquet", "a1.parquet")

    location = Location.of("a[1].parquet", relative_to=tmp_path, s3=AMBIENT)

    assert location.is_single_file
    assert not location.is_glob


def test_location_folder_gives_visible_files_only(tmp_path):
    place(tmp_path, "t/a.parquet", "t/.hidden", "t/_SUCCESS", "t/_day=1/b.parquet")

    location = Location.of("t", relative_to=tmp_path, s3=AMBIENT)

    assert names(location, tmp_path) == ["t/_day=1/b.parquet", "t/a.parquet"]


def test_location_replacing_fails_and_leaves_the_old_file_alone(tmp_path):
    (tmp_path / "a.parquet").write_text("old")
    location = Location.of("a.parquet", relative_to=tmp_path, s3=AMBIENT)

    def half_way():
        with location.replacing() as draft:
            Path(draft).write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half_way()

    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]
    assert (tmp_path / "a.parquet").read_text() == "old"


def test_location_replacing_makes_folders_and_takes_the_name_at_the_end(tmp_path):
    location = Location.of("deep/er/a.txt", relative_to=tmp_path, s3=AMBIENT)

    with location.replacing() as draft:
        Path(draft).write_text("new")
        assert not location.exists()

    assert (tmp_path / "deep/er/a.txt").read_text() == "new"


@pytest.fixture
def s3_calls(monkeypatch, tmp_path):
    """S3 as a folder; gives the arguments with which a client was made."""
    calls = []

    def client(**options):
        calls.append(options)
        return fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())

    monkeypatch.setattr(fs, "S3FileSystem", client)
    return calls


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        (None, {}),
        ("minio:9000", {"endpoint_override": "minio:9000"}),
        ("http://minio:9000/", {"endpoint_override": "minio:9000", "scheme": "http"}),
    ],
)
def test_location_s3_endpoint_and_timeouts_reach_the_client(s3_calls, endpoint, expected):
    access = S3Access(endpoint, {}, connect_timeout_seconds=1, request_timeout_seconds=2)

    location = Location.of("s3://bucket/a/b.parquet", relative_to="ignored", s3=access)

    assert location.path == "bucket/a/b.parquet"
    assert s3_calls == [{"connect_timeout": 1, "request_timeout": 2} | expected]


def test_location_s3_credentials_reach_the_client(s3_calls):
    given = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": "eu-north-1"}
    access = S3Access(None, given, connect_timeout_seconds=1, request_timeout_seconds=2)

    Location.of("s3://bucket/a", relative_to=None, s3=access)

    assert {name: s3_calls[0][name] for name in ("access_key", "secret_key", "region")} == {
        "access_key": "a",
        "secret_key": "s",
        "region": "eu-north-1",
    }
    assert "session_token" not in s3_calls[0]


def test_location_s3_that_nobody_answers_is_one_error():
    # a port that was free a moment ago: connecting is refused at once
    import socket

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    given = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": "us-east-1"}
    access = S3Access(f"http://127.0.0.1:{port}", given, connect_timeout_seconds=1, request_timeout_seconds=1)
    location = Location.of("s3://bucket/table", relative_to=None, s3=access)

    with pytest.raises(SourceError, match="s3://bucket/table can't be read"):
        location.files()
