"""Every fault put into the manifests is found: keys misspelt, values of another type, wrong meanings."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from k8s.checks.finding import at, name_of
from k8s.checks.judge import findings
from tests.k8s.mutations import Mutation, Objects, other_types, renamed_keys

Change = Callable[[dict[str, Any]], None]
OTHERS = [
    "overlays/local",
    "tests/canary",
    "tests/ab-autoscaling",
    "tests/aws-knative",
    "tests/canary-tracing",
]


def missed(objects: Objects, mutations: list[Mutation]) -> list[str]:
    return [str(mutation) for mutation in mutations if not mutation.findings(objects)]


def test_every_misspelt_key_of_production_is_found(rendered):
    objects = rendered("overlays/production")
    mutations = list(renamed_keys(objects))

    assert missed(objects, mutations) == []
    assert len(mutations) > 800


def test_every_value_of_another_type_in_production_is_found(rendered):
    objects = rendered("overlays/production")
    mutations = list(other_types(objects))

    assert missed(objects, mutations) == []
    assert len(mutations) > 1_500


@pytest.mark.slow
@pytest.mark.parametrize("place", OTHERS)
def test_every_fault_in_a_combination_is_found(rendered, place: str):
    objects = rendered(place)
    mutations = [*renamed_keys(objects), *other_types(objects)]

    assert missed(objects, mutations) == []
    assert len(mutations) > 2_000


def put(*path: str | int, value: object) -> Change:
    def change(manifest: dict[str, Any]) -> None:
        at(manifest, *path[:-1])[path[-1]] = copy.deepcopy(value)

    return change


def drop(*path: str | int) -> Change:
    def change(manifest: dict[str, Any]) -> None:
        del at(manifest, *path[:-1])[path[-1]]

    return change


def add(*path: str | int, value: object) -> Change:
    def change(manifest: dict[str, Any]) -> None:
        at(manifest, *path).append(copy.deepcopy(value))

    return change


def another_canary(percent: int) -> Change:
    def change(manifest: dict[str, Any]) -> None:
        predictor = {**copy.deepcopy(manifest["spec"]["predictor"]), "name": "another"}
        manifest["spec"].setdefault("canary", []).append({"trafficPercent": percent, "predictor": predictor})

    return change


PREDICTOR = ("spec", "predictor")
SERVER = (*PREDICTOR, "containers", 0)
CANARY = ("spec", "canary", 0, "predictor")
SERVICE = "InferenceService/marquee"
DRIFT = "CronJob/marquee-drift"
PLACE = "ConfigMap/marquee-place"
COLLECTOR = "NetworkPolicy/recommender-to-collector"
NAME = "app.kubernetes.io/name"
SAMPLER = "OTEL_TRACES_SAMPLER"
JOB = ("spec", "jobTemplate", "spec", "template", "spec", "containers", 0)
BIG = {"name": "big", "image": "x:1"}
CASES: list[tuple[str, str, str, Change]] = [
    # place, object, what the finding says, what was done
    # --- KServe's webhooks
    ("production", SERVICE, "no bundle", put(*SERVER, "env", 0, "name", value="STORAGE_URL")),
    ("production", SERVICE, "slash", put(*SERVER, "env", 0, "value", value="s3://b/models/v1")),
    ("production", SERVICE, "no bundle", put(*SERVER, "env", 0, "value", value="bucket/v1/")),
    ("production", SERVICE, "PROTOCOL", put(*SERVER, "env", 1, "value", value="V1")),
    ("production", SERVICE, "PROTOCOL", drop(*SERVER, "env", 1)),
    ("production", SERVICE, "kserve-container", put(*SERVER, "name", value="server")),
    ("production", SERVICE, "exactly one container", add(*PREDICTOR, "containers", value=BIG)),
    (
        "production",
        SERVICE,
        "deploymentMode",
        drop("metadata", "annotations", "serving.kserve.io/deploymentMode"),
    ),
    (
        "production",
        SERVICE,
        "deploymentMode",
        put("metadata", "annotations", "serving.kserve.io/deploymentMode", value="standard"),
    ),
    (
        "production",
        SERVICE,
        "autoscalerClass",
        put("metadata", "annotations", "serving.kserve.io/autoscalerClass", value="HPA"),
    ),
    ("production", SERVICE, "begins with a letter", put("metadata", "name", value="1-marquee")),
    ("production", SERVICE, "ignored in Standard", put(*PREDICTOR, "canaryTrafficPercent", value=10)),
    ("production", SERVICE, "more than maxReplicas", put(*PREDICTOR, "minReplicas", value=13)),
    ("production", SERVICE, "from zero", put(*PREDICTOR, "minReplicas", value=0)),
    ("production", SERVICE, "1 to 100", put(*PREDICTOR, "scaleTarget", value=600)),
    ("production", SERVICE, "hpa knows", put(*PREDICTOR, "scaleMetric", value="rps")),
    ("production", SERVICE, "only keda", put(*PREDICTOR, "autoScaling", value={"metrics": []})),
    ("production", SERVICE, "canaries ignore storageUris", put(*PREDICTOR, "storageUris", value=[])),
    ("production", SERVICE, "batcher", put(*PREDICTOR, "batcher", value={"maxBatchSize": 8})),
    ("production", SERVICE, "a hop more", put("spec", "transformer", value={"minReplicas": 1})),
    ("production", SERVICE, "model_name", put(*SERVER, "args", value=["--enable_grpc=false"])),
    ("canary", SERVICE, "110 % together", another_canary(100)),
    ("canary", SERVICE, "out of range", put("spec", "canary", 0, "trafficPercent", value=101)),
    ("canary", SERVICE, "no trafficPercent", drop("spec", "canary", 0, "trafficPercent")),
    ("canary", SERVICE, "a name of its own", drop(*CANARY, "name")),
    ("canary", SERVICE, "webhook refuses", put(*CANARY, "maxReplicas", value=3)),
    ("canary", SERVICE, "webhook refuses", put(*CANARY, "scaleTarget", value=60)),
    ("canary", SERVICE, "more than the stable", put(*CANARY, "minReplicas", value=3)),
    ("canary", SERVICE, "differs from the stable", drop(*CANARY, "containers", 0, "lifecycle")),
    ("canary", SERVICE, "differs from the stable", drop(*CANARY, "volumes", 1)),
    ("canary", SERVICE, "is missing", drop(*CANARY, "containers", 0, "readinessProbe")),
    ("canary", SERVICE, "slash", put(*CANARY, "containers", 0, "env", 0, "value", value="s3://b/v2")),
    ("aws-knative", SERVICE, "one port", add(*SERVER, "ports", value={"containerPort": 8081})),
    (
        "aws-knative",
        SERVICE,
        "no place",
        put(*SERVER, "lifecycle", value={"preStop": {"sleep": {"seconds": 10}}}),
    ),
    ("aws-knative", SERVICE, "out of range", put(*PREDICTOR, "canaryTrafficPercent", value=-1)),
    ("aws-knative", SERVICE, "for Standard mode", another_canary(5)),
    # --- what runs is bounded and watched
    ("production", SERVICE, "limits.memory", drop(*SERVER, "resources", "limits", "memory")),
    ("production", SERVICE, "requests.cpu", drop(*SERVER, "resources", "requests", "cpu")),
    (
        "production",
        SERVICE,
        "more than its limit",
        put(*SERVER, "resources", "requests", "memory", value="4Gi"),
    ),
    ("production", SERVICE, "no amount", put(*SERVER, "resources", "limits", "memory", value="2GB")),
    ("production", DRIFT, "limits.cpu", drop(*JOB, "resources", "limits", "cpu")),
    ("production", SERVICE, "readinessProbe: is missing", drop(*SERVER, "readinessProbe")),
    ("production", SERVICE, "livenessProbe: is missing", drop(*SERVER, "livenessProbe")),
    (
        "production",
        SERVICE,
        "always true",
        put(*SERVER, "readinessProbe", "httpGet", "path", value="/v2/health/ready"),
    ),
    ("production", SERVICE, "does not name", put(*SERVER, "livenessProbe", "httpGet", "port", value=8081)),
    ("production", SERVICE, "2 ways", put(*SERVER, "livenessProbe", "tcpSocket", value={"port": 8080})),
    ("production", SERVICE, "preStop", put(*SERVER, "lifecycle", "preStop", "sleep", "seconds", value=1)),
    (
        "production",
        SERVICE,
        "less than the sleep",
        put(*PREDICTOR, "terminationGracePeriodSeconds", value=30),
    ),
    ("production", SERVICE, "out of range", put(*SERVER, "readinessProbe", "periodSeconds", value=0)),
    ("production", SERVICE, "out of range", put(*SERVER, "ports", 0, "containerPort", value=80_800)),
    ("production", DRIFT, "no schedule", put("spec", "schedule", value="0 30 4 * * *")),
    ("production", DRIFT, "no schedule", put("spec", "schedule", value="30 24 * * *")),
    ("production", DRIFT, "no timeZone", put("spec", "timeZone", value="CET/Berlin")),
    ("production", DRIFT, "no concurrencyPolicy", put("spec", "concurrencyPolicy", value="forbid")),
    ("production", DRIFT, "nothing sets $(DATASETS)", put(*JOB, "args", 3, value="--dataset=$(DATASETS)")),
    ("production", SERVICE, "not spread", drop(*PREDICTOR, "topologySpreadConstraints", 0)),
    (
        "production",
        SERVICE,
        "no node has",
        put(*PREDICTOR, "topologySpreadConstraints", 0, "topologyKey", value="kubernetes.io/zone"),
    ),
    (
        "production",
        "PodDisruptionBudget/marquee",
        "selects everything",
        drop("spec", "selector", "matchLabels"),
    ),
    (
        "production",
        "PodDisruptionBudget/marquee",
        "finds no pod",
        put("spec", "selector", "matchLabels", "serving.kserve.io/inferenceservice", value="marqee"),
    ),
    (
        "production",
        "PodDisruptionBudget/marquee",
        "out of range",
        put("spec", "maxUnavailable", value="150%"),
    ),
    # --- images
    ("production", SERVICE, "means changes", put(*SERVER, "image", value="r.example/x:latest")),
    ("production", SERVICE, "that is latest", put(*SERVER, "image", value="r.example/x")),
    ("production", SERVICE, "by its digest", put(*SERVER, "image", value="r.example/marquee-serving:1.0.0")),
    ("production", SERVICE, "is a placeholder", put(*SERVER, "image", value="marquee-serving:placeholder")),
    ("production", DRIFT, "no image", put(*JOB, "image", value="r.example/x@sha256:12")),
    # --- privileges
    (
        "production",
        SERVICE,
        "readOnlyRootFilesystem",
        drop(*SERVER, "securityContext", "readOnlyRootFilesystem"),
    ),
    ("production", SERVICE, "runAsNonRoot", put(*SERVER, "securityContext", "runAsNonRoot", value=False)),
    ("production", SERVICE, "runAsUser", put(*PREDICTOR, "securityContext", "runAsUser", value=0)),
    (
        "production",
        SERVICE,
        "drop ALL",
        put(*SERVER, "securityContext", "capabilities", "drop", value=["NET_RAW"]),
    ),
    (
        "production",
        SERVICE,
        "drop ALL",
        put(*SERVER, "securityContext", "capabilities", "add", value=["SYS_TIME"]),
    ),
    ("production", SERVICE, "is privileged", put(*SERVER, "securityContext", "privileged", value=True)),
    (
        "production",
        SERVICE,
        "Escalation",
        put(*SERVER, "securityContext", "allowPrivilegeEscalation", value=True),
    ),
    (
        "production",
        SERVICE,
        "seccompProfile",
        put(*SERVER, "securityContext", "seccompProfile", "type", value="Unconfined"),
    ),
    ("production", SERVICE, "shares nothing", put(*PREDICTOR, "hostNetwork", value=True)),
    (
        "production",
        SERVICE,
        "hostPath",
        add(*PREDICTOR, "volumes", value={"name": "node", "hostPath": {"path": "/"}}),
    ),
    ("production", SERVICE, "sizeLimit", put(*PREDICTOR, "volumes", 3, "emptyDir", value={})),
    ("production", SERVICE, "token of the API", drop(*PREDICTOR, "automountServiceAccountToken")),
    ("production", SERVICE, "account of its own", put(*PREDICTOR, "serviceAccountName", value="default")),
    ("production", "ServiceAccount/marquee-drift", "a token", drop("automountServiceAccountToken")),
    (
        "production",
        "Namespace/marquee",
        "not restricted",
        put("metadata", "labels", "pod-security.kubernetes.io/enforce", value="baseline"),
    ),
    # --- rights
    ("production", "Role/marquee-deployer", "name them", put("rules", 0, "verbs", value=["*"])),
    ("production", "Role/marquee-deployer", "name them", put("rules", 0, "resources", value=["*"])),
    (
        "production",
        "Role/marquee-deployer",
        "more than it says",
        put("rules", 3, "resources", value=["secrets"]),
    ),
    (
        "production",
        "Role/marquee-deployer",
        "more than it says",
        put("rules", 0, "verbs", value=["escalate"]),
    ),
    ("production", "Role/marquee-deployer", "resourceNames", drop("rules", 0, "resourceNames")),
    ("production", "Role/marquee-deployer", "no ClusterRole", put("kind", value="ClusterRole")),
    ("production", "RoleBinding/marquee-deployer", "no Role", put("roleRef", "name", value="admin")),
    ("production", "RoleBinding/marquee-deployer", "no Role", put("roleRef", "kind", value="ClusterRole")),
    (
        "production",
        "RoleBinding/marquee-deployer",
        "no ServiceAccount",
        put("subjects", 0, "name", value="x"),
    ),
    ("production", "RoleBinding/marquee-deployer", "binds nobody", put("subjects", value=[])),
    # --- secrets
    (
        "production",
        SERVICE,
        "as text",
        add(*SERVER, "env", value={"name": "AWS_SECRET_ACCESS_KEY", "value": "x"}),
    ),
    ("production", "ConfigMap/marquee-place", "in a ConfigMap", put("data", "REDIS_PASSWORD", value="x")),
    (
        "production",
        "ConfigMap/marquee-place",
        "like a secret",
        put("data", "REDIS_ADDRESS", value="redis://u:p@h:1"),
    ),
    ("production", "ConfigMap/marquee-place", "did you mean", put("data", "MARQUEE_EXPOSURE", value="none")),
    ("production", "ConfigMap/marquee-place", "FEAST_REGISTRY_URL", drop("data", "FEAST_REGISTRY_URL")),
    ("production", "ConfigMap/marquee-place", "nothing sets $(METRICS)", drop("data", "METRICS")),
    ("production", "ConfigMap/marquee-place", "no profile", put("data", "MARQUEE_PROFILE", value="asw")),
    # --- networks
    (
        "production",
        "NetworkPolicy/default-deny",
        "none allows",
        put("spec", "policyTypes", value=["Ingress"]),
    ),
    ("production", "NetworkPolicy/default-deny", "none allows", put("spec", "ingress", value=[{}])),
    ("production", "NetworkPolicy/recommender", "open to all", drop("spec", "ingress", 0, "from")),
    ("production", "NetworkPolicy/recommender", "every one is open", drop("spec", "egress", 0, "ports")),
    (
        "production",
        "NetworkPolicy/recommender",
        "metadata",
        drop("spec", "egress", 0, "to", 0, "ipBlock", "except"),
    ),
    (
        "production",
        "NetworkPolicy/recommender",
        "metadata",
        put("spec", "egress", 0, "to", 0, "ipBlock", value={"cidr": "128.0.0.0/1"}),
    ),
    (
        "production",
        "NetworkPolicy/recommender",
        "no cidr",
        put("spec", "egress", 0, "to", 0, "ipBlock", "cidr", value="0.0.0.0/33"),
    ),
    (
        "production",
        "NetworkPolicy/recommender",
        "counts for nothing",
        put("spec", "policyTypes", value=["Ingress"]),
    ),
    (
        "production",
        "NetworkPolicy/recommender",
        "has no port",
        put("spec", "ingress", 0, "ports", 0, "port", value=80),
    ),
    (
        "production",
        "NetworkPolicy/recommender",
        "finds no pod",
        put("spec", "podSelector", "matchLabels", "app.kubernetes.io/name", value="recomender"),
    ),
    ("local", "Service/redis", "the gateway alone", put("spec", "type", value="LoadBalancer")),
    ("local", "Service/redis", "has no port", put("spec", "ports", 0, "targetPort", value="rediss")),
    ("local", "StatefulSet/redis", "no such Service", put("spec", "serviceName", value="rediss")),
    # --- names that must be there
    (
        "production",
        SERVICE,
        "no PersistentVolumeClaim",
        put(*PREDICTOR, "volumes", 0, "persistentVolumeClaim", "claimName", value="x"),
    ),
    ("production", SERVICE, "no volume", put(*SERVER, "volumeMounts", 0, "name", value="x")),
    ("production", SERVICE, "no ConfigMap", put(*SERVER, "envFrom", 0, "configMapRef", "name", value="x")),
    ("production", SERVICE, "no ServiceAccount", put(*PREDICTOR, "serviceAccountName", value="x")),
    ("production", SERVICE, "is none of marquee", put("metadata", "namespace", value="default")),
    ("production", SERVICE, "is none of marquee", drop("metadata", "namespace")),
    # --- custom resources of others
    ("ab", SERVICE, "no Service", put(*PREDICTOR, "name", value="v1")),
    (
        "ab",
        "HTTPRoute/marquee-ab",
        "no Service",
        put("spec", "rules", 0, "backendRefs", 0, "name", value="x"),
    ),
    (
        "ab",
        "HTTPRoute/marquee-ab",
        "type",
        put("spec", "rules", 0, "matches", 0, "path", "type", value="Prefix"),
    ),
    ("ab", "HTTPRoute/marquee-ab", "port", put("spec", "rules", 0, "backendRefs", 0, "port", value=0)),
    ("ab", "HTTPRoute/marquee-ab", "hostnames", put("spec", "hostnames", 0, value="Marquee Example")),
    (
        "production",
        "PodMonitor/recommender",
        "longer than interval",
        put("spec", "podMetricsEndpoints", 0, "scrapeTimeout", value="30s"),
    ),
    (
        "production",
        "PodMonitor/recommender",
        "has no port",
        put("spec", "podMetricsEndpoints", 0, "port", value="http"),
    ),
    (
        "production",
        "PodMonitor/recommender",
        "interval",
        put("spec", "podMetricsEndpoints", 0, "interval", value="15 s"),
    ),
    ("production", "ExternalSecret/marquee-settings", "empty", drop("spec", "dataFrom")),
    (
        "production",
        "ExternalSecret/marquee-settings",
        "kind",
        put("spec", "secretStoreRef", "kind", value="Store"),
    ),
    ("production", "PrometheusRule/marquee", "exactly one", drop("spec", "groups", 0, "rules", 0, "record")),
    ("production", "PrometheusRule/marquee", "groups", put("spec", "groups", value=[])),
    ("tracing", PLACE, "no sampler; did you", put("data", SAMPLER, value="parentbased_traceidration")),
    ("tracing", PLACE, "no share", put("data", f"{SAMPLER}_ARG", value="5")),
    ("tracing", PLACE, "no share", put("data", f"{SAMPLER}_ARG", value="5%")),
    ("tracing", PLACE, "nobody reads", put("data", "OTEL_EXPORTER_OTLP_ENDPONT", value="http://c:4318")),
    ("tracing", COLLECTOR, "finds no pod", put("spec", "podSelector", "matchLabels", NAME, value="server")),
]


@pytest.mark.parametrize(
    ("place", "name", "problem", "change"),
    CASES,
    ids=[f"{n}-{c[1].split('/')[0]}" for n, c in enumerate(CASES)],
)
def test_fault_of_meaning_is_found_and_named(rendered, place: str, name: str, problem: str, change: Change):
    place = f"overlays/{place}" if place in {"production", "local"} else f"tests/{place}"
    by_digest = place == "overlays/production"
    objects = list(rendered(place))
    position = next(index for index, one in enumerate(objects) if name_of(one).startswith(name))
    objects[position] = copy.deepcopy(objects[position])
    change(objects[position])

    said = [str(one) for one in findings(objects, by_digest=by_digest)]
    assert any(problem in one for one in said), said


def test_secret_with_a_value_is_found(rendered):
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "marquee-object-store", "namespace": "marquee"},
        "stringData": {"AWS_ACCESS_KEY_ID": "x"},
    }

    said = "\n".join(map(str, findings([*rendered("overlays/local"), secret])))

    assert "a secret's value in a manifest" in said


def test_object_twice_is_found(rendered):
    objects = rendered("overlays/local")

    assert "is there twice" in "\n".join(map(str, findings([*objects, objects[0]])))
