"""What the manifest of an InferenceService says of its two arms: which bundle, from where, in which image."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from marquee.adapters.deployment import DeploymentError

Manifest = dict[str, Any]
"""An object as the API gives it; functions here never change the one that they get."""

CONTAINER: Final = "kserve-container"
STORAGE_URI: Final = "STORAGE_URI"
BUNDLE_KEY: Final = "marquee.dev/bundle-id"
RUN_KEY: Final = "marquee.dev/run-id"
PREVIOUS_KEY: Final = "marquee.dev/previous"
"""The arm that was stable before, as JSON: what `rollback` returns to."""
LEFT_KEY: Final = "marquee.dev/rolled-back-from"
"""Bundle id that the last rollback left, so that asking for it twice does not go back twice."""
BASE_KEY: Final = "marquee.dev/base-hash"
"""Hash of the manifest that was applied last."""
JOURNAL: Final = (PREVIOUS_KEY, LEFT_KEY, BASE_KEY)
"""Annotations of the InferenceService alone. KServe copies those to the pods, and a changed one would restart
them: each arm has the same keys, empty, and an arm's annotations win."""
MODE_KEY: Final = "serving.kserve.io/deploymentMode"
STANDARD: Final = frozenset({"Standard", "RawDeployment"})


@dataclass(frozen=True)
class Arm:
    """What one arm serves."""

    bundle_id: str
    run_id: str
    storage_uri: str
    """Ends with a slash: KServe would fetch v10 with v1 otherwise."""
    image: str | None = None
    """None to keep the one that is there."""

    def with_image(self, image: str | None) -> Self:
        """The same bundle in another image."""
        return type(self)(self.bundle_id, self.run_id, self.storage_uri, image)

    @property
    def name(self) -> str:
        """Of its predictor: the content's own, so that pods of other content never pass for its own."""
        return f"b{self.bundle_id[:8].lower()}-{_digest([self.bundle_id, self.image, self.storage_uri])[:4]}"

    def as_json(self) -> str:
        """For an annotation."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `as_json` gave.

        Raises:
            DeploymentError: it is something else.
        """
        try:
            return cls(**json.loads(text))
        except (TypeError, ValueError) as error:
            raise DeploymentError(
                f"the annotation {PREVIOUS_KEY} is none of ours: {text[:80]!r}.",
                remedy="Remove it; `marquee deploy apply` names the bundle to serve.",
            ) from error


def stable_of(manifest: Mapping[str, Any]) -> Arm:
    """The stable arm.

    Raises:
        DeploymentError: the manifest has no container of ours, or names no bundle.
    """
    return _arm(manifest["spec"]["predictor"], annotations_of(manifest))


def canary_of(manifest: Mapping[str, Any]) -> tuple[Arm, int] | None:
    """The canary and its share, None where there is none.

    Raises:
        DeploymentError: there are several, or it is none of ours.
    """
    entries = manifest["spec"].get("canary") or []
    if len(entries) > 1:
        raise DeploymentError(
            f"it has {len(entries)} canaries, and one is what is driven here.",
            remedy="Drop those that are not meant, with kubectl edit.",
        )
    if not entries:
        return None
    return _arm(entries[0]["predictor"], {}), int(entries[0].get("trafficPercent") or 0)


def annotations_of(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Those of the object itself."""
    return dict(manifest["metadata"].get("annotations") or {})


def is_standard(manifest: Mapping[str, Any]) -> bool:
    """Whether its pods are those of Deployments, which is the mode that has `spec.canary`."""
    return annotations_of(manifest).get(MODE_KEY) in STANDARD


def container_of(predictor: Mapping[str, Any]) -> dict[str, Any]:
    """The container that serves.

    Raises:
        DeploymentError: there is none.
    """
    for container in predictor.get("containers") or []:
        if container.get("name") == CONTAINER:
            return dict(container)
    raise DeploymentError(
        f"its predictor has no container {CONTAINER}.",
        remedy="Apply a manifest with a custom predictor: k8s/base has one.",
    )


def env_of(container: Mapping[str, Any], name: str) -> str | None:
    """The value of one variable of a container."""
    values = (env.get("value") for env in container.get("env") or [] if env.get("name") == name)
    return next(values, None)


def base_hash(manifest: Mapping[str, Any]) -> str:
    """Of the manifest that a user applies."""
    return _digest(manifest)[:16]


def _arm(predictor: Mapping[str, Any], annotations: Mapping[str, str]) -> Arm:
    container = container_of(predictor)
    notes = {**annotations, **(predictor.get("annotations") or {})}
    uri = env_of(container, STORAGE_URI)
    if not uri or not notes.get(BUNDLE_KEY):
        raise DeploymentError(
            f"it does not say which bundle it serves: no {STORAGE_URI} or no annotation {BUNDLE_KEY}.",
            remedy="Have it serve one first: `marquee deploy apply`.",
        )
    return Arm(notes[BUNDLE_KEY], notes.get(RUN_KEY, ""), uri, container.get("image"))


def _digest(values: Any) -> str:  # noqa: ANN401 - any JSON
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
