"""Everything that the product does with Feast, for one profile."""

import socket
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import polars as pl
from feast import FeatureService, FeatureStore, FeatureView
from feast.project import Project

from marquee.adapters.feast.declarations import Declarations, contract, contract_hash, load_declarations
from marquee.adapters.feast.faults import store_errors
from marquee.adapters.feast.historical import historical_rows
from marquee.adapters.feast.materialise import (
    Journal,
    MaterialiseProgress,
    MaterialiseReport,
    materialise_view,
)
from marquee.adapters.feast.online import PushReport, UserLookup, UserRow, push_rows
from marquee.adapters.feast.plan import Plan, make_plan
from marquee.adapters.feast.profile import Profile
from marquee.adapters.feast.spark import is_spark
from marquee.adapters.feast.status import ViewStatus, view_status
from marquee.errors import ContractError, FeatureStoreError

REGISTRY_VERSION: Final = "1"
"""Raised when what `apply` writes can't be read by older code, or the other way round."""
_VERSION_TAG: Final = "marquee_registry_version"
_APPLY: Final = "`marquee features apply` makes it."


def _ignore(_view: str, _done: int, _total: int) -> None:
    return None


class FeatureDoor:
    """A feature store by its profile. Make one and keep it: what it looked up, it keeps."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.store = FeatureStore(config=profile.config)
        self._lookups: dict[str, UserLookup] = {}

    @classmethod
    def of(cls, name: str, *, repo: Path, environment: Mapping[str, str]) -> "FeatureDoor":
        """By the profile's name.

        Raises:
            ConfigError: as `Profile.of`.
        """
        return cls(Profile.of(name, repo=repo, environment=environment))

    # --- declarations ---------------------------------------------------------------------------------

    def declarations(self, repo: Path) -> Declarations:
        """What the repository declares, with this profile's paths."""
        return load_declarations(
            repo,
            state_root=self.profile.state_root,
            state_endpoint=self.profile.state_endpoint,
            for_spark=is_spark(self.profile.config),
        )

    def plan(self, declared: Declarations) -> Plan:
        """What applying would change; changes nothing, and makes no registry.

        Raises:
            FeatureStoreError: the registry can't be read.
        """
        registry = self.profile.registry_file
        with self._errors("plan"):
            if registry is not None:
                registry.parent.mkdir(parents=True, exist_ok=True)
            existed = registry is None or registry.exists()
            plan = make_plan(self.store, declared)
        if registry is not None and not existed:
            registry.unlink(missing_ok=True)  # Feast writes an empty one when it looks for it
            self.store = FeatureStore(config=self.profile.config)
        return plan

    def apply(self, declared: Declarations, *, deletions: Collection[str] = ()) -> Plan:
        """Do what the plan says, if it is safe (`Plan.require_safe`); gives the plan that was done.

        Raises:
            FeatureStoreError: it is not safe, or a store or the registry does not answer.
        """
        plan = self.plan(declared)
        plan.require_safe(deletions)
        gone = [
            self._registered(change.kind, change.name) for change in plan.changes if change.action == "delete"
        ]
        project = Project(name=self.store.project, tags={_VERSION_TAG: REGISTRY_VERSION})
        with self._errors("apply"):
            self.store.apply([project, *declared.objects], objects_to_delete=gone, partial=False)
        self._forget()
        return plan

    def _registered(self, kind: str, name: str) -> Any:  # noqa: ANN401 - Feast's objects
        registry, project = self.store.registry, self.store.project
        get = {
            "entity": registry.get_entity,
            "source": registry.get_data_source,
            "view": registry.get_feature_view,
            "service": registry.get_feature_service,
        }[kind]
        return get(name, project)

    # --- the registry ---------------------------------------------------------------------------------

    @cached_property
    def views(self) -> dict[str, FeatureView]:
        """The registry's views by name.

        Raises:
            FeatureStoreError: there is no registry, or it is damaged or of another version.
        """
        self._require_registry()
        with self._errors("registry"):
            return {view.name: view for view in self.store.registry.list_feature_views(self.store.project)}

    def service(self, name: str) -> FeatureService:
        """A service of the registry.

        Raises:
            FeatureStoreError: as `views`, or it holds no such service.
        """
        _ = self.views
        with self._errors(f"service {name}"):
            return self.store.registry.get_feature_service(name, self.store.project)

    def service_hash(self, name: str) -> str:
        """Names the meaning of a service: equal features, types, keys and limits of age, equal hash."""
        return contract_hash(contract(self.service(name), self.views))

    def require_service(self, name: str, expected_hash: str) -> None:
        """Check that a service means what a model was trained with.

        Raises:
            FeatureStoreError: it does not.
        """
        if (found := self.service_hash(name)) != expected_hash:
            raise FeatureStoreError(
                f"service {name} of profile {self.profile.name} is {found[:12]}, and the model was made with"
                f" {expected_hash[:12]}.",
                remedy="Serve the model with the registry of its release.",
            )

    def _view(self, name: str) -> FeatureView:
        if name not in self.views:
            raise FeatureStoreError(
                f"the registry has no view {name!r}; it has {', '.join(self.views)}.",
                remedy="Name one of those.",
            )
        return self.views[name]

    def _require_registry(self) -> None:
        path = self.profile.registry_file
        if path is not None and not path.is_file():
            raise FeatureStoreError(f"there is no registry at {path}.", remedy=_APPLY)
        with self._errors("registry"):
            projects = {project.name: project for project in self.store.registry.list_projects()}
        project = projects.get(self.store.project)
        if project is None:
            raise FeatureStoreError(f"the registry holds no project {self.store.project!r}.", remedy=_APPLY)
        version = project.tags.get(_VERSION_TAG, "none")
        if version != REGISTRY_VERSION:
            raise FeatureStoreError(
                f"the registry of profile {self.profile.name} is of version {version},"
                f" this program's is {REGISTRY_VERSION}.",
                remedy="Use the registry of this release, or apply with this program.",
            )

    def _forget(self) -> None:
        self.__dict__.pop("views", None)
        self._lookups.clear()

    def _errors(self, what: str) -> AbstractContextManager[None]:
        return store_errors(what, profile=self.profile.name)

    def require_state(self) -> None:
        """Check that state was built where the profile looks for it, as far as that is a folder.

        Raises:
            FeatureStoreError: it was not.
        """
        root = self.profile.state_root
        if "://" not in root and not Path(root).is_dir():
            raise FeatureStoreError(
                f"no state is built at {root}.", remedy="`marquee features build` makes it."
            )

    # --- rows ------------------------------------------------------------------------------------------

    def historical(
        self, service: str, labels: pl.DataFrame, *, views: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """The features of each label row as of its time, known by then; label columns come first.

        Args:
            service: its features come in its order.
            labels: keys and `event_timestamp`, and whatever else is to be kept; any order, repeats welcome.
            views: only these of the service's views; a frame of movies alone can ask for theirs.

        Raises:
            FeatureStoreError: as `service`, or rows came back other than they were given.
            ContractError: the frame lacks a key or its time.
            SourceError: a view's files can't be read.
        """
        refs = self._refs(service, views)
        with self._errors("historical features"):
            return historical_rows(self.store, labels, refs)

    def _refs(self, service: str, views: Sequence[str] | None) -> list[str]:
        parts = self.service(service).feature_view_projections
        known = [part.name for part in parts]
        if unknown := [view for view in views or () if view not in known]:
            raise FeatureStoreError(
                f"service {service} has no view {unknown[0]!r}.", remedy=f"It has {', '.join(known)}."
            )
        return [
            f"{part.name}:{field.name}"
            for part in parts
            if views is None or part.name in views
            for field in part.features
        ]

    def get_user_row(self, service: str, user_id: str, *, now: datetime) -> UserRow:
        """One online row: the user views of a service, null where missing or older than their limit at `now`.

        Raises:
            FeatureStoreError: as `service`, or the store does not answer (within 60 ms, for Redis).
        """
        lookup = self._lookup(service)
        with self._errors(f"user {user_id!r}"):
            return lookup.read(user_id, now=now)

    async def ask_user_row(self, service: str, user_id: str, *, now: datetime) -> UserRow:
        """As `get_user_row`, from an event loop and as long as it takes; may be cancelled at any point.

        Raises:
            FeatureStoreError: as `get_user_row`.
        """
        try:
            return await self._lookup(service).ask(user_id, now=now)
        except Exception:
            with self._errors(f"user {user_id!r}"):  # only now: it takes as long as the rest of this method
                raise

    async def end_asking(self) -> None:
        """End the connections of `ask_user_row`, in its loop; asking again opens new ones."""
        for lookup in self._lookups.values():
            await lookup.end_asking()

    def can_ask(self, service: str) -> bool:
        """Whether the online store has a way for `ask_user_row`.

        Raises:
            FeatureStoreError: as `service`.
        """
        return self._lookup(service).can_ask

    def _lookup(self, service: str) -> UserLookup:
        if service not in self._lookups:
            self._lookups[service] = UserLookup.of(self.store, self.service(service), self.views)
        return self._lookups[service]

    def push(self, view: str, rows: pl.DataFrame) -> PushReport:
        """Write rows of a view as they become known: an older row never replaces a newer one.

        Raises:
            ContractError: a column is missing, unknown or of another type.
            FeatureStoreError: no such view, or the store does not answer.
        """
        registered = self._view(view)
        with self._errors(f"push to {view}"):
            return push_rows(self.store, registered, rows)

    def materialise(
        self,
        *,
        start: datetime,
        end: datetime,
        views: Sequence[str] | None = None,
        journal: Path | None = None,
        on_progress: MaterialiseProgress = _ignore,
    ) -> list[MaterialiseReport]:
        """Bring the newest row in [start, end] of each key online, view by view.

        Windows may overlap, and should: begin at the earliest event that the last build changed
        (`BuildReport.changed_since_us`). With a journal, a run that died goes on where it was.

        Raises:
            ContractError: the window is empty or has no zone.
            FeatureStoreError: no such view, or a store does not answer.
            SourceError: a view's files can't be read.
        """
        if start.tzinfo is None or end.tzinfo is None or start > end:
            raise ContractError(
                f"the window from {start} to {end} is none.", remedy="Give start ≤ end, both with a zone."
            )
        wanted = [
            self._view(name) for name in views or [each.name for each in self.views.values() if each.online]
        ]
        log = Journal(journal)
        reports = []
        for view in wanted:
            with self._errors(f"materialise {view.name}"):
                reports.append(
                    materialise_view(
                        self.store, view, start=start, end=end, journal=log, on_progress=on_progress
                    )
                )
        self._forget()
        return reports

    def status(self, *, now: datetime) -> list[ViewStatus]:
        """Freshness of each view.

        Raises:
            FeatureStoreError: as `views`.
        """
        self._forget()
        with self._errors("status"):
            return [view_status(self.store, view, now=now) for view in self.views.values()]

    def serve(self, *, host: str, port: int) -> None:
        """Run Feast's own feature server until it is stopped: for looking at, not for serving.

        Raises:
            FeatureStoreError: as `views`, or the port is taken.
        """
        _ = self.views
        _require_free(host, port)
        with self._errors("serve"):
            self.store.serve(host=host, port=port, type_="http", no_access_log=True, workers=1)


def _require_free(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as err:
            raise FeatureStoreError(
                f"port {port} of {host} can't be used: {err.strerror}.", remedy="Give another: --port."
            ) from err
