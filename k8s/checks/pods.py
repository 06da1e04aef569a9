"""Pods of all kinds of workload, looked at alike."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from k8s.checks.finding import Manifest, Path, at, list_at, mapping_at, name_of

TEMPLATES: Final[Mapping[str, Path]] = {
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
ENDS: Final = frozenset({"Job", "CronJob"})
OWNER_LABEL: Final = "serving.kserve.io/inferenceservice"
"""KServe puts it on the pods of an InferenceService, those of its canaries too."""


@dataclass(frozen=True)
class Pod:
    """The pods that an object makes."""

    owner: Manifest
    path: Path
    """Of the pods' specification."""
    spec: Mapping[str, Any]
    labels: Mapping[str, Any]
    is_canary: bool = False

    @property
    def where(self) -> str:
        """The owner, for people."""
        return name_of(self.owner)

    @property
    def ends(self) -> bool:
        """Whether its work is done some day, so that nobody asks anything of it."""
        return self.owner.get("kind") in ENDS

    @property
    def is_predictor(self) -> bool:
        """Whether KServe makes it."""
        return self.owner.get("kind") == "InferenceService"

    def containers(self, *, init: bool = True) -> Iterator[tuple[Path, Mapping[str, Any]]]:
        """Its containers with their paths; those before the others, too, if `init`."""
        for room in ("initContainers", "containers") if init else ("containers",):
            for index, container in enumerate(list_at(self.spec, room)):
                if isinstance(container, Mapping):
                    yield (*self.path, room, index), container


def pods_of(manifest: Manifest) -> Iterator[Pod]:
    """The pods of an object; none where it makes none."""
    kind = manifest.get("kind")
    if kind == "Pod":
        yield Pod(
            manifest, ("spec",), mapping_at(manifest, "spec"), mapping_at(manifest, "metadata", "labels")
        )
    elif kind == "InferenceService":
        yield from _predictors(manifest)
    elif kind in TEMPLATES:
        path = TEMPLATES[str(kind)]
        labels = mapping_at(manifest, *path, "metadata", "labels")
        yield Pod(manifest, (*path, "spec"), mapping_at(manifest, *path, "spec"), labels)


def _predictors(manifest: Manifest) -> Iterator[Pod]:
    owner = {OWNER_LABEL: at(manifest, "metadata", "name")}
    places: list[Path] = [("spec", "predictor")]
    canaries = range(len(list_at(manifest, "spec", "canary")))
    places += [("spec", "canary", index, "predictor") for index in canaries]
    for path in places:
        spec = mapping_at(manifest, *path)
        yield Pod(manifest, path, spec, {**mapping_at(spec, "labels"), **owner}, is_canary=len(path) > 2)
