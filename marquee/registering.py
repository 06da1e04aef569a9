"""Where finished runs are kept, recorded and registered, and which bundle reigns.

Bundles lie in the object store of MARQUEE_MODELS, by data set and bundle id; runs and versions are in
MLflow. Who is champion is a document in the object store, changed by compare-and-set: of two pipelines
that were both compared with the same champion, one wins.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from marquee.adapters.mlflow.aliases import read_aliases
from marquee.adapters.mlflow.faults import PromotionRefusedError
from marquee.adapters.mlflow.record import record_run
from marquee.adapters.mlflow.registry import Registry
from marquee.adapters.mlflow.tracking import Tracking
from marquee.adapters.object_store import FolderIndex, ObjectStore, open_store, put_folder, read_index
from marquee.bundle import read_manifest
from marquee.errors import ConflictError, ObjectMissingError, StepError
from marquee.run_folder import BUNDLE, EVALUATED
from marquee.settings import Settings

if TYPE_CHECKING:
    from marquee.config import TrainingConfig

CHAMPION: Final = "champion"
"""The key of metrics.json under which the champion's bundle id is, that the challenger was compared with."""
KEPT: Final = (BUNDLE, EVALUATED)


@dataclass(frozen=True)
class Champion:
    """The bundle that reigns, and the recipe that it was made by."""

    bundle_id: str
    config: "TrainingConfig"


@dataclass(frozen=True)
class Registered:
    """A version of the registry."""

    bundle_id: str
    version: int
    source: str
    """Where the bundle lies."""
    mlflow_run_id: str

    def as_markdown(self) -> str:
        """For people."""
        rows = {
            "bundle": self.bundle_id,
            "version": self.version,
            "lies in": self.source,
            "MLflow run": self.mlflow_run_id,
        }
        return "\n".join(
            ["| | |", "| --- | --- |", *(f"| {key} | {value} |" for key, value in rows.items()), ""]
        )


@dataclass(frozen=True, eq=False)
class Models:
    """The bundles of one data set: kept, registered, and one of them champion."""

    storage: str
    store: ObjectStore
    registry: Registry

    @classmethod
    def of(cls, storage: str, settings: Settings, environment: Mapping[str, str]) -> Self:
        """Of the data set whose warehouse has this name.

        Raises:
            ObjectStoreError: MARQUEE_MODELS is no address.
        """
        store = open_store(settings.models_uri)
        return cls(storage, store, Registry(storage, Tracking.of(settings.runs, environment), store))

    def champion(self) -> Champion | None:
        """Who reigns, None before the first promotion; asks the object store alone.

        Raises:
            ObjectStoreError: the store does not answer.
            StepError: it lacks the champion's configuration.
            ConfigError: this release knows its keys no longer.
        """
        holder = read_aliases(self.store, self.registry.key).champion
        if holder is None:
            return None
        key = self.key(holder.bundle_id, "config.json")
        try:
            values = json.loads(self.store.read(key).content)
        except (ObjectMissingError, ValueError) as error:
            raise StepError(
                f"{self.store.uri}/{key}, the champion's configuration, is missing or no JSON.",
                remedy="Promote another version: `marquee registry promote`.",
            ) from error
        from marquee.config import TrainingConfig  # noqa: PLC0415 - it brings every room; who registers needs none

        return Champion(holder.bundle_id, TrainingConfig.from_values(values, where=f"{self.store.uri}/{key}"))

    def register(self, run: Path, metrics: Mapping[str, Any]) -> Registered:
        """Keep a run's bundles, record the run, and register its bundle as a version and challenger.

        Doing it again changes nothing.

        Args:
            run: a folder with metrics.json, report.html, config.yaml, bundle/ and evaluated/.
            metrics: what metrics.json holds.

        Raises:
            BundleError: a bundle is torn.
            ObjectStoreError: the store refuses or does not answer.
            TrackingError: likewise MLflow.
        """
        manifest = read_manifest(run / BUNDLE)
        sources = {kind: self._keep(run / kind, self.key(manifest.bundle_id, kind)) for kind in KEPT}
        self._keep_config(manifest.bundle_id, manifest.content["config"])
        run_id = record_run(run, metrics, bundle=run / BUNDLE, tracking=self.registry.tracking)
        version = self.registry.register(
            run / BUNDLE, gate_passed=bool(metrics["gate"]["passed"]), run_id=run_id, source=sources[BUNDLE]
        )
        self.registry.challenge(manifest.bundle_id)
        return Registered(manifest.bundle_id, version.number, version.source, run_id)

    def promote(self, bundle_id: str, metrics: Mapping[str, Any], *, now: datetime) -> str:
        """Make a registered bundle the champion; returns where it lies.

        On a tracking server its alias is set at once; in the database of a runs folder `marquee registry`
        and `make ui` set it when they look.

        Args:
            bundle_id: of the version.
            metrics: of its run: the verdict, and the champion that it was compared with.
            now: the present, with a zone.

        Raises:
            PromotionRefusedError: the gate refused it, or another one reigns by now.
            ObjectMissingError: it is not registered.
        """
        if not metrics["gate"]["passed"]:
            raise PromotionRefusedError(
                f"the gate refused bundle {bundle_id}.",
                remedy="Read the reasons in the run's report, or use `marquee registry promote`.",
            )
        key = self.key(bundle_id, BUNDLE)
        index = read_index(self.store, key)
        self.registry.decide(bundle_id, now=now, instead_of=metrics[CHAMPION])
        if self.registry.tracking.local is None:
            self.registry.list()  # which mends what differs
        return self._address(key, index)

    def key(self, bundle_id: str, name: str) -> str:
        """Where one part of a bundle lies in the store."""
        return f"bundles/{self.storage}/{bundle_id}/{name}"

    def _keep(self, folder: Path, key: str) -> str:
        """Store a bundle; the address of its files.

        The same model trained again has the same id and another time in its manifest: the first one stays.
        """
        try:
            index = put_folder(self.store, key, folder)
        except ConflictError:
            index = read_index(self.store, key)
        return self._address(key, index)

    def _address(self, key: str, index: FolderIndex) -> str:
        """Of a stored folder's files."""
        return f"{self.store.uri}/{key}/{index.digest[:16]}"

    def _keep_config(self, bundle_id: str, config: Mapping[str, Any]) -> None:
        content = json.dumps(config, sort_keys=True, indent=1).encode()
        try:
            self.store.write(self.key(bundle_id, "config.json"), content, expected=None)
        except ConflictError:
            return  # the bundle's id covers its configuration: it is the same one
