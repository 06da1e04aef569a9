"""Kubernetes' own objects against its published schemas, unknown fields refused.

The schemas are those of the package kubernetes-validate; its own `validate` reads them anew for each object,
which a corpus of thousands can't wait for.
"""

import functools
import json
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any, Final

import referencing
from jsonschema import Draft202012Validator

from k8s.checks.finding import Finding, Manifest, name_of

VERSION: Final = "1.32"
"""The oldest release of Kubernetes that KServe supports, and so the strictest to please."""


@functools.cache
def _folder() -> str:
    return f"v{VERSION}.0-local-strict"


@functools.cache
def _registry() -> Any:  # noqa: ANN401 - referencing's registry is generic in a private type
    definitions = _read("_definitions.json")
    return referencing.Resource.from_contents(definitions) @ referencing.Registry()


def _read(name: str) -> Any:  # noqa: ANN401 - JSON
    file = files("kubernetes_validate").joinpath("kubernetes-json-schema", _folder(), name)
    return json.loads(file.read_text(encoding="utf-8"))


@functools.cache
def _validator(kind: str, api_version: str) -> Draft202012Validator | None:
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)
    try:
        schema = _read(f"{kind.lower()}-{group}.json")
    except FileNotFoundError:
        return None
    registry = referencing.Resource.from_contents(schema) @ _registry()
    return Draft202012Validator(schema, registry=registry)


def is_core(manifest: Manifest) -> bool:
    """Whether Kubernetes itself has objects of this kind."""
    kind, version = manifest.get("kind"), manifest.get("apiVersion")
    return isinstance(kind, str) and isinstance(version, str) and _validator(kind, version) is not None


def core_findings(manifest: Manifest, *, below: tuple[str | int, ...] = ()) -> Iterator[Finding]:
    """What the published schema refuses.

    Args:
        manifest: of a core kind.
        below: where its parts lie in the object that they were taken from.
    """
    validator = _validator(str(manifest["kind"]), str(manifest["apiVersion"]))
    if validator is None:
        yield Finding(name_of(manifest), (), f"Kubernetes {VERSION} has no such kind")
        return
    for error in validator.iter_errors(manifest):
        yield Finding(name_of(manifest), (*below, *error.absolute_path), error.message[:200])
