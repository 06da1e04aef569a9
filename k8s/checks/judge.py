"""All checks together, on all objects of a place."""

from collections.abc import Iterator, Sequence

from kserve import models
from kubernetes import client

from k8s.checks.access import access_findings
from k8s.checks.admission import admission_findings
from k8s.checks.core_schema import core_findings, is_core
from k8s.checks.cover import cover_findings
from k8s.checks.custom import custom_findings, is_custom
from k8s.checks.finding import Finding, Manifest, mapping_at, name_of
from k8s.checks.kserve_schema import is_kserve, kserve_findings
from k8s.checks.pods import pods_of
from k8s.checks.policy import policy_findings
from k8s.checks.references import reference_findings
from k8s.checks.scene import Scene
from k8s.checks.values import value_findings
from k8s.checks.vocabulary import vocabulary_findings

_OF_PREDICTOR = frozenset(models.V1beta1PredictorSpec.attribute_map.values()) - frozenset(
    client.V1PodSpec.attribute_map.values()
)
"""Fields of a predictor that are KServe's; the others are a pod's."""


def schema_findings(manifest: Manifest) -> Iterator[Finding]:
    """Unknown fields and wrong types; an object of a kind that nothing here knows is one finding."""
    if is_core(manifest):
        yield from core_findings(manifest)
    elif is_kserve(manifest):
        yield from kserve_findings(manifest)
        for pod in pods_of(manifest):
            spec = {key: value for key, value in pod.spec.items() if key not in _OF_PREDICTOR}
            made = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "predictor"}, "spec": spec}
            yield from (
                Finding(name_of(manifest), (*pod.path, *one.path[1:]), one.problem)
                for one in core_findings(made)
            )
    elif is_custom(manifest):
        yield from custom_findings(manifest)
    else:
        yield Finding(
            name_of(manifest), (), f"no schema for {manifest.get('apiVersion')} {manifest.get('kind')}"
        )


def _malformed(manifest: Manifest) -> Iterator[Finding]:
    for field in ("apiVersion", "kind"):
        if not isinstance(manifest.get(field), str):
            yield Finding(name_of(manifest), (field,), "is no text, or missing")
            return
    if not mapping_at(manifest, "metadata"):
        yield Finding(name_of(manifest), ("metadata",), "is missing")
        return
    yield from schema_findings(manifest)


def object_findings(
    manifest: Manifest, *, is_final: bool = True, by_digest: bool = False
) -> Iterator[Finding]:
    """What is wrong with one object by itself.

    Args:
        manifest: the object.
        is_final: it is meant to be applied: images must have their names.
        by_digest: our images must be named by digest.
    """
    # The rules lean on the shape, so that they wait for it.
    malformed = list(_malformed(manifest))
    yield from malformed or _broken_rules(manifest, is_final=is_final, by_digest=by_digest)


def _broken_rules(manifest: Manifest, *, is_final: bool, by_digest: bool) -> Iterator[Finding]:
    yield from value_findings(manifest)
    yield from admission_findings(manifest)
    yield from policy_findings(manifest, is_final=is_final, by_digest=by_digest)
    yield from access_findings(manifest)
    yield from vocabulary_findings(manifest)


def place_findings(objects: Sequence[Manifest]) -> Iterator[Finding]:
    """What is wrong with objects as they stand together; each by itself has its shape."""
    scene = Scene(objects)
    yield from reference_findings(scene)
    yield from cover_findings(scene)


def findings(objects: Sequence[Manifest], *, is_final: bool = True, by_digest: bool = False) -> list[Finding]:
    """What is wrong with all objects of a place, each said once.

    Args:
        objects: as rendered.
        is_final: as of `object_findings`.
        by_digest: likewise.
    """
    found: list[Finding] = []
    is_whole = True
    for manifest in objects:
        malformed = list(_malformed(manifest))
        is_whole = is_whole and not malformed
        found += malformed or _broken_rules(manifest, is_final=is_final, by_digest=by_digest)
    # Names can be followed only where every object has its shape.
    return list(dict.fromkeys([*found, *(place_findings(objects) if is_whole else ())]))
