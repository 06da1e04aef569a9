"""Traces: a call continues its caller's, says what took how long and nothing of people, and never waits."""

import asyncio
import io
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kserve import InferInput, InferRequest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from marquee.errors import ConfigError
from serving.engine import Engine
from serving.logs import JsonLines
from serving.spans import Spans
from serving.tracing import Call, Traced, spans_of
from tests.serving.asking import ask
from tests.serving.collector import Collector, attributes, collecting
from tests.serving.conftest import NAME, Server, free_port, make_engine, serving, wait_until
from tests.serving.in_process import EXPLAIN, INFER, JSON, PREDICT, InProcess
from tests.small_run import Place

pytestmark = pytest.mark.filterwarnings("ignore:ORJSONResponse is deprecated")
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
ONE = json.dumps({"instances": [{"user_id": "u000", "n": 3}]}).encode()
THREE = json.dumps({"instances": [{"user_id": "u000"}, {"user_id": "u001", "n": 2}, {}]}).encode()
BOTH_PATHS = pytest.mark.parametrize("is_fast", [True, False], ids=["fast path", "KServe's path"])


class TracedProcess(InProcess):
    """The application with the layer around it that `serving.server` puts there."""

    def edge(self, *, is_fast: bool) -> Any:
        assert self.model.spans is not None
        return Traced(super().edge(is_fast=is_fast), self.model.spans, self.model.name)


@pytest.fixture(scope="module")
def own_engine(trained: Place) -> Iterator[Engine]:
    engine = make_engine(trained)
    yield engine
    engine.close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


@contextmanager
def traced(engine: Engine, url: str, **options: Any) -> Iterator[TracedProcess]:
    """The application with spans; they have been sent when it ends."""
    spans = Spans(OTLPSpanExporter(endpoint=f"{url}/v1/traces", timeout=1), **options)
    with asyncio.Runner() as runner:
        here = TracedProcess.of(engine, runner)
        here.model.spans = spans
        yield here  # type: ignore[misc]
    spans.close()


def named(spans: list[Span]) -> list[str]:
    return [span.name for span in spans]


@BOTH_PATHS
def test_call_with_a_parent_continues_its_trace(
    own_engine: Engine, collector: Collector, *, is_fast: bool
) -> None:
    with traced(own_engine, collector.url) as here:
        reply = here.call(PREDICT, ONE, JSON | SAMPLED | {"tracestate": "a=1,b=2"}, is_fast=is_fast)

    root = collector.root
    assert reply.status == 200
    assert (root.trace_id.hex(), root.parent_span_id.hex(), root.trace_state) == (TRACE, CALLER, "a=1,b=2")
    assert {span.trace_id for span in collector.spans} == {root.trace_id}
    assert named(collector.children(root)) == ["row", "wait", "list"]


@BOTH_PATHS
def test_span_says_what_the_answer_says_and_its_stages_lie_within(
    own_engine: Engine, collector: Collector, *, is_fast: bool
) -> None:
    body = json.dumps({"instances": [{"user_id": "u000", "n": 3, "timings": True}]}).encode()

    with traced(own_engine, collector.url) as here:
        reply = here.call(PREDICT, body, JSON | {"x-request-id": "abc-1"}, is_fast=is_fast)

    root, took_ms = collector.root, reply.prediction["timings_ms"]
    said = attributes(root)
    assert root.name == f"POST {PREDICT}"
    assert said.pop("marquee.n_candidates") > 0
    assert said == {
        "http.request.method": "POST",
        "http.route": PREDICT,
        "url.path": PREDICT,
        "http.response.status_code": 200,
        "marquee.request_id": "abc-1",
        "marquee.surface": "home",
        "marquee.variant": "default",
        "marquee.bundle_id": reply.prediction["bundle_id"],
        "marquee.degraded_reasons": [],
        "marquee.n": 3,
    }
    assert root.status.code == Status.STATUS_CODE_UNSET
    at_ns = root.start_time_unix_nano
    for span in collector.children(root):
        assert at_ns <= span.start_time_unix_nano <= span.end_time_unix_nano <= root.end_time_unix_nano
        long_ms = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6
        assert long_ms == pytest.approx(took_ms[span.name], abs=0.002)
        at_ns = span.end_time_unix_nano


