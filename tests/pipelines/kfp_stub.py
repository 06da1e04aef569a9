"""A Kubeflow Pipelines API of our own on loopback, as strict as the real one about what it is sent.

It keeps pipelines, versions, experiments, runs and recurring runs; reads each body with the models of
kfp-server-api (an unknown key or a wrong type is answered with 400 and kept in `complaints`); wants the
bearer token; and can be told to fail. Commands in other processes reach it like any server.
"""

import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import kfp_server_api
import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from marquee.run_values import RunValues
from marquee.settings import Settings
from pipelines.release import Compiled

TOKEN = "the-token"  # noqa: S105 - of the stub
BEGIN = datetime(2024, 6, 1, tzinfo=UTC)
PREFIX = "/apis/v2beta1"
# What the server's tables can be filtered by: backend/src/apiserver/model/*.go.
FILTERS = {
    "pipelines": {"pipeline_id", "display_name", "name", "created_at", "description", "namespace"},
    "pipeline_versions": {"pipeline_version_id", "display_name", "name", "created_at", "description"},
    "experiments": {"experiment_id", "display_name", "created_at", "namespace", "storage_state"},
    "runs": {
        "run_id",
        "display_name",
        "created_at",
        "finished_at",
        "state",
        "storage_state",
        "experiment_id",
    },
    "recurring_runs": {"recurring_run_id", "display_name", "created_at", "namespace", "experiment_id"},
}
JSON = dict[str, Any]


@dataclass
class Fault:
    """What goes wrong with some of the next requests."""

    kind: str
    """A status as digits, an answer's JSON, or one of hang, reset, page, empty, redirect, and lost: done,
    but not answered."""
    method: str = ""
    path: str = ""
    """A regular expression; empty for all."""
    times: int = 1


