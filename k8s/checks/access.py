"""Who may do what, what may speak to what, and that no manifest holds a secret."""

import re
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Final

from k8s.checks.finding import Finding, Manifest, Path, at, leaves, list_at, mapping_at, name_of
from k8s.checks.pods import pods_of

_SECRET_NAME: Final = re.compile(r"(?i)(password|passwd|secret|token|credential|api_?key|access_?key)")
_NOT_SECRET: Final = re.compile(r"_(FILE|PATH|NAME|URI)$")
_SECRET_VALUE: Final = re.compile(
    r"\b(AKIA|ASIA)[0-9A-Z]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY|\bgh[pousr]_\w{30,}|://[^/\s:@$]+:[^/\s:@$]+@"
)
_TOO_MUCH: Final = frozenset({"secrets", "pods/exec", "pods/attach", "serviceaccounts/token", "nodes/proxy"})
_METADATA: Final = ip_address("169.254.169.254")
"""Where a node's own credentials can be had."""
_ESCALATES: Final = frozenset({"escalate", "bind", "impersonate"})
Faults = Iterator[tuple[Path, str]]


def access_findings(manifest: Manifest) -> Iterator[Finding]:
    """Rights that are too wide, doors that stand open, secrets in the open."""
    judges = {
        "Role": _role, "ClusterRole": _cluster, "ClusterRoleBinding": _cluster, "NetworkPolicy": _network,
        "ServiceAccount": _account, "Service": _service, "Secret": _secret, "Namespace": _namespace,
    }  # fmt: skip
    judge = judges.get(str(manifest.get("kind")))
    for path, problem in (*(judge(manifest) if judge else ()), *_in_the_open(manifest)):
        yield Finding(name_of(manifest), path, problem)


def _cluster(manifest: Manifest) -> Faults:
    yield (), "rights are given in one namespace: no ClusterRole is needed here"
    yield from _role(manifest)


def _role(manifest: Manifest) -> Faults:
    for index, rule in enumerate(list_at(manifest, "rules")):
        path: Path = ("rules", index)
        for field in ("apiGroups", "resources", "verbs"):
            words = list_at(rule, field)
            if "*" in words or not words:
                yield (*path, field), f"{words}: name them"
        if wide := _TOO_MUCH & set(map(str, list_at(rule, "resources"))):
            yield (*path, "resources"), f"{', '.join(sorted(wide))} would give more than it says"
        if wide := _ESCALATES & set(map(str, list_at(rule, "verbs"))):
            yield (*path, "verbs"), f"{', '.join(sorted(wide))} would give more than it says"
        writes = {"update", "patch", "delete", "deletecollection"} & set(map(str, list_at(rule, "verbs")))
        if writes and not list_at(rule, "resourceNames"):
            yield path, f"{', '.join(sorted(writes))} of every object: give resourceNames"


def _network(manifest: Manifest) -> Faults:
    kinds = list_at(manifest, "spec", "policyTypes")
    for room, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(list_at(manifest, "spec", room)):
            path: Path = ("spec", room, index)
            if room.capitalize() not in kinds:
                yield path, f"counts for nothing: policyTypes has no {room.capitalize()}"
            yield from _door(rule, peers, path)
    if not kinds:
        yield ("spec",), "say policyTypes: left out, egress stays open"


def _door(rule: object, peers: str, path: Path) -> Faults:
    for field, open_to in ((peers, "open to all"), ("ports", "every one is open")):
        if not list_at(rule, field):
            yield path, f"has no {field}: {open_to}"
    for index, port in enumerate(list_at(rule, "ports")):
        if not isinstance(at(port, "port"), int):
            yield (*path, "ports", index), "is no number: nobody outside has a port of that name"
    for index, peer in enumerate(list_at(rule, peers)):
        if problem := _peer(peer):
            yield (*path, peers, index), problem


def _peer(peer: object) -> str:
    block = mapping_at(peer, "ipBlock")
    inside = [word for word in (block.get("cidr"),) if word and _has_metadata(word)]
    if inside and not any(_has_metadata(word) for word in list_at(block, "except")):
        return "reaches the node's metadata, and with them its role: except 169.254.0.0/16"
    selectors = [mapping_at(peer).get(name) for name in ("podSelector", "namespaceSelector")]
    if not block and all(not selector for selector in selectors):
        return "selects everything"
    return ""


def _has_metadata(network: object) -> bool:
    try:
        return _METADATA in ip_network(str(network))
    except ValueError:
        return False


def _account(manifest: Manifest) -> Faults:
    if manifest.get("automountServiceAccountToken") is not False:
        yield ("automountServiceAccountToken",), "is not false: every pod would get a token"


def _service(manifest: Manifest) -> Faults:
    if at(manifest, "spec", "type") not in {None, "ClusterIP"}:
        yield ("spec", "type"), "the gateway alone is open to the outside"


def _secret(manifest: Manifest) -> Faults:
    for field in ("data", "stringData"):
        if mapping_at(manifest, field):
            yield (field,), "a secret's value in a manifest: make it on the cluster, or by an ExternalSecret"


def _namespace(manifest: Manifest) -> Faults:
    labels = mapping_at(manifest, "metadata", "labels")
    if labels.get("pod-security.kubernetes.io/enforce") != "restricted":
        yield ("metadata", "labels"), "pod-security.kubernetes.io/enforce is not restricted"


def _in_the_open(manifest: Manifest) -> Faults:
    for pod in pods_of(manifest):
        for path, container in pod.containers():
            for index, variable in enumerate(list_at(container, "env")):
                name, value = str(at(variable, "name")), at(variable, "value")
                if _is_secret(name) and isinstance(value, str) and "$(" not in value:
                    yield (*path, "env", index), f"{name} stands here as text: take it from a Secret"
    for path, value in leaves(manifest):
        if isinstance(value, str) and _SECRET_VALUE.search(value):
            yield path, "looks like a secret"
        is_data = len(path) == 2 and path[0] == "data" and manifest.get("kind") == "ConfigMap"
        if is_data and _is_secret(str(path[1])):
            yield path, "a secret's name in a ConfigMap: anybody may read it"


def _is_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None and _NOT_SECRET.search(name) is None
