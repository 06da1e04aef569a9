"""The registry of one data set's bundles: versions in MLflow, champion and challenger by compare-and-set."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from marquee.adapters.mlflow import run_facts
from marquee.adapters.mlflow.aliases import Aliases, AliasStore, change_aliases, read_aliases
from marquee.adapters.mlflow.faults import PromotionRefusedError, RegistryError
from marquee.adapters.mlflow.tracking import Tracking
from marquee.adapters.mlflow.version import HEADLINE, HEADLINE_TAG, Version
from marquee.bundle import Manifest, verify_bundle

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

MODEL: Final = "marquee-"
"""Before a data set's name, the name of its registered model."""
ANY: Final = "any"
"""Whoever reigns: the promotion does not depend on the champion before."""
ALIASES: Final = ("champion", "challenger")


def registered_datasets(tracking: Tracking) -> list[str]:
    """The data sets that have a registered model, in the order of their names.

    Raises:
        TrackingError: the store is down or broken.
    """
    if tracking.is_empty:
        return []
    with tracking.connected() as client:
        found = _all_pages(client.search_registered_models, f"name LIKE '{MODEL}%'")
        return sorted(model.name.removeprefix(MODEL) for model in found)


@dataclass(frozen=True)
class Registry:
    """The registered bundles of one data set.

    Every method raises `TrackingError` where the tracking store is down or broken.
    """

    dataset: str
    """As in the name of its champion in the runs folder."""
    tracking: Tracking
    aliases: AliasStore

    @property
    def model(self) -> str:
        """The registered model's name."""
        return f"{MODEL}{self.dataset}"

    @property
    def key(self) -> str:
        """The alias document's key."""
        return f"registry/{self.model}.json"

    def register(
        self, bundle: Path, *, gate_passed: bool, run_id: str | None = None, source: str | None = None
    ) -> Version:
        """Register a bundle as a version of the model; the same bundle gives the same version.

        Args:
            bundle: its folder; every file is verified.
            gate_passed: the gate's verdict on it.
            run_id: MLflow's id of the run that made it, as `record_run` returned it.
            source: where it will be read from, such as an address in an object store; `bundle` itself
                by default.

        Raises:
            BundleError: the bundle is torn.
        """
        manifest = verify_bundle(bundle)
        with self.tracking.connected() as client:
            if (known := self._first(client, manifest.bundle_id)) is None:
                self._require_model(client)
                where = source or bundle.resolve().as_uri()
                tags = _tags(manifest, gate_passed=gate_passed)
                made = client.create_model_version(
                    self.model, where, run_id=run_id, tags=tags, await_creation_for=0
                )
                known = self._first(client, manifest.bundle_id) or made
                if known.version != made.version:  # somebody registered it at the same time, and before
                    client.delete_model_version(self.model, made.version)
            aliases, _ = self._mirrored(client)
            return Version.of(known, aliases)

    def list(self) -> Sequence[Version]:
        """All versions, oldest first."""
        if self.tracking.is_empty:
            return []
        with self.tracking.connected() as client:
            return self._mirrored(client)[1]

    def champion(self) -> Version | None:
        """The version that reigns, None before the first promotion.

        Raises:
            RegistryError: MLflow knows it no longer.
        """
        reigning = read_aliases(self.aliases, self.key).champion
        return None if reigning is None else self._find(reigning.bundle_id, self.list())

    def challenge(self, which: str) -> Version:
        """Make a version the challenger; nothing happens where it is the champion already.

        Raises:
            RegistryError: it is not registered.
        """
        return self._change(which, lambda old, version: old.challenged_by(version.bundle_id))

    def promote(
        self, which: str, *, now: datetime, instead_of: str | None = ANY, despite_gate: bool = False
    ) -> Version:
        """Make a version the champion; nothing happens where it is that already.

        Args:
            which: its number or its bundle id.
            now: the present, with a zone.
            instead_of: the bundle id of the champion that it was compared with, None for "there was
                none". If another one reigns by now, the comparison says nothing, and it is refused.
            despite_gate: promote it though the gate refused it.

        Raises:
            RegistryError: it is not registered.
            PromotionRefusedError: the gate refused it, or the champion is another one by now.
        """

        def change(old: Aliases, version: Version) -> Aliases:
            if not despite_gate:
                _require_passed(version)
            _require_champion(old, version.bundle_id, instead_of)
            return old.promoted(version.bundle_id, at=now)

        return self._change(which, change)

    def decide(self, bundle_id: str, *, now: datetime, instead_of: str | None) -> None:
        """Make a bundle that is known to be registered and to have passed the champion, as `promote`.

        Only the document is written: MLflow's aliases follow on the next read, and its two seconds of
        import are saved.

        Raises:
            PromotionRefusedError: the champion is another one by now.
        """

        def change(old: Aliases) -> Aliases:
            _require_champion(old, bundle_id, instead_of)
            return old.promoted(bundle_id, at=now)

        change_aliases(self.aliases, self.key, change)

    def rollback(self, *, now: datetime) -> Version:
        """Return to the champion before; called again, to the one before that.

        Raises:
            RegistryError: there is none, or it was deleted from MLflow.
        """
        with self.tracking.connected() as client:
            versions = self._versions(client, Aliases())

            def change(old: Aliases) -> Aliases:
                new = old.rolled_back(at=now)
                self._find(_champion_of(new), versions)
                return new

            new = change_aliases(self.aliases, self.key, change)
            self._mirror(client, new, versions)
            return _with_aliases(self._find(_champion_of(new), versions), new)

    def _change(self, which: str, change: Callable[[Aliases, Version], Aliases]) -> Version:
        with self.tracking.connected() as client:
            versions = self._versions(client, Aliases())
            version = self._find(which, versions)
            new = change_aliases(self.aliases, self.key, lambda old: change(old, version))
            self._mirror(client, new, versions)
            return _with_aliases(version, new)

    def _find(self, which: str, versions: Sequence[Version]) -> Version:
        for version in versions:
            if which in (str(version.number), version.bundle_id):
                return version
        known = ", ".join(f"{version.number} ({version.bundle_id})" for version in versions[-5:])
        raise RegistryError(
            f"{self.model} has no version or bundle {which!r}.",
            remedy=f"Give one of {known}." if known else "Register a bundle first: `marquee train` does.",
        )

    def _versions(self, client: "MlflowClient", aliases: Aliases) -> Sequence[Version]:
        """One version a bundle, oldest first."""
        found = _all_pages(client.search_model_versions, f"name = '{self.model}'")
        first: dict[str, Version] = {}
        for each in sorted(found, key=lambda version: int(version.version)):
            if run_facts.BUNDLE in each.tags:  # somebody else's otherwise
                first.setdefault(each.tags[run_facts.BUNDLE], Version.of(each, aliases))
        return list(first.values())

    def _first(self, client: "MlflowClient", bundle_id: str) -> "ModelVersion | None":
        wanted = f"name = '{self.model}' and tags.`{run_facts.BUNDLE}` = '{bundle_id}'"
        found = _all_pages(client.search_model_versions, wanted)
        return min(found, key=lambda version: int(version.version), default=None)

    def _require_model(self, client: "MlflowClient") -> None:
        from mlflow.exceptions import MlflowException  # noqa: PLC0415

        try:
            client.create_registered_model(self.model, description=f"Recommenders of {self.dataset}.")
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _mirrored(self, client: "MlflowClient") -> tuple[Aliases, Sequence[Version]]:
        """Who holds the aliases, and all versions; where MLflow says otherwise, it is mended."""
        aliases = read_aliases(self.aliases, self.key)
        versions = self._versions(client, aliases)
        self._mirror(client, aliases, versions)
        return aliases, versions

    def _mirror(self, client: "MlflowClient", aliases: Aliases, versions: Sequence[Version]) -> None:
        models = _all_pages(client.search_registered_models, f"name = '{self.model}'")
        if not models:
            return
        numbers = {version.bundle_id: version.number for version in versions}
        held = aliases.by_name()
        for alias in ALIASES:
            wanted, shown = numbers.get(held.get(alias, "")), models[0].aliases.get(alias)
            if wanted is None and shown is not None:
                client.delete_registered_model_alias(self.model, alias)
            elif wanted is not None and str(shown) != str(wanted):
                client.set_registered_model_alias(self.model, alias, str(wanted))