@dataclass
class Request:
    """One that arrived."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    authorization: str | None


class RefusedError(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class State:
    """What the server keeps, each by its id."""

    pipelines: dict[str, JSON] = field(default_factory=dict)
    pipeline_versions: dict[str, JSON] = field(default_factory=dict)
    experiments: dict[str, JSON] = field(default_factory=dict)
    runs: dict[str, JSON] = field(default_factory=dict)
    recurring_runs: dict[str, JSON] = field(default_factory=dict)


class KfpStub:
    """The server; `with KfpStub() as stub:`."""

    def __init__(self, *, token: str | None = TOKEN, namespace: str | None = None) -> None:
        self.token, self.namespace = token, namespace
        self.state = State()
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.complaints: list[str] = []
        """What of the requests the real server would not understand."""
        self.before_run: Callable[[], None] = lambda: None
        """Called before a run is kept: what somebody else does at that moment."""
        self.now = BEGIN
        self._n = 0
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        stub = self

        class Handler(_Handler):
            server_stub = stub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def host(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def fail(self, kind: str | int, method: str = "", path: str = "", *, times: int = 1) -> None:
        """Let the next requests that fit fail."""
        self.faults.append(Fault(str(kind), method, path, times))

    def asked(self, method: str, path: str = "") -> list[Request]:
        """The requests of a method whose path ends so."""
        return [one for one in self.requests if one.method == method and one.path.endswith(path)]

    # --- what the handler asks for

    def fault_for(self, method: str, path: str) -> str | None:
        with self._lock:
            for one in self.faults:
                if one.times and one.method in {"", method} and re.search(one.path, path):
                    one.times -= 1
                    return one.kind
        return None

    def hang(self) -> None:
        self._stopping.wait(30)

    def answer(self, request: Request) -> Any:
        """Do what is asked, or raise `RefusedError`."""
        with self._lock:
            self.requests.append(request)
            if self.token is not None and request.authorization != f"Bearer {self.token}":
                raise RefusedError(401, "Request header error: there is no user identity header.")
            for pattern, method, handle in _ROUTES:
                if request.method == method and (match := re.fullmatch(pattern, request.path)):
                    return handle(self, request, *match.groups())
        self.complaints.append(f"{request.method} {request.path} is no call of the API")
        raise RefusedError(404, "Not Found")

    def keep(self, kind: str, id_key: str, values: JSON) -> JSON:
        self._n += 1
        made = {**values, id_key: f"{kind.replace('_', '-')}-{self._n}", "created_at": self.now.isoformat()}
        getattr(self.state, kind)[made[id_key]] = made
        return made

    def read(self, model: str, body: Any) -> JSON:
        """A body as the model understands it."""
        problems = [*_problems(getattr(kfp_server_api, model), body, model)]
        if not problems:
            client = kfp_server_api.ApiClient()
            read = client.deserialize(_Data(json.dumps(body)), model)
            assert client.sanitize_for_serialization(read) == body
        self.complaints += problems
        if problems:
            raise RefusedError(400, problems[0])
        return dict(body)


class _Data:
    def __init__(self, data: str) -> None:
        self.data = data


def _problems(model: Any, value: Any, where: str) -> Iterator[str]:
    """What a JSON value has that the generated model would not take."""
    if not model.openapi_types:  # an enumeration
        if value not in model.allowable_values:
            yield f"{where} = {value!r} is none of {model.allowable_values}"
        return
    if not isinstance(value, dict):
        yield f"{where} = {value!r} is no {model.__name__}"
        return
    kinds = {model.attribute_map[name]: kind for name, kind in model.openapi_types.items()}
    for key, one in value.items():
        if key not in kinds:
            yield f"{where}.{key} is unknown"
        else:
            yield from _value_problems(kinds[key], one, f"{where}.{key}")


def _value_problems(kind: str, value: Any, where: str) -> Iterator[str]:
    if kind.startswith("dict("):
        fits = isinstance(value, dict)
    elif kind in {"str", "datetime"}:
        fits = isinstance(value, str)
    elif kind == "bool":
        fits = isinstance(value, bool)
    elif kind == "object":
        fits = True
    else:
        yield from _problems(getattr(kfp_server_api, kind), value, where)
        return
    if not fits:
        yield f"{where} = {value!r} is no {kind}"


class _Handler(BaseHTTPRequestHandler):
    server_stub: KfpStub
    protocol_version = "HTTP/1.1"

    def _do(self) -> None:
        parts = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        body = self._body(raw)
        request = Request(
            self.command, parts.path.removeprefix(PREFIX), query, body, self.headers["Authorization"]
        )
        fault = self.server_stub.fault_for(request.method, request.path)
        if fault is not None and fault != "lost":
            self.server_stub.requests.append(request)
            self._go_wrong(fault)
            return
        try:
            answer, status = self.server_stub.answer(request), 200
        except RefusedError as error:
            answer, status = {"code": 3, "message": str(error), "error": str(error)}, error.status
        if fault == "lost":
            self._go_wrong("reset")
        else:
            self._send(status, json.dumps(answer).encode())

    do_GET = do_POST = do_DELETE = _do  # noqa: N815 - http.server's names

    def _body(self, raw: bytes) -> Any:
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("multipart/"):
            mail = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + raw, policy=HTTP)
            return {
                part.get_param("name", header="content-disposition"): part.get_content()
                for part in mail.iter_parts()
            }
        return json.loads(raw) if raw else None

    def _send(self, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _go_wrong(self, kind: str) -> None:
        match kind:
            case "hang":
                self.server_stub.hang()
                self.close_connection = True
            case "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
            case "page":
                self._send(200, b"<html>Log in</html>", "text/html")
            case "empty":
                self._send(200, b"{}")
            case "redirect":
                self._send(302, b"", "text/html", Location="/dex/auth")
            case answer if answer.startswith("{"):
                self._send(200, answer.encode())
            case status:
                self._send(int(status), b'{"code": 13, "message": "as the test asked"}')

    def log_message(self, *_: object) -> None:
        """Say nothing."""


# --- the calls


def _list(stub: KfpStub, request: Request, kind: str, keep: Callable[[JSON], bool] = lambda _: True) -> JSON:
    found = [one for one in getattr(stub.state, kind).values() if keep(one)]
    wanted = json.loads(request.query.get("filter") or "{}").get("predicates", [])
    for predicate in wanted:
        found = [one for one in found if _fits(stub, kind, predicate, one)]
    if sort_by := request.query.get("sort_by"):
        key, _, order = sort_by.partition(" ")
        found.sort(key=lambda one: one[key], reverse=order == "desc")
    begin = int(request.query.get("page_token") or 0)
    end = begin + int(request.query.get("page_size") or 20)
    more = {"next_page_token": str(end)} if end < len(found) else {}
    return ({kind_key(kind): found[begin:end]} if found[begin:end] else {}) | more


def kind_key(kind: str) -> str:
    """The list's key in an answer."""
    return {"recurring_runs": "recurringRuns"}.get(kind, kind)


