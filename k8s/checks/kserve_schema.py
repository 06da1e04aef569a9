"""KServe's objects against the types of its own SDK, unknown fields refused.

The SDK is generated from KServe's OpenAPI; pods' fields come from Kubernetes' client. Neither knows ranges:
those are in `values` and `admission`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final

from kserve import models
from kubernetes import client

from k8s.checks.finding import Finding, Manifest, Path, name_of

KINDS: Final = {
    ("serving.kserve.io/v1beta1", "InferenceService"): models.V1beta1InferenceService,
    ("serving.kserve.io/v1alpha1", "InferenceGraph"): models.V1alpha1InferenceGraph,
}
_PREFIX: Final = re.compile(r"K8sIoApi(?:Apps|Core|Autoscaling|Meta)(V\d.*)")
_LIST: Final = re.compile(r"list\[(.+)\]")
_MAP: Final = re.compile(r"dict\(str, (.+)\)")


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_PRIMITIVES: Final[Mapping[str, Callable[[object], bool]]] = {
    "str": lambda value: isinstance(value, str),
    "int": _is_int,
    "bool": lambda value: isinstance(value, bool),
    "float": lambda value: _is_int(value) or isinstance(value, float),
    "datetime": lambda value: isinstance(value, str),
    "date": lambda value: isinstance(value, str),
    "ResourceQuantity": lambda value: isinstance(value, str) or _is_int(value) or isinstance(value, float),
    "V1beta1MetricQuantity": lambda value: (
        isinstance(value, str) or _is_int(value) or isinstance(value, float)
    ),
    "object": lambda value: isinstance(value, str) or _is_int(value),  # IntOrString
}


def is_kserve(manifest: Manifest) -> bool:
    """Whether it is one of the kinds that are checked here."""
    return (manifest.get("apiVersion"), manifest.get("kind")) in KINDS


def kserve_findings(manifest: Manifest) -> Iterator[Finding]:
    """Unknown fields and wrong types."""
    model = KINDS[manifest["apiVersion"], manifest["kind"]]
    for path, problem in _model(manifest, model, ()):
        yield Finding(name_of(manifest), path, problem)


def _model(value: object, model: Any, path: Path) -> Iterator[tuple[Path, str]]:  # noqa: ANN401 - a generated class
    if not isinstance(value, Mapping):
        yield path, f"{value!r:.60} is no object ({model.__name__})"
        return
    types = {model.attribute_map[name]: kind for name, kind in model.openapi_types.items()}
    for key, below in value.items():
        if key in types:
            yield from _value(below, types[key], (*path, key))
        else:
            near = get_close_matches(str(key), types, n=1)
            yield (*path, str(key)), f"unknown field{f'; did you mean {near[0]}?' if near else ''}"


def _value(value: object, kind: str, path: Path) -> Iterator[tuple[Path, str]]:
    if match := _LIST.fullmatch(kind):
        if not isinstance(value, list):
            yield path, f"{value!r:.60} is no list"
            return
        for index, below in enumerate(value):
            yield from _value(below, match[1], (*path, index))
    elif match := _MAP.fullmatch(kind):
        if not isinstance(value, Mapping):
            yield path, f"{value!r:.60} is no mapping"
            return
        for key, below in value.items():
            yield from _value(below, match[1], (*path, str(key)))
    else:
        yield from _single(value, kind, path)


def _single(value: object, kind: str, path: Path) -> Iterator[tuple[Path, str]]:
    if kind in _PRIMITIVES:
        if not _PRIMITIVES[kind](value):
            yield path, f"{value!r:.60} is no {kind}"
    elif (model := _class(kind)) is not None:
        yield from _model(value, model, path)
    else:
        yield path, f"the type {kind} is not known here"


def _class(kind: str) -> Any:  # noqa: ANN401 - a generated class
    short = match[1] if (match := _PREFIX.fullmatch(kind)) else kind
    return getattr(models, kind, None) or getattr(client, short, None)
