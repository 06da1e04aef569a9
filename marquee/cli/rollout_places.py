"""Where bundles are rolled out, by its address, and who hears of a promotion; for `canary` and `deploy`."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from marquee.errors import RequestError

if TYPE_CHECKING:
    from marquee.adapters.deployment import Crown, Deployment
    from marquee.adapters.deployment_document import DocumentDeployment
    from marquee.adapters.kubernetes import InferenceServiceDeployment

_CLUSTER = "k8s://"


def deployment_at(address: str, runs: Path | None) -> "Deployment":
    """The place that serves: an InferenceService, or a document."""
    return service_at(address, runs) if address.startswith(_CLUSTER) else document_at(address)


def service_at(address: str, runs: Path | None) -> "InferenceServiceDeployment":
    """An InferenceService, whose bundles come from the store of the models."""
    from marquee.adapters.kubernetes import Shelf, open_deployment
    from marquee.adapters.object_store import open_store
    from marquee.settings import Settings

    settings = Settings.from_environment().with_runs(runs)
    return open_deployment(address, Shelf(open_store(settings.models_uri)))


def document_at(address: str) -> "DocumentDeployment":
    """A deployment document, for what only documents need.

    Raises:
        RequestError: it is an InferenceService, which begins and reports by itself.
    """
    from marquee.adapters.deployment_document import DocumentDeployment
    from marquee.adapters.object_store import open_store

    if address.startswith(_CLUSTER):
        raise RequestError(
            f"{address} needs neither --stable nor `ready`: KServe knows what it serves and what answers.",
            remedy="Begin with `marquee deploy apply`; leave --stable out.",
        )
    return DocumentDeployment(open_store(address))


def crown_of(dataset: str | None, runs: Path | None) -> "Crown | None":
    """What tells a registry of a promotion; a refusal of its own is said and does not hold the rollout up."""
    if dataset is None:
        return None
    from marquee.adapters.mlflow import PromotionRefusedError
    from marquee.registering import Models
    from marquee.settings import Settings

    registry = Models.of(dataset, Settings.from_environment().with_runs(runs), os.environ).registry

    def crown(bundle_id: str, *, instead_of: str) -> str:
        try:
            version = registry.promote(bundle_id, now=datetime.now(UTC), instead_of=instead_of)
        except PromotionRefusedError as error:
            return f"champion of the cluster, but not of the registry: {error.problem}"
        return f"champion, version {version.number} of {registry.model}"

    return crown
