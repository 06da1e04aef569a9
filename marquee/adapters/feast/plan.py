"""What applying the declarations would change in the registry, and what must not be done."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Literal

from feast import FeatureStore

from marquee.adapters.feast.declarations import (
    Declarations,
    contract,
    describe_entity,
    describe_source,
    describe_view,
)
from marquee.errors import FeatureStoreError

Action = Literal["create", "update", "delete"]


@dataclass(frozen=True)
class Change:
    """One difference between registry and declarations."""

    action: Action
    kind: str
    """entity, source, view or service."""
    name: str
    details: tuple[str, ...] = ()
    """Of an update: "what: before → after"."""
    changes_meaning: bool = False
    """A service whose features, dtypes, keys or limits of age differ under the old name."""

    @property
    def label(self) -> str:
        """What names it in `--delete`."""
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True)
class Plan:
    """All differences; nothing was changed yet."""

    changes: tuple[Change, ...]

    def require_safe(self, deletions: Collection[str]) -> None:
        """Check that nothing is done that nobody asked for.

        Args:
            deletions: labels ("view:user_profile") of what may be deleted.

        Raises:
            FeatureStoreError: a service would change its meaning, something would be deleted that
                was not named, or what was named is not there to be deleted.
        """
        for change in self.changes:
            if change.changes_meaning:
                raise FeatureStoreError(
                    f"service {change.name} would change its meaning: {'; '.join(change.details)}.",
                    remedy="Models rely on it: declare the change under a new name"
                    f" ({_next_version(change.name)}).",
                )
        deleted = {change.label for change in self.changes if change.action == "delete"}
        if unasked := sorted(deleted - set(deletions)):
            raise FeatureStoreError(
                f"{', '.join(unasked)} would be deleted, with online rows: not declared any more.",
                remedy=f"Declare it again, or say so: --delete {unasked[0]}.",
            )
        if unknown := sorted(set(deletions) - deleted):
            raise FeatureStoreError(
                f"{unknown[0]} is not to be deleted: it is declared, or was never applied.",
                remedy=f"Deletions of this plan: {', '.join(sorted(deleted)) or 'none'}.",
            )


def make_plan(store: FeatureStore, declared: Declarations) -> Plan:
    """Compare the registry with the declarations."""
    registry, project = store.registry, store.project
    views = {view.name: view for view in registry.list_feature_views(project)}
    services = {service.name: service for service in registry.list_feature_services(project)}
    before_meaning = {
        name: contract(service, _views_at(service, views)) for name, service in services.items()
    }
    after_meaning = {name: contract(service, declared.views) for name, service in declared.services.items()}
    entities = {entity.name: entity for entity in registry.list_entities(project) if entity.name != "__dummy"}
    sources = {source.name: source for source in registry.list_data_sources(project)}
    changes = [
        *_differences("entity", entities, declared.entities, describe_entity),
        *_differences("source", sources, declared.sources, describe_source),
        *_differences("view", views, declared.views, describe_view),
        *_differences("service", before_meaning, after_meaning, lambda meaning: meaning),
    ]
    return Plan(tuple(changes))


def _views_at(service: Any, views: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - Feast's service
    missing = [each.name for each in service.feature_view_projections if each.name not in views]
    if missing:
        raise FeatureStoreError(
            f"the registry's service {service.name} reads view {missing[0]}, which it does not hold.",
            remedy="Restore the registry from a backup.",
        )
    return views


def _differences(
    kind: str,
    before: dict[str, Any],
    after: dict[str, Any],
    describe: Callable[[Any], dict[str, Any]],
) -> list[Change]:
    changes = []
    for name in sorted({*before, *after}):
        if name not in before:
            changes.append(Change("create", kind, name))
        elif name not in after:
            changes.append(Change("delete", kind, name))
        elif details := tuple(_details(describe(before[name]), describe(after[name]))):
            changes.append(Change("update", kind, name, details, changes_meaning=kind == "service"))
    return changes


def _details(before: dict[str, Any], after: dict[str, Any], prefix: str = "") -> list[str]:
    lines = []
    if not prefix and list(before) != list(after) and set(before) == set(after):
        lines.append(f"order: {', '.join(before)} → {', '.join(after)}")
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            lines += _details(old, new, f"{prefix}{key}.")
        elif isinstance(old, list) and isinstance(new, list):
            lines += _list_details(f"{prefix}{key}", old, new)
        elif old != new:
            lines.append(f"{prefix}{key}: {_short(old)} → {_short(new)}")
    return lines


def _list_details(where: str, old: list[Any], new: list[Any]) -> list[str]:
    if old == new:
        return []
    gone = [f"−{' '.join(each)}" for each in old if each not in new]
    come = [f"+{' '.join(each)}" for each in new if each not in old]
    return [f"{where}: {', '.join([*gone, *come]) or 'another order'}"]


def _short(value: Any) -> str:  # noqa: ANN401 - any plain value
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _next_version(name: str) -> str:
    stem, found, number = name.rpartition("_v")
    return f"{stem}_v{int(number) + 1}" if found and number.isdigit() else f"{name}_v2"