def _fits(stub: KfpStub, kind: str, predicate: JSON, one: JSON) -> bool:
    key, operation = predicate["key"], predicate["operation"]
    unknown = predicate.keys() - {"key", "operation", "string_value", "string_values"}
    if key not in FILTERS[kind] or operation not in {"EQUALS", "IN"} or unknown:
        stub.complaints.append(f"filter {predicate} is not understood for {kind}")
        raise RefusedError(400, f"no support for filtering on {predicate}")
    values = [predicate["string_value"]] if operation == "EQUALS" else predicate["string_values"]["values"]
    return str(one.get(key, "")).lower() in {value.lower() for value in values}  # SQL's LOWER() on both sides


def _in_namespace(stub: KfpStub, request: Request) -> Callable[[JSON], bool]:
    given = request.query.get("namespace")
    if stub.namespace is not None and given != stub.namespace:
        raise RefusedError(403, f"the account may not list in namespace {given!r}")
    return lambda one: one.get("namespace") in {given, None}


def _create_pipeline(stub: KfpStub, request: Request) -> JSON:
    body = stub.read("V2beta1Pipeline", request.body)
    if any(one["display_name"] == body["display_name"] for one in stub.state.pipelines.values()):
        raise RefusedError(409, f"The pipeline {body['display_name']} already exists")
    return stub.keep("pipelines", "pipeline_id", body)


def _upload_version(stub: KfpStub, request: Request) -> JSON:
    pipeline_id, name = request.query["pipelineid"], request.query["name"]
    _pick(stub, "pipelines", pipeline_id)
    documents = [*yaml.safe_load_all(request.body["uploadfile"])]
    json_format.ParseDict(documents[0], pipeline_spec_pb2.PipelineSpec())
    versions = stub.state.pipeline_versions.values()
    if any(one["pipeline_id"] == pipeline_id and one["display_name"] == name for one in versions):
        raise RefusedError(409, f"The pipeline version {name} already exists")
    spec = documents[0]
    if len(documents) > 1:
        spec = {"pipeline_spec": documents[0], "platform_spec": documents[1]}
    made = {"pipeline_id": pipeline_id, "display_name": name, "name": name, "pipeline_spec": spec}
    return stub.keep("pipeline_versions", "pipeline_version_id", made)


def _create_experiment(stub: KfpStub, request: Request) -> JSON:
    body = stub.read("V2beta1Experiment", request.body)
    if any(one["display_name"] == body["display_name"] for one in stub.state.experiments.values()):
        raise RefusedError(409, f"The experiment {body['display_name']} already exists")
    return stub.keep("experiments", "experiment_id", body)


def _create_run(stub: KfpStub, request: Request) -> JSON:
    body = stub.read("V2beta1Run", request.body)
    _check_job(stub, body)
    stub.before_run()
    return stub.keep("runs", "run_id", {**body, "state": "PENDING", "finished_at": "1970-01-01T00:00:00Z"})


def _create_recurring_run(stub: KfpStub, request: Request) -> JSON:
    body = stub.read("V2beta1RecurringRun", request.body)
    _check_job(stub, body)
    # As the server fills in what it was not told, and writes 64-bit numbers as text.
    filled = {"service_account": "pipeline-runner", **body, "max_concurrency": str(body["max_concurrency"])}
    return stub.keep("recurring_runs", "recurring_run_id", filled)


def _check_job(stub: KfpStub, body: JSON) -> None:
    _pick(stub, "experiments", body["experiment_id"])
    reference = body["pipeline_version_reference"]
    version = _pick(stub, "pipeline_versions", reference["pipeline_version_id"])
    if version["pipeline_id"] != reference["pipeline_id"]:
        raise RefusedError(400, "the version is of another pipeline")
    spec = version["pipeline_spec"].get("pipeline_spec", version["pipeline_spec"])
    takes = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    if unknown := body["runtime_config"]["parameters"].keys() - takes.keys():
        raise RefusedError(400, f"parameter {sorted(unknown)} is not in the pipeline's inputs")


