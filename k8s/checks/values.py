"""Ranges and forms that schemas leave open, and that the API server would refuse."""

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from ipaddress import ip_network
from typing import Any, Final
from zoneinfo import available_timezones

from k8s.checks.finding import Finding, Manifest, Path, at, leaves, mapping_at, name_of
from marquee.errors import ConfigError
from pipelines.cron import check_cron

Judge = Callable[[Any], bool]
_QUANTITY: Final = re.compile(r"(\d+(?:\.\d+)?)(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?")
_UNITS: Final = {
    "m": Decimal("0.001"),
    "": Decimal(1),
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12,
    "P": Decimal(10) ** 15,
    "Ki": Decimal(2) ** 10,
    "Mi": Decimal(2) ** 20,
    "Gi": Decimal(2) ** 30,
    "Ti": Decimal(2) ** 40,
    "Pi": Decimal(2) ** 50,
}
_DNS: Final = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_PORT_NAME: Final = re.compile(r"(?=.*[a-z])[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?")
_SHARE: Final = re.compile(r"\d{1,3}%")
RESOURCES: Final = frozenset({"cpu", "memory", "ephemeral-storage", "storage"})


def quantity(value: object) -> Decimal | None:
    """An amount in its unit of one; None where it is none."""
    match = _QUANTITY.fullmatch(str(value))
    return None if match is None else Decimal(match[1]) * _UNITS[match[2] or ""]


def between(low: int, high: int) -> Judge:
    """Whether a number is one of these."""
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def one_of(*words: str) -> Judge:
    """Whether it is one of these words."""
    return lambda value: value in words


def _is_port(value: object) -> bool:
    return between(1, 65_535)(value) or (isinstance(value, str) and _PORT_NAME.fullmatch(value) is not None)


def _is_share(value: object) -> bool:
    is_share = isinstance(value, str) and _SHARE.fullmatch(value) is not None and int(value[:-1]) <= 100
    return is_share or between(0, 10_000)(value)


def _is_cron(value: object) -> bool:
    try:
        check_cron(f"0 {value}")  # Kubernetes' five fields; there are no seconds
    except ConfigError:
        return False
    return True


@functools.cache
def _time_zones() -> set[str]:
    return available_timezones()


def _is_network(value: object) -> bool:
    try:
        ip_network(str(value))
    except ValueError:
        return False
    return True


