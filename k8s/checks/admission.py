"""What KServe's admission webhooks and controller ask of an InferenceService or an InferenceGraph.

Source: kserve/kserve, pkg/apis/serving/v1beta1 (validation and canary webhooks) and pkg/controller, as of the
release 0.21; where the controller ignores a field without a word, that is a finding, too.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from k8s.checks.finding import Finding, Manifest, Path, at, list_at, mapping_at, name_of

CONTAINER: Final = "kserve-container"
MODE: Final = "serving.kserve.io/deploymentMode"
SCALER: Final = "serving.kserve.io/autoscalerClass"
_NAME: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_FRAMEWORKS: Final = frozenset(
    {
        "model",
        "sklearn",
        "xgboost",
        "lightgbm",
        "tensorflow",
        "pytorch",
        "triton",
        "onnx",
        "pmml",
        "paddle",
        "huggingface",
    }
)
_NOT_IN_CANARY: Final = (
    "maxReplicas",
    "scaleTarget",
    "scaleMetric",
    "autoScaling",
    "workerSpec",
    "storageUris",
)
_SAME_IN_CANARY: Final = (
    "ports", "startupProbe", "readinessProbe", "livenessProbe", "lifecycle", "envFrom", "securityContext",
    "volumeMounts",
)  # fmt: skip
_NOT_IN_KNATIVE: Final = (
    "terminationGracePeriodSeconds", "topologySpreadConstraints", "deploymentStrategy", "autoScaling",
    "securityContext",
)  # fmt: skip
"""Pod fields that Knative refuses, or takes with a feature switched on only."""
Faults = Iterator[tuple[Path, str]]


def admission_findings(manifest: Manifest) -> Iterator[Finding]:
    """What would be refused, or would do nothing."""
    kind = manifest.get("kind")
    faults = (
        _service(manifest)
        if kind == "InferenceService"
        else _graph(manifest)
        if kind == "InferenceGraph"
        else ()
    )
    for path, problem in faults:
        yield Finding(name_of(manifest), path, problem)


def _service(manifest: Manifest) -> Faults:
    name = str(at(manifest, "metadata", "name"))
    if not _NAME.fullmatch(name):
        yield ("metadata", "name"), f"{name!r}: an InferenceService begins with a letter"
    annotations = mapping_at(manifest, "metadata", "annotations")
    mode = annotations.get(MODE)
    if mode not in {"Standard", "Knative"}:
        yield ("metadata", "annotations"), f"{MODE} is {mode!r}; unset, the cluster's default would apply"
    for field in sorted({"transformer", "explainer"} & set(mapping_at(manifest, "spec"))):
        yield ("spec", field), "a hop more, passed over by canaries; one container answers here"
    yield from _predictor(manifest, ("spec", "predictor"))
    if mode == "Knative":
        yield from _knative(manifest)
    else:
        yield from _standard(manifest, annotations)
    yield from _canaries(manifest, mode)


def _predictor(manifest: Manifest, path: Path) -> Faults:
    predictor = mapping_at(manifest, *path)
    for field in sorted(_FRAMEWORKS & set(predictor)):
        yield (*path, field), "a server of KServe's beside ours"
    for field in sorted({"batcher", "logger", "storageUris"} & set(predictor)):
        yield (
            (*path, field),
            "not used: the batcher waits 5 s, the logger is a hop, canaries ignore storageUris",
        )
    containers = list_at(predictor, "containers")
    named = [index for index, one in enumerate(containers) if at(one, "name") == CONTAINER]
    if len(named) != 1 or len(containers) != 1:
        yield (*path, "containers"), f"exactly one container, called {CONTAINER}, is wanted"
        return
    here: Path = (*path, "containers", named[0])
    env = {at(one, "name"): at(one, "value") for one in list_at(containers[named[0]], "env")}
    uri = env.get("STORAGE_URI")
    if not isinstance(uri, str) or not re.fullmatch(r"(s3|gs|pvc|https?)://\S+", uri):
        yield (*here, "env"), f"STORAGE_URI is {uri!r}: no bundle would come"
    elif not uri.endswith("/"):
        yield (*here, "env"), f"STORAGE_URI {uri} does not end with a slash: …/v1 brings …/v10 along"
    if env.get("PROTOCOL") not in {"v1", "v2"}:
        yield (*here, "env"), f"PROTOCOL is {env.get('PROTOCOL')!r}; v1 or v2 is wanted"
    args = " ".join(map(str, list_at(containers[named[0]], "args")))
    if "--model_name=" not in args:
        yield (*here, "args"), "--model_name is not given"
    low, high = at(predictor, "minReplicas"), at(predictor, "maxReplicas")
    if isinstance(low, int) and isinstance(high, int) and low > high:
        yield (*path, "minReplicas"), f"{low} is more than maxReplicas, {high}"


def _standard(manifest: Manifest, annotations: Mapping[str, Any]) -> Faults:
    predictor = mapping_at(manifest, "spec", "predictor")
    scaler = annotations.get(SCALER)
    if scaler not in {"hpa", "keda", "external", "none"}:
        yield ("metadata", "annotations"), f"{SCALER} is {scaler!r}: scale fields would go unchecked"
    for field in ("canaryTrafficPercent", "containerConcurrency"):
        if field in predictor:
            yield ("spec", "predictor", field), "is ignored in Standard mode without a word"
    if scaler == "hpa" and predictor.get("scaleMetric") not in {"cpu", "memory"}:
        yield ("spec", "predictor", "scaleMetric"), "hpa knows cpu and memory"
    target = predictor.get("scaleTarget")
    if predictor.get("scaleMetric") in {"cpu", "memory"} and not (
        isinstance(target, int) and 1 <= target <= 100
    ):
        yield ("spec", "predictor", "scaleTarget"), f"{target!r} is no share of what is requested, 1 to 100"
    if scaler == "keda" and not list_at(predictor, "autoScaling", "metrics"):
        yield ("spec", "predictor", "autoScaling"), "keda has nothing to scale by"
    if scaler != "keda" and "autoScaling" in predictor:
        yield ("spec", "predictor", "autoScaling"), f"only keda reads it, and {SCALER} is {scaler!r}"
    if {"scaleMetric", "autoScaling"} <= set(predictor):
        yield ("spec", "predictor"), "scaleMetric and autoScaling are two answers to one question"
    low = predictor.get("minReplicas")
    if not isinstance(low, int) or low < 1:
        yield (
            ("spec", "predictor", "minReplicas"),
            f"{low!r}: nothing starts from zero by HTTP in Standard mode",
        )


def _knative(manifest: Manifest) -> Faults:
    predictor = mapping_at(manifest, "spec", "predictor")
    for field in _NOT_IN_KNATIVE:
        if field in predictor:
            yield ("spec", "predictor", field), "Knative has no place for it"
    for index, container in enumerate(list_at(predictor, "containers")):
        here: Path = ("spec", "predictor", "containers", index)
        if "lifecycle" in mapping_at(container):
            yield (*here, "lifecycle"), "Knative has no place for it"
        if len(list_at(container, "ports")) > 1:
            yield (*here, "ports"), "Knative takes one port"


def _canaries(manifest: Manifest, mode: object) -> Faults:
    entries = list_at(manifest, "spec", "canary")
    if not entries:
        return
    if mode != "Standard":
        yield ("spec", "canary"), "is for Standard mode; Knative has canaryTrafficPercent"
    total = sum(share for one in entries if isinstance(share := at(one, "trafficPercent"), int))
    if total > 100:
        yield ("spec", "canary"), f"the canaries' shares are {total} % together"
    stable = mapping_at(manifest, "spec", "predictor")
    names = [stable.get("name"), *(at(one, "predictor", "name") for one in entries)]
    if None in names[1:] or len(set(names)) < len(names):
        yield ("spec", "canary"), f"each canary needs a name of its own, and the names are {names[1:]}"
    for index, entry in enumerate(entries):
        path: Path = ("spec", "canary", index, "predictor")
        if not isinstance(at(entry, "trafficPercent"), int):
            yield path[:-1], "has no trafficPercent"
        yield from _canary(manifest, stable, path)


def _canary(manifest: Manifest, stable: Mapping[str, Any], path: Path) -> Faults:
    canary = mapping_at(manifest, *path)
    for field in _NOT_IN_CANARY:
        if field in canary:
            yield (*path, field), "the webhook refuses it in a canary"
    low, most = canary.get("minReplicas"), stable.get("minReplicas")
    if isinstance(low, int) and isinstance(most, int) and low > most:
        yield (*path, "minReplicas"), f"{low} is more than the stable one's, {most}"
    yield from _predictor(manifest, path)
    ours, theirs = at(canary, "containers", 0), at(stable, "containers", 0)
    for field in _SAME_IN_CANARY:
        if at(ours, field) != at(theirs, field):
            yield (
                (*path, "containers", 0, field),
                "differs from the stable one's: KServe replaces and does not merge",
            )
    for field in ("serviceAccountName", "securityContext", "volumes", "terminationGracePeriodSeconds"):
        if canary.get(field) != stable.get(field):
            yield (*path, field), "differs from the stable one's: KServe replaces and does not merge"


def _graph(manifest: Manifest) -> Faults:
    nodes = mapping_at(manifest, "spec", "nodes")
    if "root" not in nodes:
        yield ("spec", "nodes"), "has no node called root"
    for name, node in nodes.items():
        path: Path = ("spec", "nodes", name)
        steps = list_at(node, "steps")
        kind = at(node, "routerType")
        if kind not in {"Splitter", "Switch", "Sequence", "Ensemble"}:
            yield (*path, "routerType"), f"{kind!r} is no router"
        if kind == "Splitter" and sum(w for s in steps if isinstance(w := at(s, "weight"), int)) != 100:
            yield (*path, "steps"), "the weights of a Splitter are 100 together"
        if kind == "Switch" and (not steps or at(steps[-1], "condition") != "@this"):
            yield (*path, "steps"), 'the last condition of a Switch is "@this": no match is a 404'
        for index, step in enumerate(steps):
            targets = {"nodeName", "serviceName", "serviceUrl"} & set(mapping_at(step))
            if len(targets) != 1:
                yield (*path, "steps", index), f"one target is wanted, and it has {len(targets)}"
