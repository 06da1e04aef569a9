"""Whether an arm takes requests, from what the cluster says: pure.

`Ready` of an InferenceService is true as long as old pods serve, and leaves canaries out. So the stable arm
counts as ready when its Deployment has rolled the very bundle out, and a canary when KServe says so of the
name that only this content has.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from marquee.adapters.kubernetes.arms import BUNDLE_KEY, Manifest, canary_of, is_standard, stable_of


class Standing(NamedTuple):
    """How far an arm has come."""

    is_ready: bool
    words: str
    """For people: what is there, or what is missing."""


def stable_standing(manifest: Manifest, deployment: Mapping[str, Any] | None) -> Standing:
    """Of the stable arm.

    Args:
        manifest: of the InferenceService, with its status.
        deployment: of its pods, None where there is none.
    """
    status = manifest.get("status") or {}
    seen = status.get("observedGeneration")
    if seen is not None and seen < manifest["metadata"].get("generation", 0):
        return Standing(False, "KServe has not seen it yet")
    if is_standard(manifest):
        standing = _rolled_out(deployment, stable_of(manifest).bundle_id)
        if not standing.is_ready:
            return standing
    ready = _condition(status, "Ready")
    if ready.get("status") != "True":
        return Standing(False, _words(ready) or "no condition Ready yet")
    return Standing(True, "ready")


def canary_standing(manifest: Manifest) -> Standing:
    """Of the canary."""
    if canary_of(manifest) is None:
        return Standing(False, "no canary")
    name = manifest["spec"]["canary"][0]["predictor"].get("name")
    for each in (manifest.get("status") or {}).get("canaryStatuses") or []:
        if each.get("name") == name:
            return Standing(
                bool(each.get("ready")), "ready" if each.get("ready") else "no pod is available yet"
            )
    return Standing(False, "KServe has not seen it yet")


def split_standing(manifest: Manifest) -> Standing:
    """Of the share that the canary is to have."""
    found = canary_of(manifest)
    standing = canary_standing(manifest)
    if found is None or not standing.is_ready:
        return standing
    wanted = found[1]
    given = manifest["status"]["canaryStatuses"][0].get("trafficPercent") or 0
    return Standing(given == wanted, f"{given} % of {wanted} %" if given != wanted else f"{wanted} %")


def pod_troubles(pods: Sequence[Mapping[str, Any]]) -> list[str]:
    """What keeps pods from serving, a line each: `pod/container: reason: message`."""
    return sorted({trouble for pod in pods for trouble in _troubles(pod)})


def condition_troubles(manifest: Mapping[str, Any]) -> list[str]:
    """The conditions that are not met, with their messages."""
    conditions = (manifest.get("status") or {}).get("conditions") or []
    unmet = (each for each in conditions if each.get("status") != "True")
    return [f"{each.get('type')}: {words}" for each in unmet if (words := _words(each))]


def _rolled_out(deployment: Mapping[str, Any] | None, bundle: str) -> Standing:
    """As `kubectl rollout status` judges, and of the pods of this bundle."""
    if deployment is None:
        return Standing(False, "its Deployment is not there yet")
    template = deployment["spec"]["template"]["metadata"].get("annotations") or {}
    status, wanted = deployment.get("status") or {}, deployment["spec"].get("replicas", 1)
    seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    if template.get(BUNDLE_KEY) != bundle or not seen:
        return Standing(False, "its Deployment does not have the bundle yet")
    updated, there = status.get("updatedReplicas") or 0, status.get("replicas") or 0
    available = status.get("availableReplicas") or 0
    if updated < wanted or there > updated or available < updated:
        words = f"{updated} of {wanted} pods have the bundle, {available} of {there} are available"
        return Standing(False, words)
    return Standing(True, "ready")


def _troubles(pod: Mapping[str, Any]) -> Iterator[str]:
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind) or []:
            state = container.get("state") or {}
            stopped = state.get("waiting") or state.get("terminated") or {}
            if stopped.get("exitCode") != 0 and stopped.get("reason") not in {None, "PodInitializing"}:
                yield f"{name}/{container['name']}: {_words(stopped)}"
    for each in status.get("conditions") or []:
        if each.get("type") == "PodScheduled" and each.get("status") == "False":
            yield f"{name}: {_words(each)}"


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    found = (each for each in status.get("conditions") or [] if each.get("type") == kind)
    return next(found, {})


def _words(values: Mapping[str, Any]) -> str:
    return ": ".join(str(values[key]) for key in ("reason", "message") if values.get(key))
