"""Custom resources of others, as far as we use them: no package for Python has the published schemas.

Each model is strict and refuses fields that it does not name, so that one that is not here is an error until
it is read up and added. `tests/k8s/test_published_schemas.py` holds them against the operators' own.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from pydantic import ValidationError

from k8s.checks.custom.external_secrets import ExternalSecret
from k8s.checks.custom.gateway import HTTPRoute
from k8s.checks.custom.parts import Resource
from k8s.checks.custom.prometheus import PodMonitor, PrometheusRule, ServiceMonitor
from k8s.checks.finding import Finding, Manifest, name_of

KINDS: Final[Mapping[tuple[str, str], type[Resource]]] = {
    ("external-secrets.io/v1", "ExternalSecret"): ExternalSecret,
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): HTTPRoute,
    ("monitoring.coreos.com/v1", "PodMonitor"): PodMonitor,
    ("monitoring.coreos.com/v1", "PrometheusRule"): PrometheusRule,
    ("monitoring.coreos.com/v1", "ServiceMonitor"): ServiceMonitor,
}


def is_custom(manifest: Manifest) -> bool:
    """Whether it is one of the kinds that are checked here."""
    return (manifest.get("apiVersion"), manifest.get("kind")) in KINDS


def custom_findings(manifest: Manifest) -> Iterator[Finding]:
    """What its model refuses."""
    try:
        KINDS[manifest["apiVersion"], manifest["kind"]].model_validate(manifest)
    except ValidationError as error:
        for fault in error.errors():
            yield Finding(name_of(manifest), fault["loc"], fault["msg"])
