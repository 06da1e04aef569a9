"""Manifests with one fault each: every key renamed, every value of another type."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from k8s.checks.finding import Finding, Path, at, dotted, leaves, name_of
from k8s.checks.judge import object_findings, place_findings

Objects = list[dict[str, Any]]


@dataclass(frozen=True)
class Mutation:
    """One fault in one object."""

    position: int
    """Of the object."""
    what: str
    mutated: dict[str, Any]

    def __str__(self) -> str:
        return f"{name_of(self.mutated)} {self.what}"

    def findings(self, objects: Sequence[Mapping[str, Any]]) -> list[Finding]:
        """What the checks say of it: of the object alone first, as that is quicker."""
        alone = list(object_findings(self.mutated))
        place = [self.mutated if i == self.position else one for i, one in enumerate(objects)]
        return alone or list(place_findings(place))


def parent(manifest: dict[str, Any], path: Path) -> Any:
    """What holds the value at a path."""
    return at(manifest, *path[:-1])


def renamed_keys(objects: Objects) -> Iterator[Mutation]:
    """Each key with one letter too many, in its place."""
    for position, original in enumerate(objects):
        for path, _ in leaves(original):
            if not path or not isinstance(path[-1], str):
                continue
            mutated = copy.deepcopy(original)
            holder = parent(mutated, path)
            items = [(f"{key}x" if key == path[-1] else key, value) for key, value in holder.items()]
            holder.clear()
            holder.update(items)
            yield Mutation(position, f"{dotted(path)} renamed", mutated)


def other_types(objects: Objects) -> Iterator[Mutation]:
    """Each text, number and truth value as a list, and as the nearest thing that it is not."""
    for position, original in enumerate(objects):
        for path, value in leaves(original):
            if isinstance(value, dict | list) or not path:
                continue
            for other in ([value], *near_misses(path, value)):
                mutated = copy.deepcopy(original)
                parent(mutated, path)[path[-1]] = other
                yield Mutation(position, f"{dotted(path)} = {other!r} instead of {value!r}", mutated)


MAY_BE_NUMBERS = (
    "cpu",
    "memory",
    "storage",
    "sizeLimit",
    "maxSurge",
    "maxUnavailable",
    "value",
    "targetPort",
)
"""Amounts, shares and ports, which Kubernetes takes as texts and as numbers. `value` of an autoscaler's
target is one; an environment variable's is none, and is tried apart."""


def near_misses(path: Path, value: object) -> Iterator[object]:
    """What somebody may write by mistake and YAML takes for another type."""
    if isinstance(value, bool):
        yield "yes"
    elif isinstance(value, int):
        yield "many"
    elif isinstance(value, str):
        is_amount = path[-1] in MAY_BE_NUMBERS and "env" not in path
        if not is_amount:
            yield 12_345
            yield True