@BOTH_PATHS
def test_batch_is_one_span_with_a_child_for_each_list(
    own_engine: Engine, collector: Collector, *, is_fast: bool
) -> None:
    with traced(own_engine, collector.url) as here:
        here.call(PREDICT, THREE, JSON | {"x-request-id": "abc"}, is_fast=is_fast)

    lists = collector.children(collector.root)
    assert named(lists) == ["recommend"] * 3
    assert {(attributes(span)["marquee.request_id"], attributes(span)["marquee.n"]) for span in lists} == {
        ("abc-0", 12),
        ("abc-1", 2),
        ("abc-2", 12),
    }
    assert [named(collector.children(span)) for span in lists] == [["row", "wait", "list"]] * 3
    assert attributes(collector.root)["marquee.request_id"] == "abc"


def test_other_protocols_of_kserve_are_traced_too(own_engine: Engine, collector: Collector) -> None:
    tensors = {"inputs": [{"name": "user_id", "shape": [1], "datatype": "BYTES", "data": ["u000"]}]}

    with traced(own_engine, collector.url) as here:
        statuses = [here.call(EXPLAIN, ONE).status, here.call(INFER, json.dumps(tensors).encode()).status]

    roots = [span for span in collector.spans if span.kind == Span.SPAN_KIND_SERVER]
    assert statuses == [200, 200]
    assert named(roots) == [f"POST {EXPLAIN}", f"POST {INFER}"]
    assert [named(collector.children(root)) for root in roots] == [["row", "wait", "list"]] * 2


def test_grpc_call_continues_the_trace_of_its_metadata(own_engine: Engine, collector: Collector) -> None:
    column = InferInput("user_id", [1], "BYTES", ["u000"])
    column.set_data_from_numpy(column.as_numpy(), binary_data=False)

    with traced(own_engine, collector.url) as here:
        here.runner.run(here.model.predict(InferRequest(NAME, [column], request_id="abc"), SAMPLED))

    root = collector.root
    assert (root.trace_id.hex(), root.parent_span_id.hex()) == (TRACE, CALLER)
    assert attributes(root)["rpc.system"] == "grpc"
    assert named(collector.children(root)) == ["row", "wait", "list"]


@pytest.mark.parametrize(
    "parent",
    [
        "nonsense",
        "",
        f"00-{TRACE}-{CALLER}",
        f"00-{TRACE.upper()}-{CALLER}-01",
        f"00-{'0' * 32}-{CALLER}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{CALLER}-01",
        f"00-{TRACE}-{CALLER}-01-{'x' * 600}",
    ],
)
def test_malformed_parent_is_none(own_engine: Engine, collector: Collector, parent: str) -> None:
    with traced(own_engine, collector.url) as here:
        reply = here.call(PREDICT, ONE, JSON | {"traceparent": parent})

    assert reply.status == 200
    assert collector.root.parent_span_id == b""
    assert collector.root.trace_id.hex() != TRACE


@given(parent=st.text(max_size=80), state=st.text(max_size=80))
def test_any_parent_at_all_leaves_a_trace_with_an_id(ended_spans: Spans, parent: str, state: str) -> None:
    call = Call(ended_spans, "POST /", {}, {"traceparent": [parent], "tracestate": [state]})

    trace_id = ended_spans.begin(call)

    assert len(trace_id) == 32
    assert int(trace_id, 16) > 0


@pytest.fixture(scope="module")
def ended_spans() -> Spans:
    spans = Spans(OTLPSpanExporter(endpoint="http://127.0.0.1:9/v1/traces"))
    spans.close()
    return spans


def test_call_that_its_caller_does_not_sample_is_not_sent(own_engine: Engine, collector: Collector) -> None:
    with traced(own_engine, collector.url) as here:
        reply = here.call(PREDICT, ONE, JSON | {"traceparent": f"00-{TRACE}-{CALLER}-00"})

    assert reply.status == 200
    assert collector.spans == []
    assert sum(here.model.spans.counts().values()) == 0  # type: ignore[union-attr]


