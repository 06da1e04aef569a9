"""What S3 answers and what a network does, from a server that says so."""

import socket
from pathlib import Path

import pytest

from marquee.adapters.object_store import ObjectStore, ObjectStoreConfig, open_store
from marquee.errors import ObjectStoreError
from tests.marquee.adapters.object_store.conformance import contents, written
from tests.marquee.adapters.object_store.faults import Answer, answering

QUICK = ObjectStoreConfig(attempts=1, connect_timeout_s=1, read_timeout_s=1)


def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials of nobody, no configuration of this machine's user, no proxy."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "no-such-file")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody(monkeypatch)


@pytest.fixture(scope="module")
def stub():
    """A store and what its server says, for the test to change; one client, which takes long to make."""
    answers: dict[str, Answer] = {}
    with answering(answers) as (address, _), pytest.MonkeyPatch.context() as monkeypatch:
        nobody(monkeypatch)
        yield opened(address, monkeypatch), answers


def opened(address: str, monkeypatch: pytest.MonkeyPatch, config: ObjectStoreConfig = QUICK) -> ObjectStore:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", address)
    return open_store("s3://bucket/models", config)


@pytest.mark.parametrize(
    ("status", "code", "problem", "remedy"),
    [
        (404, "NoSuchBucket", "there is no such bucket", "Create the bucket"),
        (403, "AccessDenied", "access is denied", "s3:PutObject"),
        (403, "InvalidAccessKeyId", "credentials are not accepted", "AWS_PROFILE"),
        (403, "SignatureDoesNotMatch", "credentials are not accepted", "AWS_PROFILE"),
        (400, "ExpiredToken", "credentials are not accepted", "AWS_PROFILE"),
        (403, "RequestTimeTooSkewed", "clock", "Set the clock"),
        (301, "PermanentRedirect", "another region", "AWS_REGION"),
        (400, "AuthorizationHeaderMalformed", "another region", "AWS_REGION"),
        (503, "SlowDown", "overloaded", "Try again later"),
        (507, "XMinioStorageFull", "full", "Remove what is old"),
        (501, "NotImplemented", "lacks a function", "conditional writes"),
        (400, "SomethingElse", "the store refuses", "manual"),
    ],
)
def test_answer_is_explained(stub, tmp_path: Path, status: int, code: str, problem: str, remedy: str):
    store, answers = stub
    answers.update({**dict.fromkeys(("GET", "PUT"), Answer.error(status, code)), "HEAD": Answer(200)})
    written(tmp_path, f=b"abc")
    for call in (
        lambda: store.write("d", b"", expected=None),
        lambda: store.read("d"),
        store.list_keys,
        lambda: store.put_file("f", tmp_path / "f"),
    ):
        with pytest.raises(ObjectStoreError) as caught:
            call()
        assert "s3://bucket/models" in caught.value.problem
        assert problem in caught.value.problem
        assert code in caught.value.problem
        assert remedy in caught.value.remedy


@pytest.mark.parametrize(("status", "problem"), [(403, "access is denied"), (404, "there is no such bucket")])
def test_answer_to_head_is_explained_without_a_body(stub, tmp_path: Path, status: int, problem: str):
    store, answers = stub
    answers["HEAD"] = Answer(status)
    for call in (lambda: store.exists("f"), lambda: store.get_file("f", tmp_path / "f")):
        with pytest.raises(ObjectStoreError, match=problem):
            call()


def test_overloaded_store_is_asked_as_often_as_configured(monkeypatch: pytest.MonkeyPatch):
    config = ObjectStoreConfig(attempts=2)
    with answering({"GET": Answer.error(503, "SlowDown")}) as (address, asked):
        with pytest.raises(ObjectStoreError, match="overloaded"):
            opened(address, monkeypatch, config).read("d")

        assert asked == ["GET", "GET"]


def test_denied_request_is_not_repeated(monkeypatch: pytest.MonkeyPatch):
    with answering({"GET": Answer.error(403, "AccessDenied")}) as (address, asked):
        with pytest.raises(ObjectStoreError, match="denied"):
            opened(address, monkeypatch, ObjectStoreConfig(attempts=4)).read("d")

        assert asked == ["GET"]


def test_truncated_download_leaves_the_target(stub, tmp_path: Path):
    written(tmp_path, g=b"before")
    head = {"Content-Length": "1000", "ETag": '"x"', "Last-Modified": "Sun, 22 Nov 2026 08:00:00 GMT"}
    store, answers = stub
    answers.update({"HEAD": Answer(200, headers=head), "GET": Answer(200, b"half", head)})
    for call in (lambda: store.get_file("f", tmp_path / "g"), lambda: store.read("f")):
        with pytest.raises(ObjectStoreError, match="s3://bucket/models"):
            call()

    assert contents(tmp_path) == {"g": b"before"}


def test_unreachable_endpoint_is_named(monkeypatch: pytest.MonkeyPatch):
    with answering({}) as (address, _):
        pass

    with pytest.raises(ObjectStoreError, match="can't be reached") as caught:
        opened(address, monkeypatch).read("d")

    assert address in caught.value.problem
    assert "AWS_ENDPOINT_URL_S3" in caught.value.remedy


def test_silent_endpoint_is_given_up(monkeypatch: pytest.MonkeyPatch):
    config = ObjectStoreConfig(attempts=1, connect_timeout_s=1, read_timeout_s=0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ObjectStoreError, match="Read timeout"):
            opened(address, monkeypatch, config).read("d")


def test_endpoint_that_is_no_address_is_named(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ObjectStoreError, match="minio:9000"):
        opened("minio:9000", monkeypatch)


def test_missing_credentials_are_said(monkeypatch: pytest.MonkeyPatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)

    with pytest.raises(ObjectStoreError, match="no usable credentials") as caught:
        open_store("s3://bucket", QUICK).read("d")

    assert "AWS_ACCESS_KEY_ID" in caught.value.remedy
