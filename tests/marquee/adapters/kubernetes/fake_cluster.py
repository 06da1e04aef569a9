"""An API server over HTTP with one kind of object, KServe's webhook and its controller; with faults on order.

Objects have uid, generation and resourceVersion; a write that names another version is a conflict. The
controller goes one step with each reading, and writes its status, which makes a new version as well.
"""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import RLock, Thread
from typing import Any
from urllib.parse import urlsplit

import yaml

from marquee.adapters.kubernetes.arms import BUNDLE_KEY

OBJECT = re.compile(r"/apis/serving\.kserve\.io/v1beta1/namespaces/([^/]+)/inferenceservices(?:/([^/]+))?$")
DEPLOYMENT = re.compile(r"/apis/apps/v1/namespaces/([^/]+)/deployments/([^/]+)$")
PODS = re.compile(r"/api/v1/namespaces/([^/]+)/pods$")
SLOW_S = 0.6
"""Longer than the tests' clients wait."""
HANG_S = 60
"""For a client that is killed while it waits."""
NAMESPACE, NAME = "films", "marquee"
ADDRESS = f"k8s://{NAMESPACE}/{NAME}"

FAULTS = (
    "409",  # somebody else's change came first, of the metadata alone
    "500",
    "503",
    "reset",  # the connection breaks before anything is done
    "timeout",
    "500 after",  # it is done, and nobody hears so
    "reset after",
    "timeout after",
)


class RefusedError(Exception):
    """An answer that is a Status object."""

    def __init__(self, code: int, reason: str, message: str, **details: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "code": code,
            "reason": reason,
            "message": message,
            "details": details,
        }


