"""The store against a real S3 protocol: moto's server, where it is installed."""

import pyarrow.parquet as pq
import pytest
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
from pyarrow import fs

from tests.marquee.adapters.feast_offline.repository import (
    USER,
    USER_FEATURES,
    USER_SCHEMA,
    day,
    feature_store,
    labels,
    user_row,
    user_view,
    values,
    write,
)

pytestmark = [
    pytest.mark.services,
    pytest.mark.filterwarnings("default"),  # the server's own
]

USERS = [user_row(1, 1.0, 10, event=day(1)), user_row(1, 2.0, 20, event=day(5))]
LATER = [user_row(1, 3.0, 30, event=day(6))]
FRAME = labels((1, day(2)), (2, day(2)), (1, day(7)), names=("user_id", "event_timestamp"))
U = ("u_a", "u_n")


@pytest.fixture
def endpoint(monkeypatch):
    server = pytest.importorskip("moto.server", reason="moto[server] is not installed").ThreadedMotoServer(
        port=0
    )
    server.start()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(endpoint):
    found = fs.S3FileSystem(
        endpoint_override=endpoint.removeprefix("http://"), scheme="http", allow_bucket_creation=True
    )
    found.create_dir("bucket")
    found.delete_dir_contents("bucket")  # all of moto's servers in a process share their objects
    return found


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("users.parquet", "s3://bucket/users.parquet"),
        ("users/day=1/a.parquet", "s3://bucket/users"),
        ("users/day=1/a.parquet", "s3://bucket/users/*/*.parquet"),
    ],
)
def test_s3_file_folder_and_glob_are_joined(s3, endpoint, tmp_path, name, address):
    fs.copy_files(
        write(tmp_path / "a.parquet", USERS, USER_SCHEMA), f"bucket/{name}", destination_filesystem=s3
    )
    store = feature_store(tmp_path, USER, user_view(address, s3_endpoint_override=endpoint))

    result = store.get_historical_features(FRAME, USER_FEATURES).to_arrow()

    assert values(result, U) == [(1.0, 10), (None, None), (2.0, 20)]


@pytest.mark.parametrize(("name", "files"), [("users.parquet", 1), ("users/a.parquet", 2)])
def test_s3_written_rows_are_joined(s3, endpoint, tmp_path, name, files):
    fs.copy_files(
        write(tmp_path / "a.parquet", USERS, USER_SCHEMA), f"bucket/{name}", destination_filesystem=s3
    )
    view = user_view(f"s3://bucket/{name.removesuffix('/a.parquet')}", s3_endpoint_override=endpoint)
    store = feature_store(tmp_path, USER, view)
    rows = pq.read_table(write(tmp_path / "b.parquet", LATER, USER_SCHEMA))

    store._get_provider().ingest_df_to_offline_store(store.get_feature_view("user_state"), rows)

    result = store.get_historical_features(FRAME, USER_FEATURES).to_arrow()
    assert values(result, U) == [(1.0, 10), (None, None), (3.0, 30)]
    left = s3.get_file_info(fs.FileSelector("bucket", recursive=True))
    assert len([info for info in left if info.type == fs.FileType.File]) == files


@pytest.mark.parametrize("address", ["s3://bucket/sets/one.parquet", "s3://bucket/sets/one"])
def test_s3_result_is_persisted_whole(s3, endpoint, tmp_path, address):
    store = feature_store(tmp_path, USER, user_view(write(tmp_path / "a.parquet", USERS, USER_SCHEMA)))
    job = store.get_historical_features(FRAME, USER_FEATURES)
    storage = SavedDatasetFileStorage(address, s3_endpoint_override=endpoint)

    job.persist(storage)
    job.persist(storage, allow_overwrite=True)

    left = s3.get_file_info(fs.FileSelector("bucket", recursive=True))
    (file,) = [info.path for info in left if info.type == fs.FileType.File and info.size]
    assert values(pq.read_table(file, filesystem=s3), U) == [(1.0, 10), (None, None), (2.0, 20)]
