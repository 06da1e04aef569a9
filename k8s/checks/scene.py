"""All objects of one place, and what they say of one another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from k8s.checks.finding import Manifest, at, list_at, mapping_at
from k8s.checks.pods import Pod, pods_of


@dataclass(frozen=True)
class Scene:
    """All objects of one place."""

    objects: Sequence[Manifest]

    @cached_property
    def pods(self) -> list[Pod]:
        """The pods of all of them."""
        return [pod for manifest in self.objects for pod in pods_of(manifest)]

    def named(self, kind: str) -> dict[str, Manifest]:
        """The objects of a kind, by name."""
        return {
            str(at(manifest, "metadata", "name")): manifest
            for manifest in self.objects
            if manifest.get("kind") == kind
        }

    def found(self, selector: Mapping[str, Any]) -> list[Pod]:
        """The pods that a selector finds."""
        return [pod for pod in self.pods if matches(pod.labels, selector)]


def matches(labels: Mapping[str, Any], selector: Mapping[str, Any]) -> bool:
    """Whether a selector finds something with these labels."""
    wanted = mapping_at(selector, "matchLabels")
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    for demand in list_at(selector, "matchExpressions"):
        value, values = labels.get(str(at(demand, "key"))), list_at(demand, "values")
        operator = at(demand, "operator")
        fits = {"In": value in values, "NotIn": value not in values, "Exists": value is not None,
                "DoesNotExist": value is None}  # fmt: skip
        if not fits.get(str(operator), False):
            return False
    return True
