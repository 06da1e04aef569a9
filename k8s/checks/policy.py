"""The house's rules for pods: what runs is bounded, watched, unprivileged and known by name."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from k8s.checks.finding import Finding, Manifest, Path, at, list_at, mapping_at
from k8s.checks.pods import Pod, pods_of

_IMAGE: Final = re.compile(
    r"(?P<name>[a-z0-9][-a-z0-9._/:]*?)(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_MOVING: Final = frozenset({"latest", "main", "master", "stable", "edge", "nightly"})
Faults = Iterator[tuple[Path, str]]


def policy_findings(manifest: Manifest, *, is_final: bool, by_digest: bool) -> Iterator[Finding]:
    """Which rules an object's pods break.

    Args:
        manifest: an object.
        is_final: it is meant to be applied, so that images must have their names.
        by_digest: our own images must be named by what they hold.
    """
    for pod in pods_of(manifest):
        for path, problem in (*_pod(pod), *_containers(pod, is_final=is_final, by_digest=by_digest)):
            yield Finding(pod.where, path, problem)


def _pod(pod: Pod) -> Faults:
    for field in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"):
        if pod.spec.get(field):
            yield (*pod.path, field), "a pod shares nothing with its node or among its containers"
    for index, volume in enumerate(list_at(pod.spec, "volumes")):
        if "hostPath" in mapping_at(volume):
            yield (*pod.path, "volumes", index), "hostPath opens the node to the pod"
        if "emptyDir" in mapping_at(volume) and not at(volume, "emptyDir", "sizeLimit"):
            yield (*pod.path, "volumes", index), "an emptyDir without sizeLimit fills the node's disk"
    if not pod.spec.get("serviceAccountName") or pod.spec.get("serviceAccountName") == "default":
        yield (*pod.path, "serviceAccountName"), "each workload has an account of its own"
    yield from _life(pod)


def _life(pod: Pod) -> Faults:
    if not isinstance(pod.spec.get("automountServiceAccountToken"), bool):
        yield (*pod.path, "automountServiceAccountToken"), "say whether the pod needs a token of the API"
    if pod.ends and pod.spec.get("restartPolicy") not in {"Never", "OnFailure"}:
        yield (*pod.path, "restartPolicy"), "a job's pods end"
    if (
        not pod.ends
        and not pod.is_canary
        and not _is_knative(pod)
        and not pod.spec.get("terminationGracePeriodSeconds")
    ):
        yield (*pod.path, "terminationGracePeriodSeconds"), "say how long what was begun may take"


def _is_knative(pod: Pod) -> bool:
    mode = at(pod.owner, "metadata", "annotations", "serving.kserve.io/deploymentMode")
    return bool(mode == "Knative")


def _containers(pod: Pod, *, is_final: bool, by_digest: bool) -> Faults:
    names: list[Any] = []
    for path, container in pod.containers():
        names.append(container.get("name"))
        image = container.get("image")
        for problem in _image(image, is_final=is_final, by_digest=by_digest):
            yield (*path, "image"), problem
        for problem in _bounds(container):
            yield (*path, "resources"), problem
        for problem in _privileges(container, mapping_at(pod.spec, "securityContext")):
            yield (*path, "securityContext"), problem
        declared = {at(volume, "name") for volume in list_at(pod.spec, "volumes")}
        claimed = {
            at(claim, "metadata", "name") for claim in list_at(pod.owner, "spec", "volumeClaimTemplates")
        }
        for index, mount in enumerate(list_at(container, "volumeMounts")):
            if at(mount, "name") not in declared | claimed:
                yield (*path, "volumeMounts", index), f"the pod has no volume {at(mount, 'name')!r}"
    if len(set(names)) < len(names):
        yield pod.path, f"two containers have one name: {names}"
    if not pod.ends:
        for path, container in pod.containers(init=False):
            yield from _probes(pod, path, container)


def _image(image: object, *, is_final: bool, by_digest: bool) -> Iterator[str]:
    match = _IMAGE.fullmatch(image) if isinstance(image, str) else None
    if match is None:
        yield f"{image!r} is no image"
        return
    if match["tag"] is None and match["digest"] is None:
        yield f"{image} has neither tag nor digest: that is latest"
    if match["tag"] in _MOVING:
        yield f"{image}: what {match['tag']} means changes"
    if is_final and match["tag"] == "placeholder":
        yield f"{image} is a placeholder: the overlay's images: names it"
    if by_digest and "marquee" in match["name"] and match["digest"] is None:
        yield f"{image} is not named by its digest"


def _bounds(container: Mapping[str, Any]) -> Iterator[str]:
    for room in ("requests", "limits"):
        given = mapping_at(container, "resources", room)
        for name in ("cpu", "memory"):
            if name not in given:
                yield f"{room}.{name} is missing"


def _privileges(container: Mapping[str, Any], of_pod: Mapping[str, Any]) -> Iterator[str]:
    own = mapping_at(container, "securityContext")
    if own.get("runAsNonRoot", of_pod.get("runAsNonRoot")) is not True:
        yield "runAsNonRoot is not true"
    user = own.get("runAsUser", of_pod.get("runAsUser"))
    if not isinstance(user, int) or user == 0:
        yield f"runAsUser is {user!r}: an image's own user may be root"
    if own.get("readOnlyRootFilesystem") is not True:
        yield "readOnlyRootFilesystem is not true"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    if own.get("privileged"):
        yield "is privileged"
    if list_at(own, "capabilities", "drop") != ["ALL"] or list_at(own, "capabilities", "add"):
        yield "capabilities: drop ALL, add none"
    profile = mapping_at(own, "seccompProfile") or mapping_at(of_pod, "seccompProfile")
    if profile.get("type") != "RuntimeDefault":
        yield "seccompProfile.type is not RuntimeDefault"


def _probes(pod: Pod, path: Path, container: Mapping[str, Any]) -> Faults:
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        given = mapping_at(container, probe)
        ways = {"httpGet", "exec", "tcpSocket", "grpc"} & set(given)
        if len(ways) != 1:
            yield (*path, probe), "is missing" if not given else f"asks in {len(ways)} ways instead of one"
        port = next((at(given, way, "port") for way in sorted(ways & {"httpGet", "tcpSocket"})), None)
        if ways and port is not None and port not in _ports(container):
            yield (*path, probe), f"asks at {port!r}, which the container does not name among its ports"
    if pod.is_predictor:
        yield from _predictor_probes(pod, path, container)


def _ports(container: Mapping[str, Any]) -> set[Any]:
    ports = list_at(container, "ports")
    return {at(port, "name") for port in ports} | {at(port, "containerPort") for port in ports}


def _predictor_probes(pod: Pod, path: Path, container: Mapping[str, Any]) -> Faults:
    given = (str(word).partition("=") for word in list_at(container, "args"))
    served = next((value for name, _, value in given if name == "--model_name"), "")
    for probe in ("startupProbe", "readinessProbe"):
        if at(container, probe, "httpGet", "path") != f"/v1/models/{served}":
            yield (*path, probe), "asks something else than the model: /v2/health/ready is always true"
    if _is_knative(pod):
        return
    sleep = at(container, "lifecycle", "preStop", "sleep", "seconds")
    grace = pod.spec.get("terminationGracePeriodSeconds")
    if not isinstance(sleep, int) or sleep < 5:
        yield (*path, "lifecycle"), "no preStop sleep of 5 s or more: requests arrive at a closed socket"
    elif not isinstance(grace, int) or grace < sleep + 30:
        yield (
            (*pod.path, "terminationGracePeriodSeconds"),
            f"{grace} is less than the sleep and 30 s to finish",
        )
