"""The model that KServe calls: request ids, explanations, and faults of ours that tell strangers nothing."""

import asyncio
import json
from typing import Any

import pytest

from serving.engine import Engine
from serving.predictor import MarqueeModel, request_id_of, usable_id
from tests.serving.conftest import NAME
from tests.serving.in_process import EXPLAIN, INFER, JSON, PREDICT, InProcess

pytestmark = pytest.mark.filterwarnings("ignore:ORJSONResponse is deprecated")
VALID = {"user_id": "u000", "n": 3}
BODY = json.dumps({"instances": [VALID]}).encode()
TENSORS = json.dumps({"inputs": [{"name": "n", "datatype": "INT32", "shape": [1], "data": [3]}]}).encode()


@pytest.mark.parametrize("given", ["a", "A-1:/{}~!", "x" * 128])
def test_request_id_of_the_caller_is_kept_where_it_is_usable(given: str) -> None:
    assert request_id_of({"x-request-id": given}) == usable_id(given) == given


@pytest.mark.parametrize("given", ["", " ", "a b", "a\nb", "a\n", "ü", "\0", "x" * 129])
def test_request_id_that_would_break_a_header_or_a_log_is_drawn_anew(given: str) -> None:
    drawn = request_id_of({"x-request-id": given})

    assert usable_id(given) is None
    assert len(drawn) == 32
    assert drawn != request_id_of({"x-request-id": given})


def test_request_without_headers_has_an_id() -> None:
    assert len(request_id_of(None)) == len(request_id_of({})) == 32


# --- explain ----------------------------------------------------------------------------------------------


def test_explain_is_predict_with_explanations(here: InProcess) -> None:
    explained = here.call(EXPLAIN, BODY).prediction
    asked = here.predict(VALID | {"explain": True}).prediction

    assert explained["items"] == asked["items"]
    assert all("drop" in item["reason"] for item in explained["items"])
    assert not any("drop" in item["reason"] for item in here.predict(VALID).prediction["items"])


def test_explain_does_not_send_the_callers_headers_back(here: InProcess) -> None:
    secrets = {"authorization": "Bearer secret", "cookie": "a=b", "x-made-up": "1", "x-request-id": "abc"}

    reply = here.call(EXPLAIN, BODY, JSON | secrets)

    assert sorted(reply.headers) == ["content-length", "content-type", "x-request-id"]
    assert reply.headers["x-request-id"] == reply.prediction["request_id"] == "abc"


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "text/plain"])
def test_explain_reads_any_content_type_and_answers_json(here: InProcess, content_type: str) -> None:
    reply = here.call(EXPLAIN, BODY, {"content-type": content_type})

    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")


# --- faults of ours ---------------------------------------------------------------------------------------


@pytest.fixture
def broken(here: InProcess, monkeypatch: pytest.MonkeyPatch) -> InProcess:
    """The application over an engine that fails as only a bug of ours would make it fail."""

    async def fail(*_: Any) -> Any:
        raise ValueError("a secret")

    monkeypatch.setattr(here.model.engine, "predict", fail)
    return here


@pytest.mark.parametrize(
    ("path", "body", "is_fast"),
    [(PREDICT, BODY, True), (PREDICT, BODY, False), (EXPLAIN, BODY, True), (INFER, TENSORS, True)],
)
def test_fault_of_ours_is_a_500_that_names_the_request_and_nothing_else(
    broken: InProcess, caplog: pytest.LogCaptureFixture, path: str, body: bytes, is_fast: bool
) -> None:
    before = counted(broken.model.engine, "error")

    reply = broken.call(path, body, JSON | {"x-request-id": "abc"}, is_fast=is_fast)

    assert (reply.status, reply.json) == (500, {"error": "ValueError: see the server's log for request abc"})
    assert counted(broken.model.engine, "error") == before + 1
    (record,) = [each for each in caplog.records if each.name == "marquee.serving"]
    assert record.fields == {"request_id": "abc"}  # type: ignore[attr-defined]
    assert "a secret" in str(record.exc_info)


def test_refusals_are_counted_once_each(here: InProcess) -> None:
    engine = here.model.engine
    before = counted(engine, "refused")

    for path, is_fast in ((PREDICT, True), (PREDICT, False), (EXPLAIN, True)):
        assert here.call(path, b'{"instances": []}', is_fast=is_fast).status == 400
    assert here.call(INFER, b'{"inputs": []}').status == 400

    assert counted(engine, "refused") == before + 4


def counted(engine: Engine, outcome: str) -> float:
    labels = {"surface": "unknown", "variant": "none", "bundle": "none", "outcome": outcome}
    return engine.metrics.registry.get_sample_value("marquee_requests_total", labels) or 0.0


# --- readiness --------------------------------------------------------------------------------------------


def test_model_is_ready_once_made_and_not_loaded_by_being_asked(engine: Engine) -> None:
    model = MarqueeModel(NAME, engine)

    assert model.load()
    assert asyncio.run(model.healthy())
    model.ready = False
    assert not model.load()


def test_readiness_is_of_the_model_and_liveness_of_the_process(here: InProcess) -> None:
    probes = f"/v1/models/{NAME}", f"/v2/models/{NAME}/ready", "/v1/models/other", "/"
    ready = [here.call(path, method="GET").status for path in probes]
    here.model.ready = False
    try:
        not_ready = [here.call(path, method="GET").status for path in probes]
    finally:
        here.model.ready = True

    assert ready == [200, 200, 404, 200]
    assert not_ready == [503, 503, 404, 200]
