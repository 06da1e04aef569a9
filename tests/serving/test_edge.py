"""Whatever is sent, the answer is one of ours: never a 5xx, never more than the bound, never an unload."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.protocol import MAX_BODY_BYTES, Instance
from tests.serving.conftest import Reply, Server, serving
from tests.serving.in_process import EXPLAIN, INFER, JSON, PREDICT, InProcess
from tests.small_run import Place

pytestmark = pytest.mark.filterwarnings("ignore:ORJSONResponse is deprecated")
shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
VALID = {"user_id": "u000", "n": 2}
VALID_BODY = json.dumps({"instances": [VALID]}).encode()
EVENT = {"ce-specversion": "1.0", "ce-type": "ask", "ce-source": "tests", "ce-id": "1"}
STRUCTURED = {"content-type": "application/cloudevents+json"}


def require_refusal(reply: Reply, status: int, said: str) -> None:
    assert (reply.status, list(reply.json)) == (status, ["error"])
    assert said in reply.json["error"]
    assert reply.headers["content-type"] == "application/json"


# --- bodies that are no JSON, or too much of it -----------------------------------------------------------


@pytest.mark.parametrize("path", [PREDICT, EXPLAIN])
@pytest.mark.parametrize(
    "body",
    {
        "nothing": b"",
        "broken": b'{"instances": [',
        "nested 10,000 deep": b'{"instances": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        "NaN": b'{"instances": [{"n": NaN}]}',
        "beyond floats": b'{"instances": [{"n": 1' + b"0" * 400 + b"}]}",
        "lone surrogate": b'{"instances": [{"user_id": "\\ud800"}]}',
        "no UTF-8": b'{"instances": [{"user_id": "\xff"}]}',
        "raw NUL": b'{"instances": [{"user_id": "\0"}]}',
        "two values": VALID_BODY + VALID_BODY,
        "byte order mark": b"\xef\xbb\xbf" + VALID_BODY,
    }.values(),
    ids=str,
)
def test_body_that_is_no_json_is_refused(here: InProcess, path: str, body: bytes) -> None:
    require_refusal(here.call(path, body), 400, "Unrecognized request format: ")


def test_escaped_nul_in_ids_is_an_unknown_id(here: InProcess) -> None:
    reply = here.predict({"user_id": "u\0", "history": ["\0"], "exclude": ["\0", "m000"], "n": 3})

    assert reply.status == 200
    assert reply.prediction["user_id"] == "u\0"
    assert len(reply.prediction["items"]) == 3


def test_of_duplicate_keys_the_last_one_counts(here: InProcess) -> None:
    reply = here.call(PREDICT, b'{"instances": [{"user_id": "u000", "n": 500, "n": 2}]}')

    assert len(reply.prediction["items"]) == 2


def test_unknown_experiment_is_refused_by_name(here: InProcess) -> None:
    reply = here.predict(VALID, VALID | {"variants": {"trial": "b"}})

    require_refusal(reply, 400, "instances[1].variants: ")
    assert "trial" in reply.json["error"]


def padded(size: int) -> bytes:
    """A valid body of so many bytes."""
    return VALID_BODY + b" " * (size - len(VALID_BODY))


@pytest.mark.parametrize("path", [PREDICT, EXPLAIN, INFER, "/v1/models/other:predict", "/nowhere"])
def test_body_over_the_bound_is_refused_with_and_without_its_length(here: InProcess, path: str) -> None:
    body = padded(MAX_BODY_BYTES + 1)
    chunks = [body[:MAX_BODY_BYTES], body[MAX_BODY_BYTES:]]

    require_refusal(here.call(path, body), 413, f"more than {MAX_BODY_BYTES} bytes")
    require_refusal(here.call(path, chunks), 413, f"more than {MAX_BODY_BYTES} bytes")


def test_body_without_end_is_refused_before_its_end(here: InProcess) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while True:
            sent += 2**20
            yield bytes(2**20)

    require_refusal(here.call(PREDICT, endless()), 413, "more than")
    assert sent <= 18 * 2**20


@pytest.mark.parametrize("is_fast", [True, False])
def test_body_at_the_bound_is_answered_with_and_without_its_length(here: InProcess, is_fast: bool) -> None:
    body = padded(MAX_BODY_BYTES)

    assert here.call(PREDICT, body, is_fast=is_fast).status == 200
    assert here.call(PREDICT, [body[:7], b"", body[7:]], is_fast=is_fast).status == 200


def test_client_that_goes_away_within_its_body_gets_no_answer(here: InProcess) -> None:
    sent: list[Any] = []
    messages = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])

    async def call() -> None:
        async def receive() -> Any:
            return next(messages)

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": PREDICT, "headers": []}
        await here.edge(is_fast=True)(scope, receive, send)

    here.runner.run(call())

    assert sent == []


# --- what KServe leaves open ------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
@pytest.mark.parametrize(
    "path",
    [
        "/v2/repository/models/marquee/load",
        "/v2/repository/models/marquee/unload",
        "/v2/repository/index",
        "/v2/repository",
        "/v2/repository/%0aa",
        "/v2/models/marquee/versions/1",
        "/v2/models/marquee/versions/1/ready",
        "/v2/models/marquee/versions/1/infer",
    ],
)
def test_repository_and_versions_are_nowhere_for_any_method(here: InProcess, method: str, path: str) -> None:
    assert here.call(path, b"{}", method=method).status == 404
    assert here.predict(VALID).status == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/models/other:predict", 404),
        ("/v1/models/other:explain", 404),
        ("/v2/models/other/infer", 404),
        ("/v1/models/:predict", 405),
        ("/v1/models/marquee:predict/", 307),
        ("/v1/models/marquee", 405),
        ("/metrics", 405),
        ("/openai/v1/completions", 404),
        ("/%00", 404),
    ],
)
def test_post_elsewhere_is_refused(here: InProcess, path: str, status: int) -> None:
    assert here.call(path, b"{NaN", JSON).status == status


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (EVENT, b""),
        (EVENT, b"\xff"),
        (EVENT | {"content-type": "application/json"}, b"{"),
        (EVENT | {"ce-specversion": "9"}, VALID_BODY),
        (EVENT | STRUCTURED, b'{"specversion": "1.0", "data": NaN}'),
        (EVENT | {"ce-contenttype": "text/plain"}, b"\xff"),
        ({"ce-specversion": "1.0"}, b"["),
        (STRUCTURED, b""),
        (STRUCTURED, b'{"specversion": "1.0", "type": 1, "source": 1, "id": 1, "time": 1, "data": null}'),
        (STRUCTURED, b"[]"),
    ],
)
@pytest.mark.parametrize("path", [PREDICT, EXPLAIN])
def test_broken_cloud_event_is_refused(
    here: InProcess, path: str, headers: dict[str, str], body: bytes
) -> None:
    reply = here.call(path, body, headers)

    require_refusal(reply, 400, "")


# --- never a 5xx ------------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
IDS = st.sampled_from(["u000", "u001", "m000", "m007", "nobody", "\0"]) | st.text(min_size=1, max_size=8)
MOMENTS = st.sampled_from(["1970-01-01T00:00:00Z", "2026-11-22T20:15:00+01:00", "2099-12-31T23:59:59Z"])
FITTING: dict[str, st.SearchStrategy[Any]] = {
    "user_id": IDS | st.none(),
    "n": st.integers(1, 100),
    "context": st.fixed_dictionaries({}, optional={"timestamp": MOMENTS, "device": st.just("tv")}),
    "history": st.lists(IDS, max_size=12),
    "maturity_limit": st.integers(0, 21) | st.none(),
    "exclude": st.lists(IDS, max_size=5),
    "explain": st.booleans(),
    "timings": st.booleans(),
}
assert {"surface", "item_id", "variants", *FITTING} == set(Instance.model_fields)
SURFACES = st.sampled_from(
    [{}, {"surface": "home"}, {"surface": "trending"}, {"surface": "popular"}]
) | st.builds(lambda item: {"surface": "similar", "item_id": item}, IDS)
INSTANCES = st.builds(lambda one, two: one | two, st.fixed_dictionaries({}, optional=FITTING), SURFACES)
MUTATIONS = st.dictionaries(
    st.sampled_from(sorted(Instance.model_fields)) | st.text(max_size=5), VALUES, max_size=2
)
PATHS = st.sampled_from([PREDICT, EXPLAIN])


@shared
@given(st.lists(INSTANCES, min_size=1, max_size=3), PATHS)
def test_every_valid_request_is_answered(here: InProcess, instances: list[Any], path: str) -> None:
    reply = here.call(path, json.dumps({"instances": instances}).encode())

    assert reply.status == 200, reply.body
    for instance, prediction in zip(instances, reply.json["predictions"], strict=True):
        ids = [item["item_id"] for item in prediction["items"]]
        assert len(ids) == len(set(ids)) <= instance.get("n", 12)
        assert not set(ids) & set(instance.get("exclude", []))
        assert not prediction["degraded"] or prediction["degraded_reasons"] == ["unknown_item"]


@shared
@given(
    st.lists(st.builds(lambda one, two: one | two, INSTANCES, MUTATIONS), max_size=3), PATHS, st.booleans()
)
def test_no_mutation_of_a_valid_request_is_a_fault_of_ours(
    here: InProcess, instances: list[Any], path: str, is_fast: bool
) -> None:
    reply = here.call(path, json.dumps({"instances": instances}).encode(), is_fast=is_fast)

    assert reply.status in (200, 400), reply.body
    if reply.status == 400:
        assert "instances" in reply.json["error"] or "Unrecognized request format" in reply.json["error"]


HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "content-type",
            "x-request-id",
            "accept",
            "inference-header-content-length",
            "ce-datacontenttype",
            *EVENT,
        ]
    ),
    st.sampled_from(
        ["application/json", "application/cloudevents+json", "text/plain; charset=utf-16", "1.0", "7", "-1"]
    )
    | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8),
    max_size=6,
)
KNOWN = (PREDICT, EXPLAIN, INFER, "/v1/models/other:predict", "/v2/models/other/infer", "/v2/models/marquee")
VISIBLE = st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#?")
TARGETS = st.sampled_from([*KNOWN, "/", "/metrics", "/v1/models", "/v2", "/openapi.json"]) | st.text(
    VISIBLE, max_size=12
).map("/{}".format)
METHODS = st.sampled_from(
    ["POST", "POST", "POST", "GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"]
)
BODIES = st.binary(max_size=60) | st.sampled_from([VALID_BODY, VALID_BODY[:-1], b"", b"{}", b"null", b"NaN"])


@shared
@given(TARGETS, METHODS, BODIES, HEADERS, st.booleans())
def test_no_request_at_all_is_a_fault_of_ours(
    here: InProcess, path: str, method: str, body: bytes, headers: dict[str, str], is_fast: bool
) -> None:
    assert here.call(path, body, headers, method=method, is_fast=is_fast).status < 500


# --- the same with sockets --------------------------------------------------------------------------------


def test_thousand_malformed_bodies_leave_the_server_as_it_was(trained: Place, tmp_path: Path) -> None:
    bodies = malformed(np.random.default_rng(7))
    with serving(trained, tmp_path) as server:
        statuses = [server.call(*next(bodies)).status for _ in range(200)]
        before = resident_bytes(server)
        statuses += [server.call(*next(bodies)).status for _ in range(1_000)]
        after = resident_bytes(server)

        assert {status for status in statuses if status != 200} <= {400, 404, 413}
        assert statuses.count(400) > 600
        assert after < 1.05 * before
        assert server.predict(VALID).prediction["degraded"] is False
        assert server.metric('marquee_requests_total{bundle="none",outcome="error"') == 0
        assert server.stop() == 0
        assert "raceback" not in server.log.read_text(encoding="utf-8")


def malformed(rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """Valid bodies with a few bytes changed, cut, doubled, too long, or of another protocol."""
    columns = [{"name": "user_id", "datatype": "BYTES", "shape": [1], "data": ["u000"]}]
    tensors = json.dumps({"inputs": columns}).encode()
    while True:
        path = [PREDICT, PREDICT, EXPLAIN, INFER][rng.integers(4)]
        body = bytearray(tensors if path == INFER else VALID_BODY)
        for _ in range(rng.integers(1, 4)):
            start = rng.integers(len(body))
            body[start : start + rng.integers(4)] = rng.bytes(rng.integers(4))
        changed = bytes(body)
        yield path, [changed, changed, 2 * changed, b"[" * 9_999, padded(2**20 + 1)][rng.integers(5)]


def resident_bytes(server: Server) -> int:
    pages = Path(f"/proc/{server.process.pid}/statm").read_text(encoding="utf-8").split()[1]
    return int(pages) * 4096
