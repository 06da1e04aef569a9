"""The declarations as a catalogue for people: no store, no data, no profile needed."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from feast import Entity, FeatureService, FeatureView, Field, RequestSource

from marquee.adapters.feast.declarations import (
    Declarations,
    contract,
    contract_hash,
    load_declarations,
    ttl_seconds,
    view_source,
)
from marquee.features.report.catalogue import (
    Catalogue,
    EntityEntry,
    FieldEntry,
    ServiceEntry,
    SourceEntry,
    ViewEntry,
)
from marquee.features.report.notes import FEATURE_NOTES


def read_catalogue(repo: Path) -> Catalogue:
    """Describe what a feature repository declares; sources keep their paths below the state.

    Raises:
        ConfigError: the folder is no feature repository, or one of its modules does not import.
    """
    declared = load_declarations(repo, state_root="")
    services = tuple(_service(each, declared) for each in declared.services.values())
    return Catalogue(
        entities=tuple(_entity(each) for each in declared.entities.values()),
        sources=tuple(_source(each) for each in declared.sources.values()),
        views=tuple(_view(each, services) for each in declared.views.values()),
        services=services,
    )


def _notes(declared: Any) -> dict[str, Any]:  # noqa: ANN401 - all kinds of declarations
    return {
        "name": declared.name,
        "description": declared.description,
        "owner": declared.owner,
        "tags": dict(declared.tags),
    }


def _entity(entity: Entity) -> EntityEntry:
    return EntityEntry(join_key=entity.join_key, value_type=entity.value_type.name, **_notes(entity))


def _source(source: Any) -> SourceEntry:  # noqa: ANN401 - Feast's many sources
    if isinstance(source, RequestSource):
        return SourceEntry(
            path=None,
            timestamp_field=None,
            created_timestamp_column=None,
            fields=_fields(source.schema, source.name, ()),
            **_notes(source),
        )
    return SourceEntry(
        path=source.path.lstrip("/"),
        timestamp_field=source.timestamp_field,
        created_timestamp_column=source.created_timestamp_column,
        **_notes(source),
    )


def _view(view: FeatureView, services: Iterable[ServiceEntry]) -> ViewEntry:
    return ViewEntry(
        entities=tuple(view.entities),
        keys=tuple(column.name for column in view.entity_columns),
        source=view_source(view).name,
        ttl_seconds=ttl_seconds(view),
        online=view.online,
        fields=_fields(view.features, view.name, services),
        **_notes(view),
    )


def _fields(fields: Iterable[Field], view: str, services: Iterable[ServiceEntry]) -> tuple[FieldEntry, ...]:
    """Fields with their own description where they have one, else the project's note."""
    services = tuple(services)
    return tuple(
        FieldEntry(
            name=field.name,
            dtype=str(field.dtype),
            description=field.description or FEATURE_NOTES.get(field.name, ""),
            services=tuple(each.name for each in services if field.name in each.features.get(view, ())),
        )
        for field in fields
    )


def _service(service: FeatureService, declared: Declarations) -> ServiceEntry:
    return ServiceEntry(
        contract_hash=contract_hash(contract(service, declared.views)),
        features={
            part.name: tuple(field.name for field in part.features)
            for part in service.feature_view_projections
        },
        **_notes(service),
    )
