"""What objects say of one another: names that must be there, selectors that must find something."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from k8s.checks.finding import Finding, Manifest, Path, at, list_at, mapping_at, name_of
from k8s.checks.pods import Pod
from k8s.checks.scene import Scene

_USED: Final = re.compile(r"\$\((\w+)\)")
_PROFILE: Final = re.compile(r"\$\{(\w+)\}")
_GIVEN: Final = frozenset({"MARQUEE_STATE_URL", "MARQUEE_STATE"})
"""Variables of a profile that the program fills in by itself."""
OUTSIDE: Final = frozenset({"marquee-exposure-options", "marquee-object-store", "marquee-settings"})
"""Secrets that are made on the cluster, by hand or by an operator."""


def reference_findings(scene: Scene) -> Iterator[Finding]:
    """What is named and is not there."""
    yield from _twice(scene)
    for manifest in scene.objects:
        for judge in (_selectors, _targets, _listeners, _binding, _route, _namespaces):
            for path, problem in judge(manifest, scene):
                yield Finding(name_of(manifest), path, problem)
    for pod in scene.pods:
        for path, problem in (*_volumes(pod, scene), *_variables(pod, scene)):
            yield Finding(pod.where, path, problem)


def _twice(scene: Scene) -> Iterator[Finding]:
    seen: set[tuple[Any, ...]] = set()
    for manifest in scene.objects:
        key = (manifest.get("apiVersion"), name_of(manifest), at(manifest, "metadata", "namespace"))
        if key in seen:
            yield Finding(name_of(manifest), (), "is there twice")
        seen.add(key)


def _selectors(manifest: Manifest, scene: Scene) -> Iterator[tuple[Path, str]]:
    for path in _places_of_selectors(manifest):
        selector = mapping_at(manifest, *path)
        if not selector and manifest.get("kind") != "NetworkPolicy":
            yield path, "selects everything"
        elif not scene.found(selector):
            yield path, "finds no pod"


def _places_of_selectors(manifest: Manifest) -> Iterator[Path]:
    kind = manifest.get("kind")
    if kind in {"PodDisruptionBudget", "Deployment", "StatefulSet", "PodMonitor"}:
        yield ("spec", "selector")
    if kind != "NetworkPolicy":
        return
    yield ("spec", "podSelector")
    for room, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(list_at(manifest, "spec", room)):
            for place, peer in enumerate(list_at(rule, peers)):
                if "podSelector" in mapping_at(peer) and "namespaceSelector" not in mapping_at(peer):
                    yield ("spec", room, index, peers, place, "podSelector")


def _targets(manifest: Manifest, scene: Scene) -> Iterator[tuple[Path, str]]:
    """What Services and PodMonitors ask is there, by its port, too."""
    kind = manifest.get("kind")
    if kind == "Service":
        selector = mapping_at(manifest, "spec", "selector")
        found = scene.found({"matchLabels": selector}) if selector else []
        if not found:
            yield ("spec", "selector"), "finds no pod"
        yield from _ports(manifest, ("spec", "ports"), "targetPort", found)
    if kind == "PodMonitor":
        found = scene.found(mapping_at(manifest, "spec", "selector"))
        yield from _ports(manifest, ("spec", "podMetricsEndpoints"), "port", found)
    if kind == "StatefulSet" and at(manifest, "spec", "serviceName") not in scene.named("Service"):
        yield ("spec", "serviceName"), "there is no such Service"


def _ports(
    manifest: Manifest, path: Path, field: str, pods: list[Pod], *, below: Path = ()
) -> Iterator[tuple[Path, str]]:
    for index, entry in enumerate(list_at(manifest, *path)):
        wanted = at(entry, field)
        for pod in pods:
            if wanted not in _declared(pod):
                yield (*below, *path, index, field), f"{pod.where} has no port {wanted!r}"


def _listeners(manifest: Manifest, scene: Scene) -> Iterator[tuple[Path, str]]:
    """What a policy lets in, somebody waits for."""
    if manifest.get("kind") != "NetworkPolicy":
        return
    pods = scene.found(mapping_at(manifest, "spec", "podSelector"))
    for index, rule in enumerate(list_at(manifest, "spec", "ingress")):
        yield from _ports(rule, ("ports",), "port", pods, below=("spec", "ingress", index))


def _declared(pod: Pod) -> set[Any]:
    ports = [port for _, container in pod.containers(init=False) for port in list_at(container, "ports")]
    return {at(port, "name") for port in ports} | {at(port, "containerPort") for port in ports}


def _binding(manifest: Manifest, scene: Scene) -> Iterator[tuple[Path, str]]:
    if manifest.get("kind") != "RoleBinding":
        return
    role = mapping_at(manifest, "roleRef")
    if role.get("kind") != "Role" or role.get("name") not in scene.named("Role"):
        yield ("roleRef",), f"there is no Role {role.get('name')!r}"
    if role.get("apiGroup") != "rbac.authorization.k8s.io":
        yield ("roleRef", "apiGroup"), "is rbac.authorization.k8s.io"
    for index, subject in enumerate(list_at(manifest, "subjects")):
        known = at(subject, "kind") == "ServiceAccount" and at(subject, "name") in scene.named(
            "ServiceAccount"
        )
        if not known or at(subject, "namespace") is None:
            yield (
                ("subjects", index),
                f"there is no ServiceAccount {at(subject, 'name')!r} with its namespace",
            )
    if not list_at(manifest, "subjects"):
        yield ("subjects",), "binds nobody"


def _route(manifest: Manifest, scene: Scene) -> Iterator[tuple[Path, str]]:
    if manifest.get("kind") != "HTTPRoute":
        return
    services = set(scene.named("Service"))
    for name, service in scene.named("InferenceService").items():
        own = at(service, "spec", "predictor", "name")
        services.add(f"{name}-{own}-predictor" if own else f"{name}-predictor")
    for index, rule in enumerate(list_at(manifest, "spec", "rules")):
        for place, backend in enumerate(list_at(rule, "backendRefs")):
            if at(backend, "name") not in services:
                path: Path = ("spec", "rules", index, "backendRefs", place)
                yield path, f"there will be no Service {at(backend, 'name')!r}"


def _namespaces(manifest: Manifest, scene: Scene) -> Iterator[tuple[Path, str]]:
    spaces = scene.named("Namespace")
    space = at(manifest, "metadata", "namespace")
    if spaces and manifest.get("kind") != "Namespace" and space not in spaces:
        yield ("metadata", "namespace"), f"{space!r} is none of {', '.join(spaces)}"


def _volumes(pod: Pod, scene: Scene) -> Iterator[tuple[Path, str]]:
    account = pod.spec.get("serviceAccountName")
    if account not in scene.named("ServiceAccount"):
        yield (*pod.path, "serviceAccountName"), f"there is no ServiceAccount {account!r}"
    rooms = (
        ("persistentVolumeClaim", "claimName", "PersistentVolumeClaim"), ("configMap", "name", "ConfigMap"),
        ("secret", "secretName", "Secret"),
    )  # fmt: skip
    for index, volume in enumerate(list_at(pod.spec, "volumes")):
        for room, field, kind in rooms:
            if room in mapping_at(volume) and not at(volume, room, "optional"):
                yield from _named(at(volume, room, field), kind, scene, (*pod.path, "volumes", index, room))


def _named(name: object, kind: str, scene: Scene, path: Path) -> Iterator[tuple[Path, str]]:
    known = set(scene.named(kind)) | (OUTSIDE if kind == "Secret" else set())
    if name not in known:
        yield path, f"there is no {kind} {name!r}"


def _variables(pod: Pod, scene: Scene) -> Iterator[tuple[Path, str]]:
    for path, container in pod.containers():
        given: dict[str, Any] = {}
        for index, source in enumerate(list_at(container, "envFrom")):
            for room, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
                name = at(source, room, "name")
                if name is not None and not at(source, room, "optional"):
                    yield from _named(name, kind, scene, (*path, "envFrom", index))
                given |= (
                    mapping_at(scene.named("ConfigMap").get(str(name), {}), "data")
                    if room == "configMapRef"
                    else {}
                )
        for index, variable in enumerate(list_at(container, "env")):
            secret = at(variable, "valueFrom", "secretKeyRef", "name")
            if secret is not None:
                yield from _named(secret, "Secret", scene, (*path, "env", index))
            if "value" not in mapping_at(variable) and not mapping_at(variable, "valueFrom"):
                yield (*path, "env", index), "has neither value nor source"
            given[str(at(variable, "name"))] = at(variable, "value") or ""
        for word, where in _words(container):
            for name in sorted(set(_USED.findall(word)) - set(given)):
                yield (*path, *where), f"nothing sets $({name})"
        yield from _profile(given, scene, path)


def _words(container: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    for room in ("command", "args"):
        for index, word in enumerate(list_at(container, room)):
            yield str(word), (room, index)
    for index, variable in enumerate(list_at(container, "env")):
        if isinstance(at(variable, "value"), str):
            yield variable["value"], ("env", index)


def _profile(given: Mapping[str, Any], scene: Scene, path: Path) -> Iterator[tuple[Path, str]]:
    """A profile of the feature store has all that it asks for; its variables must be of its own place."""
    profile = given.get("MARQUEE_PROFILE")
    if profile is None:
        return
    wanted = _asked_by(str(profile), scene)
    if wanted is None:
        yield (*path, "envFrom"), f"there is no profile {profile}"
        return
    for name in sorted(wanted - _GIVEN - {key for key, value in given.items() if value}):
        yield (*path, "envFrom"), f"the profile {profile} asks for {name}, and nothing sets it"


def _asked_by(profile: str, scene: Scene) -> frozenset[str] | None:
    from k8s.checks.rendering import ROOT  # noqa: PLC0415 - of this one question

    file = ROOT.parent / "feature_repo" / "profiles" / f"{profile}.yaml"
    if file.is_file():
        return frozenset(_PROFILE.findall(file.read_text(encoding="utf-8")))
    for name, manifest in scene.named("ConfigMap").items():
        text = mapping_at(manifest, "data").get(profile.rpartition("/")[2])
        if name.startswith("marquee-profile") and isinstance(text, str):
            lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
            return frozenset(_PROFILE.findall("\n".join(lines)))
    return None