@dataclass
class FakeCluster:
    """What a cluster holds, and how it behaves."""

    ready_after: int = 2
    """Readings until what was written last is ready."""
    namespaces: set[str] = field(default_factory=lambda: {NAMESPACE})
    faults: list[str] = field(default_factory=list)
    """Of the writes to come, in order; "" lets one pass."""
    read_faults: list[str] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)
    """Bundle id to what its pods say: never ready."""
    objects: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    commits: list[dict[str, Any]] = field(default_factory=list)
    """Every specification that was ever written by a client, in order."""
    requests: list[str] = field(default_factory=list)
    refuses: tuple[int, str] | None = None
    """Code and message for every request."""
    knows_kserve: bool = True

    def __post_init__(self) -> None:
        self.lock = RLock()
        self.version = 100
        self.looks: dict[tuple[str, str], int] = {}

    @property
    def live(self) -> dict[str, Any]:
        return self.objects[NAMESPACE, NAME]

    def arms(self) -> tuple[str, str | None, int]:
        """Bundle ids of stable arm and canary, and the share, as the object says."""
        return arms_of(self.live)

    def settle(self) -> None:
        """Time passes, and what was written is ready, as far as it can be."""
        with self.lock:
            for key in self.objects:
                for _ in range(self.ready_after + 2):
                    self._control(key)

    def reset(self, *, faults: list[str], read_faults: list[str]) -> None:
        """An empty cluster with these faults to come."""
        with self.lock:
            self.objects.clear()
            self.looks.clear()
            self.commits.clear()
            self.faults, self.read_faults = faults, read_faults

    # --- what clients do -------------------------------------------------------------------------

    def create(self, namespace: str, body: dict[str, Any]) -> dict[str, Any]:
        key = (namespace, body["metadata"]["name"])
        if namespace not in self.namespaces:
            message = f'namespaces "{namespace}" not found'
            raise RefusedError(404, "NotFound", message, name=namespace, kind="namespaces")
        if key in self.objects:
            raise RefusedError(
                409, "AlreadyExists", f'inferenceservices "{key[1]}" already exists', name=key[1]
            )
        admit(body, None)
        made = deepcopy(body)
        made["metadata"] |= {"namespace": namespace, "uid": f"uid-{self.version}", "generation": 1}
        self._store(key, made)
        self.commits.append(made)
        return made

    def read(self, key: tuple[str, str]) -> dict[str, Any]:
        self._require(key)
        self._control(key)
        return self.objects[key]

    def replace(self, key: tuple[str, str], body: dict[str, Any]) -> dict[str, Any]:
        old = self._require(key)
        if body["metadata"].get("resourceVersion") != old["metadata"]["resourceVersion"]:
            raise conflict(key[1])
        admit(body, old)
        made = deepcopy(body) | {"status": old.get("status", {})}
        made["metadata"] |= {name: old["metadata"][name] for name in ("uid", "namespace", "generation")}
        if made["spec"] != old["spec"]:
            made["metadata"]["generation"] += 1
            self.looks[key] = 0
        self._store(key, made)
        self.commits.append(made)
        return made

    def patch(self, key: tuple[str, str], body: dict[str, Any]) -> dict[str, Any]:
        old = self._require(key)
        merged = merge_patch(old, body)
        merged["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        return self.replace(key, merged)

    def delete(self, key: tuple[str, str]) -> dict[str, Any]:
        self._require(key)
        return self.objects.pop(key)

    def touch(self) -> None:
        """Somebody else's harmless change."""
        if (NAMESPACE, NAME) in self.objects:
            self.live["metadata"].setdefault("labels", {})["touched"] = str(self.version)
            self._store((NAMESPACE, NAME), self.live)

    # --- what the controller does ----------------------------------------------------------------

    def _control(self, key: tuple[str, str]) -> None:
        self.looks[key] = self.looks.get(key, 0) + 1
        found, is_ready = self.objects[key], self.looks[key] > self.ready_after
        stable, canary, percent = arms_of(found)
        # As on a real cluster: old pods serve meanwhile, so Ready says little.
        ready = "False" if stable in self.broken and found["metadata"]["generation"] == 1 else "True"
        status: dict[str, Any] = {
            "observedGeneration": found["metadata"]["generation"] if self.looks[key] > 1 else 0,
            "conditions": [{"type": "Ready", "status": ready, "reason": "" if ready == "True" else "Pods"}],
        }
        if canary is not None and self.looks[key] > 1:
            name = found["spec"]["canary"][0]["predictor"]["name"]
            its = {"name": name, "ready": is_ready and canary not in self.broken, "trafficPercent": percent}
            status["canaryStatuses"] = [its]
        if status != found.get("status"):
            found["status"] = status
            self._store(key, found)

    def deployment(self, namespace: str, name: str) -> dict[str, Any]:
        for (place, service), found in self.objects.items():
            predictor = found["spec"]["predictor"]
            parts = [service, predictor.get("name"), "predictor"]
            if place != namespace or "-".join(part for part in parts if part) != name:
                continue
            is_new = self.looks.get((place, service), 0) > self.ready_after
            is_new = is_new and arms_of(found)[0] not in self.broken
            wanted, notes = predictor["minReplicas"], predictor.get("annotations", {})
            return {
                "metadata": {"name": name, "generation": 2},
                "spec": {"replicas": wanted, "template": {"metadata": {"annotations": notes}}},
                "status": {
                    "observedGeneration": 2,
                    "replicas": wanted,
                    "updatedReplicas": wanted if is_new else 1,
                    "availableReplicas": wanted if is_new else wanted - 1,
                },
            }
        raise RefusedError(
            404, "NotFound", f'deployments.apps "{name}" not found', name=name, kind="deployments"
        )

    def pods(self) -> dict[str, Any]:
        items = []
        for found in self.objects.values():
            for bundle in arms_of(found)[:2]:
                if bundle in self.broken:
                    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": self.broken[bundle]}}
                    state = {"name": "storage-initializer", "state": waiting}
                    name = {"name": f"marquee-{bundle[:4]}-0"}
                    items.append({"metadata": name, "status": {"initContainerStatuses": [state]}})
        return {"kind": "PodList", "items": items}

    def _store(self, key: tuple[str, str], made: dict[str, Any]) -> None:
        self.version += 1
        made["metadata"]["resourceVersion"] = str(self.version)
        self.objects[key] = made

    def _require(self, key: tuple[str, str]) -> dict[str, Any]:
        if key not in self.objects:
            message = f'inferenceservices.serving.kserve.io "{key[1]}" not found'
            raise RefusedError(404, "NotFound", message, name=key[1], kind="inferenceservices")
        return self.objects[key]


def conflict(name: str) -> RefusedError:
    return RefusedError(409, "Conflict", f'Operation cannot be fulfilled on "{name}": it has been modified')


def merge_patch(old: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return deepcopy(patch)
    merged = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def admit(new: dict[str, Any], old: dict[str, Any] | None) -> None:
    """KServe's webhook, as far as canaries go: notes on it are in docs of KServe 0.21."""
    mode = "serving.kserve.io/deploymentMode"
    annotations = new["metadata"].get("annotations", {})
    stable, canaries = new["spec"]["predictor"], new["spec"].get("canary", [])
    names = [stable.get("name"), *(each["predictor"].get("name") for each in canaries)]
    faults = {
        "deploymentMode is immutable": old is not None
        and old["metadata"].get("annotations", {}).get(mode) != annotations.get(mode),
        "annotations must be strings": not all(isinstance(value, str) for value in annotations.values()),
        "canary needs Standard": bool(canaries) and annotations.get(mode) != "Standard",
        "canary predictor.name must be set and unique": None in names[1:] or len(set(names)) < len(names),
        "trafficPercent sum > 100": sum(each["trafficPercent"] for each in canaries) > 100,
        "canary may not scale": any(
            key in each["predictor"]
            for each in canaries
            for key in ("maxReplicas", "scaleTarget", "scaleMetric", "autoScaling", "workerSpec")
        ),
        "canary minReplicas > stable's": any(
            each["predictor"].get("minReplicas", 1) > stable.get("minReplicas", 1) for each in canaries
        ),
        "storage URI missing, or without a slash at its end": not all(
            uri_of(predictor).endswith("/")
            for predictor in (stable, *(each["predictor"] for each in canaries))
        ),
    }
    for fault, holds in faults.items():
        if holds:
            message = (
                f'admission webhook "inferenceservice.kserve-webhook-server" denied the request: {fault}'
            )
            raise RefusedError(400, "BadRequest", message)


def uri_of(predictor: dict[str, Any]) -> str:
    env = predictor["containers"][0].get("env", [])
    return next((each["value"] for each in env if each["name"] == "STORAGE_URI"), "")


def arms_of(found: dict[str, Any]) -> tuple[str, str | None, int]:
    def bundle(predictor: dict[str, Any]) -> str:
        return predictor.get("annotations", {}).get(BUNDLE_KEY, "")

    stable = bundle(found["spec"]["predictor"])
    for entry in found["spec"].get("canary", []):
        return stable, bundle(entry["predictor"]), entry["trafficPercent"]
    return stable, None, 0


class Handler(BaseHTTPRequestHandler):
    """Answers for the cluster of its server."""

    server: "ApiServer"

    def do_GET(self) -> None:
        self._answer(self.server.cluster.read_faults)

    def do_POST(self) -> None:
        self._answer(self.server.cluster.faults)

    def do_PUT(self) -> None:
        self._answer(self.server.cluster.faults)

    def do_PATCH(self) -> None:
        self._answer(self.server.cluster.faults)

    def do_DELETE(self) -> None:
        self._answer(self.server.cluster.faults)

    def _answer(self, faults: list[str]) -> None:
        length, cluster = int(self.headers.get("Content-Length") or 0), self.server.cluster
        body = json.loads(self.rfile.read(length)) if length else {}
        with cluster.lock:
            path = urlsplit(self.path).path
            cluster.requests.append(f"{self.command} {path}")
            fault, _, when = (faults.pop(0) if faults and OBJECT.match(path) else "").partition(" ")
            code, answer = (0, {}) if fault and when != "after" else self._done(path, body)
            if fault == "409":
                cluster.touch()
                code, answer = 409, conflict(NAME).status
        if fault in {"timeout", "hang"}:
            time.sleep(SLOW_S if fault == "timeout" else HANG_S)
        if fault in {"reset", "timeout", "hang"}:
            self.close_connection = True
            return
        if fault in {"500", "503"}:
            code, answer = int(fault), RefusedError(int(fault), "Internal", "etcdserver: no leader").status
        self._send(code, answer)

    def _done(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        try:
            if self.server.cluster.refuses:
                code, message = self.server.cluster.refuses
                raise RefusedError(code, "Refused", message)
            return (201 if self.command == "POST" else 200), deepcopy(self._routed(path, body))
        except RefusedError as refused:
            return refused.code, refused.status

    def _routed(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        cluster = self.server.cluster
        if found := DEPLOYMENT.match(path):
            return cluster.deployment(found[1], found[2])
        if PODS.match(path):
            return cluster.pods()
        found = OBJECT.match(path)
        if not found or not cluster.knows_kserve:
            raise RefusedError(404, "NotFound", "the server could not find the requested resource")
        key = (found[1], found[2])
        changes = {"PUT": cluster.replace, "PATCH": cluster.patch}
        if self.command == "POST":
            return cluster.create(found[1], body)
        if self.command in changes:
            return changes[self.command](key, body)
        return cluster.delete(key) if self.command == "DELETE" else cluster.read(key)

    def _send(self, code: int, answer: dict[str, Any]) -> None:
        content = json.dumps(answer).encode()
        try:
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # a client that waited no longer

    def log_message(self, *_: object) -> None:
        pass


class ApiServer(ThreadingHTTPServer):
    """On a port of its own."""

    def __init__(self, cluster: FakeCluster) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.cluster = cluster


@contextmanager
def serving(cluster: FakeCluster) -> Iterator[str]:
    """The address of its API server, while the block lasts."""
    server = ApiServer(cluster)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def write_kubeconfig(file: Path, url: str) -> Path:
    """A kubeconfig of that server."""
    values = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "fake",
        "clusters": [{"name": "fake", "cluster": {"server": url}}],
        "users": [{"name": "tester", "user": {"token": "a-token"}}],
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "tester"}}],
    }
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    return file