def test_probes_metrics_and_strange_paths_leave_no_span(own_engine: Engine, collector: Collector) -> None:
    with traced(own_engine, collector.url) as here:
        for path in ("/", "/metrics", f"/v1/models/{NAME}", f"/v2/models/{NAME}/ready"):
            assert here.call(path, method="GET").status == 200
        assert here.call("/v1/models/u000:predict", ONE).status == 404

    assert collector.spans == []


def test_span_never_says_who_asked_or_what_was_shown(own_engine: Engine, collector: Collector) -> None:
    asked = {"user_id": "u042", "history": ["m017"], "exclude": ["m018"], "maturity_limit": 12}
    similar = {"user_id": "u042", "surface": "similar", "item_id": "m017"}
    body = json.dumps({"instances": [asked, similar]}).encode()

    with traced(own_engine, collector.url) as here:
        reply = here.call(PREDICT, body)
        here.call(PREDICT, b'{"instances": [{"user_id": "u042", "n": "m017"}]}')

    shown = [item["item_id"] for each in reply.json["predictions"] for item in each["items"]]
    sent = b"".join(collector.bodies)
    assert shown
    assert b"marquee.bundle_id" in sent
    assert [each for each in ("u042", "m017", "m018", *shown) if each.encode() in sent] == []


def test_degraded_list_says_why_in_its_span(trained: Place, collector: Collector) -> None:
    engine = make_engine(trained)
    engine.rows.read = None

    with traced(engine, collector.url) as here:
        reply = here.call(PREDICT, ONE)
    engine.close()

    assert reply.prediction["degraded_reasons"] == ["store_absent"]
    assert attributes(collector.root)["marquee.degraded_reasons"] == ["store_absent"]
    assert collector.root.status.code == Status.STATUS_CODE_UNSET


@BOTH_PATHS
def test_fault_of_the_caller_is_no_error_of_ours(
    own_engine: Engine, collector: Collector, *, is_fast: bool
) -> None:
    with traced(own_engine, collector.url) as here:
        assert here.call(PREDICT, b'{"instances": [{"n": 0}]}', is_fast=is_fast).status == 400

    assert attributes(collector.root)["http.response.status_code"] == 400
    assert "error.type" not in attributes(collector.root)
    assert collector.root.status.code == Status.STATUS_CODE_UNSET


@BOTH_PATHS
def test_fault_of_ours_is_an_error_and_its_log_line_names_the_trace(
    own_engine: Engine, collector: Collector, monkeypatch: pytest.MonkeyPatch, *, is_fast: bool
) -> None:
    async def fails(*_: Any) -> None:
        raise KeyError("u000")

    monkeypatch.setattr(own_engine, "_answer", fails)
    with logged() as lines, traced(own_engine, collector.url) as here:
        asked = JSON | SAMPLED | {"x-request-id": "abc"}
        assert here.call(PREDICT, ONE, asked, is_fast=is_fast).status == 500

    (line,) = lines()
    said = attributes(collector.root)
    assert (line["request_id"], line["trace_id"]) == ("abc", TRACE)
    assert collector.root.trace_id.hex() == TRACE
    assert collector.root.status.code == Status.STATUS_CODE_ERROR
    assert (said["error.type"], said["marquee.request_id"]) == ("KeyError", "abc")
    assert b"u000" not in b"".join(collector.bodies)


def test_fault_without_a_parent_is_logged_with_the_trace_that_is_sent(
    own_engine: Engine, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_engine, "_answer", None)
    with logged() as lines, traced(own_engine, collector.url) as here:
        here.call(PREDICT, ONE)

    (line,) = lines()
    assert line["trace_id"] == collector.root.trace_id.hex()


@contextmanager
def logged() -> Iterator[Callable[[], list[Any]]]:
    """What is written to the log meanwhile."""
    stream = io.StringIO()
    handler, log = logging.StreamHandler(stream), logging.getLogger("marquee.serving")
    handler.setFormatter(JsonLines())
    log.addHandler(handler)
    try:
        yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    finally:
        log.removeHandler(handler)


