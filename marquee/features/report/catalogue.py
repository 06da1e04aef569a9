"""What the feature store declares, as plain values; `marquee.adapters.feast` reads it from feature_repo."""

from dataclasses import dataclass

from marquee.features.report.measure import ViewPromise


@dataclass(frozen=True)
class EntityEntry:
    """Whom state is about."""

    name: str
    join_key: str
    value_type: str
    description: str
    owner: str
    tags: dict[str, str]


@dataclass(frozen=True)
class FieldEntry:
    """A feature or request fact."""

    name: str
    dtype: str
    description: str
    services: tuple[str, ...]


@dataclass(frozen=True)
class SourceEntry:
    """Where rows come from."""

    name: str
    path: str | None
    """None for a request's own values."""
    timestamp_field: str | None
    created_timestamp_column: str | None
    description: str
    owner: str
    tags: dict[str, str]
    fields: tuple[FieldEntry, ...] = ()
    """Of a request source."""


@dataclass(frozen=True)
class ViewEntry:
    """State of one subject and cadence."""

    name: str
    entities: tuple[str, ...]
    keys: tuple[str, ...]
    source: str
    description: str
    owner: str
    tags: dict[str, str]
    ttl_seconds: int | None
    online: bool
    fields: tuple[FieldEntry, ...]

    @property
    def slo_hours(self) -> int:
        """The oldest that the newest row may be."""
        return int(self.tags.get("freshness_slo_h", "24"))

    @property
    def is_static(self) -> bool:
        """Whether its rows carry no time of their own."""
        return self.tags.get("cadence") == "static"


@dataclass(frozen=True)
class ServiceEntry:
    """A contract of a model version."""

    name: str
    description: str
    owner: str
    tags: dict[str, str]
    contract_hash: str
    features: dict[str, tuple[str, ...]]
    """View to features, in the contract's order."""


@dataclass(frozen=True)
class Catalogue:
    """All that is declared."""

    entities: tuple[EntityEntry, ...]
    sources: tuple[SourceEntry, ...]
    views: tuple[ViewEntry, ...]
    services: tuple[ServiceEntry, ...]

    @property
    def promises(self) -> dict[str, ViewPromise]:
        """What a report holds each view against."""
        return {
            view.name: ViewPromise(
                description=view.description,
                owner=view.owner,
                slo_hours=view.slo_hours,
                ttl_seconds=view.ttl_seconds,
                is_static=view.is_static,
            )
            for view in self.views
        }

    @property
    def lineage(self) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
        """Source, view, and the services that read it."""
        return tuple(
            (view.source, view.name, tuple(each.name for each in self.services if view.name in each.features))
            for view in self.views
        )
