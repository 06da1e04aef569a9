"""What `feature_repo` declares, as objects and as plain descriptions that can be compared."""

import hashlib
import importlib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from feast import Entity, FeatureService, FeatureView, FileSource, RequestSource
from feast.data_source import DataSource

from marquee.adapters.feast.spark import spark_source
from marquee.errors import ConfigError

_MODULES: Final = ("entities", "sources", "views", "services")
_OUR_NAMES: Final = (*_MODULES, "fields")


@dataclass(frozen=True, eq=False)
class Declarations:
    """Feast's objects by name."""

    entities: dict[str, Entity]
    sources: dict[str, FileSource | RequestSource]
    views: dict[str, FeatureView]
    services: dict[str, FeatureService]

    @property
    def objects(self) -> list[Any]:
        """All of them, in the order in which they build on each other."""
        return [
            each
            for group in (self.entities, self.sources, self.views, self.services)
            for each in group.values()
        ]


def load_declarations(
    repo: Path, *, state_root: str, state_endpoint: str | None = None, for_spark: bool = False
) -> Declarations:
    """Import the modules of a feature repository and write the sources' paths out in full.

    Args:
        repo: the feature repository.
        state_root: where the views' folders are, a path or an address.
        state_endpoint: address of an S3 that is not Amazon's.
        for_spark: make the files sources of Feast's Spark engine, which reads no others.

    Raises:
        ConfigError: the folder is no feature repository, or one of its modules does not import.
    """
    with _importable(repo):
        modules = [_module(name, repo) for name in _MODULES]
    declared = Declarations(
        entities=_named(modules, Entity),
        sources=_named(modules, FileSource) | _named(modules, RequestSource),
        views=_named(modules, FeatureView),
        services=_named(modules, FeatureService),
    )
    for source in declared.sources.values():
        if isinstance(source, FileSource):
            source.file_options.uri = f"{state_root.rstrip('/')}/{source.path}"
            source.file_options.s3_endpoint_override = state_endpoint or ""
    return _with_spark_sources(declared) if for_spark else declared


def _with_spark_sources(declared: Declarations) -> Declarations:
    """The same declarations over Spark's view of the same files."""
    sources: dict[str, Any] = {
        name: spark_source(source) if isinstance(source, FileSource) else source
        for name, source in declared.sources.items()
    }
    for view in declared.views.values():
        view.batch_source = sources[view_source(view).name]
    return replace(declared, sources=sources)


@contextmanager
def _importable(repo: Path) -> Iterator[None]:
    """Flat imports as Feast's own loader gives them, and no trace of them afterwards."""
    before: dict[str, ModuleType] = {
        name: sys.modules.pop(name) for name in _OUR_NAMES if name in sys.modules
    }
    sys.path.insert(0, str(repo.absolute()))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(repo.absolute()))
        for name in _OUR_NAMES:
            sys.modules.pop(name, None)
        sys.modules.update(before)


def _module(name: str, repo: Path) -> ModuleType:
    if not (repo / f"{name}.py").is_file():
        raise ConfigError(
            f"{repo} is no feature repository: it has no {name}.py.",
            remedy="Name the folder: MARQUEE_FEATURE_REPO.",
        )
    try:
        return importlib.import_module(name)
    except (ImportError, SyntaxError, ValueError, TypeError, LookupError, AttributeError, NameError) as err:
        raise ConfigError(
            f"{repo / name}.py does not import: {err}.", remedy="Mend the declaration."
        ) from err


def _named(modules: list[ModuleType], kind: type) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for module in modules:
        for value in vars(module).values():
            for each in value.values() if isinstance(value, dict) else [value]:
                if isinstance(each, kind):
                    found.setdefault(each.name, each)  # type: ignore[attr-defined]
    return dict(sorted(found.items()))


def describe_entity(entity: Entity) -> dict[str, Any]:
    """What can change of an entity."""
    return {"join_key": entity.join_key, "value_type": entity.value_type.name, **_notes(entity)}


def describe_source(source: Any) -> dict[str, Any]:  # noqa: ANN401 - Feast's many sources
    """What can change of a source."""
    if isinstance(source, RequestSource):
        return {"fields": {field.name: str(field.dtype) for field in source.schema}, **_notes(source)}
    return {
        "path": getattr(source, "path", None),
        "timestamp_field": source.timestamp_field,
        "created_timestamp_column": source.created_timestamp_column,
        **_notes(source),
    }


def describe_view(view: FeatureView) -> dict[str, Any]:
    """What can change of a view."""
    return {
        "keys": {column.name: str(column.dtype) for column in view.entity_columns},
        "features": {field.name: str(field.dtype) for field in view.features},
        "ttl_seconds": ttl_seconds(view),
        "source": view_source(view).name,
        "online": view.online,
        **_notes(view),
    }


def view_source(view: FeatureView) -> DataSource:
    """Where a view's rows come from; each of ours has one."""
    if view.batch_source is None:
        raise ConfigError(f"view {view.name} has no source.", remedy="Give it one.")
    return view.batch_source


def ttl_seconds(view: FeatureView) -> int | None:
    """Limit of age in seconds, None for no limit."""
    seconds = view.ttl.total_seconds() if view.ttl else 0
    return int(seconds) or None


def contract(service: FeatureService, views: dict[str, FeatureView]) -> dict[str, Any]:
    """The meaning of a service: its ordered features with dtypes, keys and limits of age."""
    meaning: dict[str, Any] = {}
    for projection in service.feature_view_projections:
        view = views[projection.name]
        meaning[projection.name] = {
            "keys": {column.name: str(column.dtype) for column in view.entity_columns},
            "features": [[field.name, str(field.dtype)] for field in projection.features],
            "ttl_seconds": ttl_seconds(view),
        }
    return meaning


def contract_hash(meaning: dict[str, Any]) -> str:
    """SHA-256 (hex) of a service's meaning; the order of its views and features counts."""
    return hashlib.sha256(json.dumps(list(meaning.items())).encode()).hexdigest()


def _notes(declared: Any) -> dict[str, Any]:  # noqa: ANN401 - all kinds of declarations
    return {
        "description": declared.description,
        "owner": declared.owner,
        "tags": dict(sorted(declared.tags.items())),
    }