def _champion_of(aliases: Aliases) -> str:
    """The champion after a change that made one."""
    assert aliases.champion is not None  # noqa: S101 - the change saw to that
    return aliases.champion.bundle_id


def _with_aliases(version: Version, aliases: Aliases) -> Version:
    return replace(version, aliases=aliases.of(version.bundle_id))


def _all_pages(search: Callable[..., Any], wanted: str) -> list[Any]:
    found, token = [], None
    while True:
        page = search(filter_string=wanted, page_token=token)
        found += page
        if not (token := page.token):
            return found


def _tags(manifest: Manifest, *, gate_passed: bool) -> dict[str, str]:
    content = manifest.content
    tags = {
        run_facts.BUNDLE: manifest.bundle_id,
        run_facts.RUN: str(manifest.provenance["run_id"]),
        run_facts.DATASET: str(content["dataset"]),
        run_facts.SNAPSHOT: str(content["snapshot"]),
        run_facts.GATE: run_facts.PASSED if gate_passed else run_facts.REFUSED,
    }
    if HEADLINE in content["metrics"]:
        tags[HEADLINE_TAG] = str(content["metrics"][HEADLINE])
    return tags


def _require_passed(version: Version) -> None:
    if version.gate != run_facts.PASSED:
        raise PromotionRefusedError(
            f"the gate {version.gate or 'never judged'} version {version.number} ({version.bundle_id}).",
            remedy="Read the reasons in the run's report, or promote it despite the gate.",
        )


def _require_champion(aliases: Aliases, bundle_id: str, instead_of: str | None) -> None:
    reigning = aliases.champion and aliases.champion.bundle_id
    if instead_of != ANY and reigning not in (instead_of, bundle_id):
        raise PromotionRefusedError(
            f"bundle {bundle_id} was compared with the champion {instead_of or '(none)'}, "
            f"but {reigning or 'none'} reigns by now.",
            remedy="Compare it with the champion of today: run the gate again.",
        )
