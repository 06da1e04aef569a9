"""The fast path and KServe's own path give the same answer to every V1 request."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.serving.conftest import NAME, Reply, Server, serving
from tests.serving.in_process import JSON, PREDICT, InProcess
from tests.serving.test_protocol import BAD_FIELDS
from tests.small_run import Place

pytestmark = pytest.mark.filterwarnings("ignore:ORJSONResponse is deprecated")
VALID = {"user_id": "u000", "n": 3}
BODY = json.dumps({"instances": [VALID]}).encode()
EVENT = {"ce-specversion": "1.0", "ce-type": "ask", "ce-source": "tests", "ce-id": "1", **JSON}
ENVELOPE = {"specversion": "1.0", "type": "ask", "source": "tests", "id": "1", "time": "2026-11-22T20:15:00Z"}
STRUCTURED = json.dumps(ENVELOPE | {"data": {"instances": [VALID]}}).encode()

INSTANCES: dict[str, list[dict[str, Any]]] = {
    "one": [VALID],
    "nobody": [{}],
    "three": [VALID, {"user_id": "nobody"}, {"user_id": "u001", "explain": True}],
    "surfaces": [
        {"surface": "similar", "item_id": "m003"},
        {"surface": "similar", "item_id": "none such"},
        {"surface": "trending", "user_id": "u000"},
        {"surface": "popular", "maturity_limit": 6},
    ],
    "everything said": [
        VALID
        | {
            "context": {"timestamp": "2024-05-01T00:00:00Z", "device": "tv"},
            "history": ["m001", "m004"],
            "exclude": ["m007"],
            "timings": True,
        }
    ],
}
CALLS: dict[str, tuple[bytes, Mapping[str, str]]] = {
    **{name: (json.dumps({"instances": given}).encode(), JSON) for name, given in INSTANCES.items()},
    "charset": (BODY, {"content-type": "application/json; charset=utf-8"}),
    "no content type": (BODY, {}),
    "form": (BODY, {"content-type": "application/x-www-form-urlencoded"}),
    "binary type": (BODY, {"content-type": "application/octet-stream"}),
    "id": (BODY, JSON | {"x-request-id": "abc-123"}),
    "unusable id": (BODY, JSON | {"x-request-id": "a b"}),
    "long id": (BODY, JSON | {"x-request-id": "a" * 129}),
    "empty id": (BODY, JSON | {"x-request-id": ""}),
    "binary event": (BODY, EVENT),
    "binary event with an id": (BODY, EVENT | {"x-request-id": "abc-123"}),
    "structured event": (STRUCTURED, {"content-type": "application/cloudevents+json"}),
    "structured event as plain JSON": (STRUCTURED, JSON),
    "empty event": (b"", EVENT),
    "event of a request at fault": (b'{"instances": []}', EVENT),
    **{
        f"bad: {name}": (json.dumps({"instances": [VALID | fields]}).encode(), JSON)
        for name, (fields, _) in BAD_FIELDS.items()
    },
    "no JSON": (b"{", JSON),
    "no JSON with a charset": (b"{", {"content-type": "application/json; charset=utf-8"}),
    "no UTF-8": (b"\xff", JSON),
    "NaN": (b'{"instances": [{"n": NaN}]}', JSON),
    "deep": (b"[" * 10_000, JSON),
    "nothing": (b"", JSON),
    "null": (b"null", JSON),
    "list": (b"[]", JSON),
    "no instances": (b"{}", JSON),
    "65 instances": (json.dumps({"instances": [{}] * 65}).encode(), JSON),
    "unknown experiment": (json.dumps({"instances": [{"variants": {"trial": "b"}}]}).encode(), JSON),
    "too large": (BODY + b" " * 2**20, JSON),
}
_DRAWN = re.compile(r"[0-9a-f]{32}|[0-9a-f-]{36}|\d{4}-\d\d-\d\dT[0-9:.]+\+00:00")


def comparable(reply: Reply) -> tuple[int, dict[str, str], Any]:
    """A reply without what is drawn or measured anew each time."""
    headers = {
        name: value
        for name, value in reply.headers.items()
        if name not in {"date", "server", "content-length"}
    }
    body = json.loads(_DRAWN.sub("drawn", reply.body.decode()))
    data = body.get("data", body)
    for prediction in data.get("predictions", []):
        if "timings_ms" in prediction:
            prediction["timings_ms"] = sorted(prediction["timings_ms"])
    return reply.status, {name: _DRAWN.sub("drawn", value) for name, value in headers.items()}, body


@pytest.mark.parametrize(("body", "headers"), CALLS.values(), ids=CALLS)
def test_both_paths_answer_alike(here: InProcess, body: bytes, headers: Mapping[str, str]) -> None:
    fast = here.call(PREDICT, body, headers)
    slow = here.call(PREDICT, body, headers, is_fast=False)

    assert comparable(fast) == comparable(slow)


def test_both_paths_say_what_they_are_compared_by(here: InProcess) -> None:
    """`comparable` would be blind if it dropped what tells two answers apart."""
    told_apart = [comparable(here.predict(VALID | {"n": n})) for n in (2, 3)]

    assert told_apart[0] != told_apart[1]


@pytest.mark.parametrize(
    "name", ["one", "charset", "bad: no list", "no JSON", "binary event", "structured event"]
)
def test_both_paths_answer_a_model_that_is_not_ready_alike(here: InProcess, name: str) -> None:
    here.model.ready = False
    try:
        fast = here.call(PREDICT, *CALLS[name])
        slow = here.call(PREDICT, *CALLS[name], is_fast=False)
    finally:
        here.model.ready = True

    assert comparable(fast) == comparable(slow)
    assert (fast.status, fast.json) == (503, {"error": f"Model with name {NAME} is not ready."})


def test_usable_request_id_comes_back_and_any_other_is_drawn_anew(here: InProcess) -> None:
    given, drawn = (here.call(PREDICT, *CALLS[name]) for name in ("id", "unusable id"))

    assert given.headers["x-request-id"] == given.prediction["request_id"] == "abc-123"
    assert drawn.headers["x-request-id"] == drawn.prediction["request_id"]
    assert re.fullmatch("[0-9a-f]{32}", drawn.prediction["request_id"])


# --- the same with sockets --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def slow_server(trained: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(trained, tmp_path_factory.mktemp("slow"), "--fast_path", "off") as found:
        yield found


@pytest.mark.parametrize(
    "name",
    ["three", "surfaces", "charset", "unusable id", "binary event", "structured event", "deep", "too large"],
)
def test_two_servers_answer_alike(server: Server, slow_server: Server, name: str) -> None:
    path, (body, headers) = f"/v1/models/{NAME}:predict", CALLS[name]

    assert comparable(server.call(path, body, headers)) == comparable(slow_server.call(path, body, headers))