def _pick(stub: KfpStub, kind: str, one_id: str) -> JSON:
    try:
        return getattr(stub.state, kind)[one_id]
    except KeyError:
        raise RefusedError(404, f"{kind} {one_id} not found") from None


def _terminate(stub: KfpStub, _: Request, run_id: str) -> JSON:
    _pick(stub, "runs", run_id)["state"] = "CANCELING"
    return {}


def _delete_recurring_run(stub: KfpStub, _: Request, one_id: str) -> JSON:
    _pick(stub, "recurring_runs", one_id)
    del stub.state.recurring_runs[one_id]
    return {}


_ID = r"([\w-]+)"
_ROUTES: list[tuple[str, str, Callable[..., JSON]]] = [
    ("/pipelines", "GET", lambda stub, ask: _list(stub, ask, "pipelines", _in_namespace(stub, ask))),
    ("/pipelines", "POST", _create_pipeline),
    ("/pipelines/upload_version", "POST", _upload_version),
    (
        f"/pipelines/{_ID}/versions",
        "GET",
        lambda stub, ask, one: _list(
            stub, ask, "pipeline_versions", lambda version: version["pipeline_id"] == one
        ),
    ),
    (
        f"/pipelines/{_ID}/versions/{_ID}",
        "GET",
        lambda stub, _ask, _one, version: _pick(stub, "pipeline_versions", version),
    ),
    ("/experiments", "GET", lambda stub, ask: _list(stub, ask, "experiments", _in_namespace(stub, ask))),
    ("/experiments", "POST", _create_experiment),
    ("/runs", "GET", lambda stub, ask: _list(stub, ask, "runs", _in_namespace(stub, ask))),
    ("/runs", "POST", _create_run),
    (f"/runs/{_ID}:terminate", "POST", _terminate),
    (
        "/recurringruns",
        "GET",
        lambda stub, ask: _list(stub, ask, "recurring_runs", _in_namespace(stub, ask)),
    ),
    ("/recurringruns", "POST", _create_recurring_run),
    (f"/recurringruns/{_ID}", "DELETE", _delete_recurring_run),
]


def small_pipeline(folder: Path, name: str = "marquee-training", image: str = "python-a:1") -> Compiled:
    """A pipeline of one step that takes what training takes; compiling the real one takes seconds."""
    kinds = {str: "STRING", float: "NUMBER_DOUBLE", int: "NUMBER_INTEGER"}
    parameters = RunValues().parameters(run_id="r", reason="manual")
    takes = {
        key: {"parameterType": kinds[type(value)], "defaultValue": value, "isOptional": True}
        for key, value in parameters.items()
    }
    spec = {
        "pipelineInfo": {"name": name, "description": "One step."},
        "schemaVersion": "2.1.0",
        "deploymentSpec": {"executors": {"exec-step": {"container": {"image": image}}}},
        "components": {"comp-step": {"executorLabel": "exec-step"}},
        "root": {
            "dag": {"tasks": {"step": {"componentRef": {"name": "comp-step"}, "taskInfo": {"name": "step"}}}},
            "inputDefinitions": {"parameters": takes},
        },
    }
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {}}}}}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump_all([spec, platform]), encoding="utf-8")
    return Compiled(path, name, spec)


def environment_of(stub: KfpStub, folder: Path, **others: str) -> dict[str, str]:
    """The variables under which a command works with the stub; its token lies in the folder."""
    (folder / "token").write_text(f"{TOKEN}\n", encoding="utf-8")
    found = {"MARQUEE_KFP_HOST": stub.host, "MARQUEE_KFP_TOKEN_FILE": str(folder / "token")}
    namespace = {"MARQUEE_KFP_NAMESPACE": stub.namespace} if stub.namespace else {}
    return {**found, **namespace, **others}


def settings_of(stub: KfpStub, folder: Path, **others: str) -> Settings:
    """The same as settings; `others` by their fields' names."""
    variables = {f"MARQUEE_{name.upper()}": value for name, value in others.items()}
    return Settings.from_environment(environment_of(stub, folder, **variables))


def later(stub: KfpStub, seconds: float = 1.0) -> None:
    """Move the server's clock."""
    stub.now += timedelta(seconds=seconds)


@contextmanager
def clean(stub: KfpStub) -> Iterator[KfpStub]:
    """The running stub; at the end nothing may have arrived that the real server would not take."""
    with stub:
        yield stub
    assert stub.complaints == []
