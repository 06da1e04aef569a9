"""A feature view as the join sees it: which stored columns, which label columns, which output names."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from feast import FeatureView, FileSource
from feast.data_format import ParquetFormat
from feast.data_source import DataSource
from feast.feature_view import DUMMY_ENTITY_ID

from marquee.adapters.feast_offline.table import ParquetTable
from marquee.errors import ConfigError

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class ViewRequest:
    """One view of a request. `keys` and `label_keys` are pairs; so are `features` and `outputs`."""

    name: str
    table: ParquetTable
    keys: tuple[str, ...]  # stored columns; none for a view without entities
    label_keys: tuple[str, ...]  # columns of the label frame
    event: str
    created: str | None
    features: tuple[str, ...]  # stored columns
    outputs: tuple[str, ...]
    ttl_us: int  # 0: no limit


def parquet_source(source: DataSource | None, *, what: str) -> FileSource:
    """The source itself, where this store can read it.

    Raises:
        ConfigError: it is missing, not a FileSource, or not Parquet.
    """
    if not isinstance(source, FileSource):
        kind = type(source).__name__ if source else "nothing"
        raise ConfigError(f"{what} reads from {kind}.", remedy="This offline store reads a FileSource.")
    if source.file_format is not None and not isinstance(source.file_format, ParquetFormat):
        kind = type(source.file_format).__name__
        raise ConfigError(f"{what} is of format {kind}.", remedy="This offline store reads Parquet.")
    return source


def view_request(
    view: FeatureView,
    features: Sequence[str],
    *,
    opened: Callable[[FileSource], ParquetTable],
    full_feature_names: bool,
) -> ViewRequest:
    """Resolve names: the source's field mapping backwards, the projection's key map and alias forwards.

    Raises:
        ConfigError: the view's source can't be read by this store.
        SourceError: its files are missing or no Parquet.
        ContractError: they lack a column.
    """
    source = parquet_source(view.batch_source, what=f"Feature view {view.name!r}")
    table = opened(source)
    stored_names = {new: old for old, new in (source.field_mapping or {}).items()}

    def stored(name: str) -> str:
        mapped = stored_names.get(name, name)
        return mapped if mapped in table.schema.names else name

    keys = [column.name for column in view.entity_columns if column.name != DUMMY_ENTITY_ID]
    features = tuple(dict.fromkeys(features))
    shown = view.projection.name_to_use()
    request = ViewRequest(
        name=shown,
        table=table,
        keys=tuple(stored(key) for key in keys),
        label_keys=tuple(view.projection.join_key_map.get(key, key) for key in keys),
        event=stored(source.timestamp_field),
        created=stored(source.created_timestamp_column) if source.created_timestamp_column else None,
        features=tuple(stored(name) for name in features),
        outputs=tuple(f"{shown}__{name}" if full_feature_names else name for name in features),
        ttl_us=(view.ttl or timedelta()) // _MICROSECOND,
    )
    needed = [
        *request.keys,
        request.event,
        *request.features,
        *([request.created] if request.created else []),
    ]
    table.require(needed, asked_by=f"feature view {view.name!r}")
    return request