def test_collector_that_is_away_costs_spans_and_no_answer(own_engine: Engine) -> None:
    with traced(own_engine, f"http://127.0.0.1:{free_port()}") as here:
        statuses = {here.call(PREDICT, ONE).status for _ in range(5)}

    counts = here.model.spans.counts()  # type: ignore[union-attr]
    assert statuses == {200}
    assert counts == {"waiting": 0, "exported": 0, "failed": 20, "dropped": 0}


def test_collector_that_hangs_fills_the_queue_and_what_is_beyond_is_counted(
    own_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")

    with collecting(hangs=True) as slow:
        spans = Spans(OTLPSpanExporter(endpoint=f"{slow.url}/v1/traces", timeout=20), queue_size=10)
        with asyncio.Runner() as runner:
            here = TracedProcess.of(own_engine, runner)
            here.model.spans = spans
            first = here.call(PREDICT, ONE).status
            assert slow.has_asked.wait(20)  # its four spans are under way
            later = {here.call(PREDICT, ONE).status for _ in range(6)}
        counts = spans.counts()
        spans.close(patience_s=0.1)
        still_flushing = "spans-flush" in {thread.name for thread in threading.enumerate()}

    assert {first, *later} == {200}
    assert counts == {"waiting": 4 + 2 * 4, "exported": 0, "failed": 0, "dropped": 4 * 4}
    assert still_flushing  # and yet it was left alone


def test_server_that_is_traced_sends_what_waits_when_it_ends(
    trained: Place, tmp_path: Path, collector: Collector
) -> None:
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=tests",
        "OTEL_BSP_SCHEDULE_DELAY": "3600000",  # only the end sends
    }

    with serving(trained, tmp_path, environment=environment) as server:
        replies = [server.predict({"user_id": "u000"}, headers=SAMPLED) for _ in range(3)]
        waiting = server.metric('marquee_spans{state="waiting"}')
        before = len(collector.bodies)
        code = server.stop()

    assert [reply.status for reply in replies] == [200] * 3
    assert (waiting, before, code) == (12, 0, 0)
    assert len(collector.spans) == 12
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
    assert collector.resource()["service.name"] == "marquee-recommender"
    assert collector.resource()["deployment.environment.name"] == "tests"


def test_server_whose_collector_hangs_answers_and_ends(trained: Place, tmp_path: Path) -> None:
    with collecting(hangs=True) as slow:
        environment = {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{slow.url}/v1/traces",
            "OTEL_BSP_SCHEDULE_DELAY": "1",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "3600",
        }
        with serving(trained, tmp_path, environment=environment) as server:
            first = server.predict({"user_id": "u000"}).status
            wait_until(slow.has_asked.is_set, server)
            second = server.predict({"user_id": "u001"}).status
            code = server.stop()

    assert (first, second, code) == (200, 200, 0)
    assert "spans were not sent before the end" in server.log.read_text(encoding="utf-8")


def test_server_that_is_not_traced_counts_no_spans(server: Server) -> None:
    assert server.predict({"user_id": "u000"}, headers=SAMPLED).status == 200
    assert "marquee_spans" not in server.call("/metrics").body.decode()


def test_engine_outside_of_a_call_answers_as_ever(own_engine: Engine) -> None:
    assert ask(own_engine, user_id="u000", n=2)["items"]


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_SERVICE_NAME": "marquee"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_spans_are_off_unless_a_place_for_them_is_named(environment: dict[str, str]) -> None:
    assert spans_of(environment) is None


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "collector:4318"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "grpc"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "zipkin"}, "zipkin"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_BSP_MAX_QUEUE_SIZE": "many"}, "many"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_BSP_MAX_QUEUE_SIZE": "1"}, "queue"),
    ],
)
def test_variables_that_can_not_be_followed_are_refused_at_the_start(
    environment: dict[str, str], named: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        spans_of(environment)

    assert named in refused.value.problem
    assert refused.value.remedy
