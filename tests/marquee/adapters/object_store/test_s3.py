"""The store in a bucket of a real S3 protocol: moto's server, which enforces If-Match and If-None-Match."""

from pathlib import Path

import pytest
from botocore.exceptions import ConnectionClosedError

from marquee.adapters.object_store import ObjectStoreConfig, get_folder, open_store, put_folder
from marquee.adapters.object_store.s3 import S3Store
from marquee.errors import ObjectStoreError
from tests.marquee.adapters.object_store.conformance import StoreConformance, contents, written

pytestmark = [
    pytest.mark.services,
    pytest.mark.filterwarnings("default"),  # the server's own
]


CONFIG = ObjectStoreConfig(max_document_mb=1, multipart_threshold_mb=5, part_mb=5)
URI = "s3://object-store-tests/models/marquee"


@pytest.fixture(scope="module")
def client():
    """One for all tests: making it takes longer than they do."""
    server = pytest.importorskip("moto.server", reason="moto[server] is not installed").ThreadedMotoServer(
        ip_address="127.0.0.1", port=0
    )
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(variable, "testing")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        environment.setenv("AWS_ENDPOINT_URL_S3", f"http://{host}:{port}")
        opened = open_store(URI, CONFIG)
        assert isinstance(opened, S3Store)
        opened.client.create_bucket(Bucket="object-store-tests")
        yield opened.client
    server.stop()


@pytest.fixture
def store(client) -> S3Store:
    opened = S3Store(client, "object-store-tests", "models/marquee", config=CONFIG)
    for key in opened.list_keys():  # all of moto's servers in a process share their objects
        opened.delete(key)
    return opened


@pytest.fixture
def handling(client):
    """Register a handler of the client's events for the length of a test."""
    registered = []

    def register(event: str, handler) -> None:
        client.meta.events.register(event, handler)
        registered.append((event, handler))

    yield register
    for event, handler in registered:
        client.meta.events.unregister(event, handler)


def name(key: str) -> dict[str, str]:
    return {"Bucket": "object-store-tests", "Key": f"models/marquee/{key}"}


class TestS3Store(StoreConformance):
    @pytest.fixture
    def store(self, store: S3Store) -> S3Store:
        return store

    @pytest.fixture
    def tamper(self, store: S3Store):
        def change(key: str, content: bytes | None) -> None:
            if content is None:
                store.client.delete_object(**name(key))
            else:
                store.client.put_object(**name(key), Body=content)

        return change


def test_s3_large_file_travels_in_parts_and_small_one_whole(store: S3Store, tmp_path: Path):
    written(tmp_path, small=b"abc", large=b"0" * (11 * 2**20))
    for key in ("small", "large"):
        store.put_file(key, tmp_path / key)

    tags = [store.client.head_object(**name(key))["ETag"] for key in ("small", "large")]

    assert [tag.strip('"').partition("-")[2] for tag in tags] == ["", "3"]


def test_s3_objects_carry_a_sha256_checksum(store: S3Store, tmp_path: Path):
    written(tmp_path, f=b"abc")
    store.put_file("f", tmp_path / "f")
    store.write("d", b"abc", expected=None)

    heads = [store.client.head_object(**name(key), ChecksumMode="ENABLED") for key in ("f", "d")]

    # sha256 of "abc" in base64
    assert {head["ChecksumSHA256"] for head in heads} == {"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="}


def test_s3_file_that_another_tool_replaced_but_for_its_memory_is_refused(store: S3Store, tmp_path: Path):
    written(tmp_path, f=b"abc")
    store.put_file("f", tmp_path / "f")
    remembered = store.client.head_object(**name("f"))["Metadata"]
    store.client.put_object(**name("f"), Body=b"abz", Metadata=remembered)

    with pytest.raises(ObjectStoreError, match="tampered with"):
        store.get_file("f", tmp_path / "g")


def test_s3_file_that_grows_while_it_is_stored_is_refused(store: S3Store, handling, tmp_path: Path):
    written(tmp_path, f=b"abc")

    def grow(**_) -> None:
        (tmp_path / "f").write_bytes(b"abcdef")

    handling("before-send.s3.PutObject", grow)

    with pytest.raises(ObjectStoreError, match="changed while it was being stored"):
        store.put_file("f", tmp_path / "f")


def test_s3_file_of_another_tool_is_fetched(store: S3Store, tmp_path: Path):
    store.client.put_object(**name("f"), Body=b"abc")

    store.get_file("f", tmp_path / "g")

    assert contents(tmp_path) == {"g": b"abc"}


def test_s3_more_keys_than_a_page_holds_are_listed(store: S3Store, handling):
    for number in range(3):
        store.write(f"k{number}", b"", expected=None)
    handling("provide-client-params.s3.ListObjectsV2", lambda params, **_: params | {"MaxKeys": 1})

    assert store.list_keys() == ["k0", "k1", "k2"]


@pytest.mark.parametrize("later_writer", [False, True])
def test_s3_write_whose_answer_was_lost_has_won_unless_somebody_wrote_since(
    store: S3Store, handling, later_writer: bool
):
    lost = []

    def lose_answer(request, **_):
        if lost:
            return
        lost.append(store.client._endpoint.http_session.send(request))
        if later_writer:
            store.client.put_object(**name("d"), Body=b"theirs")
        raise ConnectionClosedError(endpoint_url=request.url)

    handling("before-send.s3.PutObject", lose_answer)

    if later_writer:
        with pytest.raises(ObjectStoreError, match="somebody else"):
            store.write("d", b"ours", expected=None)
    else:
        version = store.write("d", b"ours", expected=None)
        assert store.read("d").version == version

    assert [answer.status_code for answer in lost] == [200]
    assert store.read("d").content == (b"theirs" if later_writer else b"ours")


def test_s3_prefix_keeps_stores_apart(store: S3Store):
    other = S3Store(store.client, "object-store-tests", "models/other", config=CONFIG)
    store.write("d", b"one", expected=None)

    assert not other.exists("d")
    assert other.list_keys() == []


def test_s3_missing_bucket_is_no_missing_object(store: S3Store, tmp_path: Path):
    elsewhere = S3Store(store.client, "no-such-bucket-here", "", config=CONFIG)
    written(tmp_path / "folder", f=b"abc")

    for call in (
        lambda: elsewhere.exists("f"),
        lambda: elsewhere.read("f"),
        lambda: elsewhere.get_file("f", tmp_path / "g"),
        lambda: elsewhere.put_file("f", tmp_path / "folder" / "f"),
        lambda: elsewhere.delete("f"),
        elsewhere.list_keys,
        lambda: put_folder(elsewhere, "f", tmp_path / "folder"),
        lambda: get_folder(elsewhere, "f", tmp_path / "new"),
    ):
        with pytest.raises(ObjectStoreError, match=r"s3://no-such-bucket-here: there is no such bucket"):
            call()
