"""Names that nobody checks but their reader: labels, annotations, variables. A typo there says nothing."""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path as FilePath
from typing import Final

from k8s.checks.finding import Finding, Manifest, Path, leaves, mapping_at, name_of
from marquee.settings import Settings

LABELS: Final = frozenset(
    {
        "app.kubernetes.io/name",
        "app.kubernetes.io/part-of",
        "app.kubernetes.io/component",
        "app.kubernetes.io/version",
        "app.kubernetes.io/managed-by",
        "kubernetes.io/metadata.name",
        "k8s-app",
        "serving.kserve.io/inferenceservice",
        "networking.kserve.io/visibility",
        "pod-security.kubernetes.io/enforce",
        "pod-security.kubernetes.io/enforce-version",
        "grafana_dashboard",
        "grafana_folder",
        "release",
        "prometheus",
        "role",
        "severity",
        "team",
    }
)
ANNOTATIONS: Final = frozenset(
    {
        "serving.kserve.io/deploymentMode",
        "serving.kserve.io/autoscalerClass",
        "serving.kserve.io/enable-tag-routing",
        "serving.kserve.io/stop",
        "serving.kserve.io/s3-endpoint",
        "serving.kserve.io/s3-region",
        "serving.kserve.io/s3-usehttps",
        "serving.knative.dev/rollout-duration",
        "eks.amazonaws.com/role-arn",
        "eks.amazonaws.com/token-expiration",
        "marquee.dev/bundle-id",
        "marquee.dev/run-id",
        "marquee.dev/previous",
        "marquee.dev/rolled-back-from",
        "marquee.dev/base-hash",
        "grafana_folder",
        "k8s-sidecar-target-directory",
    }
)
ALERT_LABELS: Final = frozenset({"severity", "team", "promise", "window"})
ALERT_ANNOTATIONS: Final = frozenset({"summary", "description", "runbook_url", "dashboard"})
"""What notifications are made of, and sent by."""
TOPOLOGY: Final = frozenset({"topology.kubernetes.io/zone", "kubernetes.io/hostname"})
PLACE: Final = "marquee-place"
_OTHERS: Final = frozenset(
    {
        "DATASET",
        "METRICS",
        "AWS_REGION",
        "AWS_ENDPOINT_URL_S3",
        "AWS_STS_REGIONAL_ENDPOINTS",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_RESOURCE_ATTRIBUTES",
        "OTEL_SDK_DISABLED",
        "OTEL_SERVICE_NAME",
        "OTEL_TRACES_SAMPLER",
        "OTEL_TRACES_SAMPLER_ARG",
    }
)
"""Of our own command lines, of Amazon's clients, and of OpenTelemetry."""
SAMPLERS: Final = frozenset(
    {
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    }
)
"""Of OpenTelemetry's specification; its SDK warns of any other, and traces every call."""
_LABEL_ROOMS: Final = frozenset({"labels", "matchLabels", "podSelector", "selector"})
_SHARE: Final = re.compile(r"0(\.\d+)?|1(\.0+)?")
_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")
Faults = Iterator[tuple[Path, str]]


def variables_of_profiles() -> frozenset[str]:
    """What the feature store's profiles ask of the environment."""
    root = FilePath(__file__).parents[2]
    files = [*(root / "feature_repo" / "profiles").glob("*.yaml"), *(root / "k8s").rglob("profile/*.yaml")]
    return frozenset(name for file in files for name in _VARIABLE.findall(file.read_text(encoding="utf-8")))


def vocabulary_findings(manifest: Manifest) -> Iterator[Finding]:
    """Keys that nobody reads."""
    for path, problem in (*_keys(manifest), *_place(manifest), *_dashboards(manifest)):
        yield Finding(name_of(manifest), path, problem)


def _keys(manifest: Manifest) -> Faults:
    for path, value in leaves(manifest):
        if len(path) < 2:
            continue
        room, key = path[-2], str(path[-1])
        is_alert = "rules" in path and manifest.get("kind") == "PrometheusRule"
        labels = ALERT_LABELS if is_alert else LABELS
        annotations = ALERT_ANNOTATIONS if is_alert else ANNOTATIONS
        is_selector = room == "selector" and manifest.get("kind") == "Service"
        if (room in {"labels", "matchLabels"} or is_selector) and key not in labels:
            yield path, f"no label that anybody reads{_near(key, labels)}"
        elif room == "annotations" and key not in annotations:
            yield path, f"no annotation that anybody reads{_near(key, annotations)}"
        elif room == "podTargetLabels" and value not in LABELS:
            yield path, f"{value!r} is no label of ours"
        elif key == "topologyKey" and value not in TOPOLOGY:
            yield path, f"{value!r}: no node has such a label"
        elif key == "key" and "matchExpressions" in path and value not in LABELS:
            yield path, f"{value!r} is no label of ours"


def _place(manifest: Manifest) -> Faults:
    name = str(mapping_at(manifest, "metadata").get("name"))
    if manifest.get("kind") != "ConfigMap" or not name.startswith(PLACE):
        return
    known = _OTHERS | variables_of_profiles() | {f"MARQUEE_{name.upper()}" for name in Settings.model_fields}
    for key in mapping_at(manifest, "data"):
        if key not in known:
            yield ("data", key), f"nobody reads this variable{_near(key, known)}"
    yield from _sampler(mapping_at(manifest, "data"))


def _sampler(variables: Mapping[str, object]) -> Faults:
    sampler, share = (str(variables.get(f"OTEL_TRACES_SAMPLER{end}", "")) for end in ("", "_ARG"))
    if sampler and sampler not in SAMPLERS:
        yield ("data", "OTEL_TRACES_SAMPLER"), f"{sampler!r} is no sampler{_near(sampler, SAMPLERS)}"
    if share and not _SHARE.fullmatch(share):
        yield ("data", "OTEL_TRACES_SAMPLER_ARG"), f"{share!r} is no share from 0 to 1"


def _dashboards(manifest: Manifest) -> Faults:
    labels = mapping_at(manifest, "metadata", "labels")
    if manifest.get("kind") == "ConfigMap" and "grafana_dashboard" in labels:
        for key in mapping_at(manifest, "data"):
            if not key.endswith(".json"):
                yield ("data", key), "Grafana's sidecar takes files that end in .json"


def _near(word: str, known: frozenset[str]) -> str:
    near = get_close_matches(word, known, n=1, cutoff=0.8)
    return f"; did you mean {near[0]}?" if near else ""