_DAY: Final = 86_400
FORMS: Final[Mapping[str, Judge]] = {
    "port": _is_port,
    "targetPort": _is_port,
    "containerPort": between(1, 65_535),
    "periodSeconds": between(1, 3_600),
    "timeoutSeconds": between(1, 3_600),
    "initialDelaySeconds": between(0, 3_600),
    "failureThreshold": between(1, 1_000),
    "successThreshold": between(1, 100),
    "stabilizationWindowSeconds": between(0, 3_600),
    "terminationGracePeriodSeconds": between(1, 3_600),
    "seconds": between(1, 3_600),
    "activeDeadlineSeconds": between(1, 7 * _DAY),
    "ttlSecondsAfterFinished": between(0, 90 * _DAY),
    "startingDeadlineSeconds": between(10, 7 * _DAY),
    "backoffLimit": between(0, 100),
    "successfulJobsHistoryLimit": between(0, 100),
    "failedJobsHistoryLimit": between(0, 100),
    "replicas": between(0, 1_000),
    "minReplicas": between(0, 1_000),
    "maxReplicas": between(1, 1_000),
    "trafficPercent": between(0, 100),
    "canaryTrafficPercent": between(0, 100),
    "scaleTarget": between(1, 1_000_000),
    "averageUtilization": between(1, 1_000),
    "containerConcurrency": between(0, 1_000),
    "maxSkew": between(1, 100),
    "runAsUser": between(0, 2**31),
    "runAsGroup": between(0, 2**31),
    "fsGroup": between(0, 2**31),
    "maxSurge": _is_share,
    "maxUnavailable": _is_share,
    "minAvailable": _is_share,
    "schedule": _is_cron,
    "timeZone": lambda value: value in _time_zones(),
    "cidr": _is_network,
    "restartPolicy": one_of("Always", "OnFailure", "Never"),
    "concurrencyPolicy": one_of("Allow", "Forbid", "Replace"),
    "imagePullPolicy": one_of("Always", "IfNotPresent", "Never"),
    "whenUnsatisfiable": one_of("DoNotSchedule", "ScheduleAnyway"),
    "protocol": one_of("TCP", "UDP", "SCTP"),
    "scheme": one_of("HTTP", "HTTPS", "http", "https"),
    "operator": one_of("In", "NotIn", "Exists", "DoesNotExist"),
    "fsGroupChangePolicy": one_of("OnRootMismatch", "Always"),
    "unhealthyPodEvictionPolicy": one_of("AlwaysAllow", "IfHealthyBudget"),
    "action": one_of(
        "FailJob",
        "FailIndex",
        "Ignore",
        "Count",
        "replace",
        "keep",
        "drop",
        "hashmod",
        "labelmap",
        "labeldrop",
        "labelkeep",
    ),
    "mountPath": lambda value: isinstance(value, str) and value.startswith("/") and ":" not in value,
    "subPath": lambda value: isinstance(value, str) and not value.startswith("/") and ".." not in value,
    "storage": lambda value: bool(quantity(value)),
    "sizeLimit": lambda value: bool(quantity(value)),
    "scaleMetric": one_of("cpu", "memory", "concurrency", "rps"),
}
"""What a field of this name holds, wherever it stands."""
LISTS: Final[Mapping[str, frozenset[str]]] = {
    "accessModes": frozenset({"ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"}),
    "policyTypes": frozenset({"Ingress", "Egress"}),
}
FREE: Final = frozenset(
    {"annotations", "labels", "matchLabels", "data", "binaryData", "podSelector", "nodeSelector"}
)
"""Mappings whose keys are anybody's."""


def value_findings(manifest: Manifest) -> Iterator[Finding]:
    """What no API server would take."""
    where = name_of(manifest)
    name = at(manifest, "metadata", "name")
    if not isinstance(name, str) or not _DNS.fullmatch(name) or len(name) > 253:
        yield Finding(
            where, ("metadata", "name"), f"{name!r} is no name: lower case letters, digits and dashes"
        )
    for path, value in leaves(manifest):
        if not path or FREE & set(path[:-1]):
            continue
        yield from (Finding(where, path, problem) for problem in _problems(path, value, manifest))


def _problems(path: Path, value: object, manifest: Manifest) -> Iterator[str]:
    key = path[-1]
    judge = FORMS.get(key) if isinstance(key, str) else None
    if judge is not None and not isinstance(value, dict | list) and not judge(value):
        yield f"{value!r} is out of range, or no {key}"
    if key in LISTS and isinstance(value, list) and not set(map(str, value)) <= LISTS[str(key)]:
        yield f"{value} has one that there is not; there are {', '.join(sorted(LISTS[str(key)]))}"
    if key == "resources" and isinstance(value, Mapping):
        yield from _resources(value)
    if path[-2:] == ("seccompProfile", "type") and value not in {"RuntimeDefault", "Localhost", "Unconfined"}:
        yield f"{value!r} is no profile"
    if key == "policyTypes" and manifest.get("kind") != "NetworkPolicy":
        yield "belongs into a NetworkPolicy"


def _resources(value: Mapping[str, Any]) -> Iterator[str]:
    for room in ("requests", "limits"):
        for name, amount in mapping_at(value, room).items():
            if name not in RESOURCES:
                yield f"{room}.{name} is no resource; there are {', '.join(sorted(RESOURCES))}"
            elif not quantity(amount):
                yield f"{room}.{name} = {amount!r} is no amount"
    for name, amount in mapping_at(value, "requests").items():
        least, most = quantity(amount), quantity(at(value, "limits", name))
        if least is not None and most is not None and least > most:
            yield f"requests.{name} = {amount} is more than its limit {at(value, 'limits', name)}"
