"""Feast's offline store over Parquet with a point-in-time join that keeps every label row in its place.

Selected in feature_store.yaml:

    offline_store: {type: marquee.adapters.feast_offline.AsofOfflineStore}
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.dataset as ds
from feast import FeatureView, OnDemandFeatureView, utils
from feast.data_source import DataSource
from feast.errors import RequestDataNotFoundInEntityDfException
from feast.feature_logging import LoggingConfig, LoggingSource
from feast.infra.offline_stores.file_source import FileLoggingDestination
from feast.infra.offline_stores.offline_store import OfflineStore, RetrievalJob, RetrievalMetadata
from feast.infra.registry.base_registry import BaseRegistry
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from pydantic import ConfigDict, PositiveFloat, PositiveInt

from marquee.adapters.feast_offline import pulling, writing
from marquee.adapters.feast_offline.historical import HistoricalJob, check_columns
from marquee.adapters.feast_offline.jobs import Request
from marquee.adapters.feast_offline.labels import LabelFrame, LabelSource, arrow_labels
from marquee.adapters.feast_offline.opening import Opener
from marquee.adapters.feast_offline.spine import seen_keys
from marquee.adapters.feast_offline.views import ViewRequest, parquet_source, view_request
from marquee.errors import ConfigError


class AsofOfflineStoreConfig(FeastConfigBaseModel):
    """What a deployment may choose of the store."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["marquee.adapters.feast_offline.AsofOfflineStore"] = (
        "marquee.adapters.feast_offline.AsofOfflineStore"
    )
    """The dotted path by which Feast finds the store."""

    chunk_rows: PositiveInt = 1_000_000
    """Label rows that are given their values at a time: the unit of streaming, and a row group on disk."""

    memory_limit: str = "8GB"
    """What DuckDB may use for a label frame that is a query; above it, it spills to disk."""

    temp_directory: str | None = None
    """Where DuckDB spills to; the system's place for temporary files where it is not given."""

    s3_connect_timeout_seconds: PositiveFloat = 5.0
    """Until a connection to S3 is given up."""

    s3_request_timeout_seconds: PositiveFloat = 60.0
    """Until a stalled request to S3 is given up."""


class AsofOfflineStore(OfflineStore):
    """Point-in-time retrieval by a polars as-of join over row numbers, pulls and writes by Arrow.

    Sources are FileSources over Parquet: a file, a folder, `name=value` folders or a glob, local or
    on S3. Times count in microseconds UTC. Errors are `marquee.errors`, and Feast's own where its API
    names them.
    """

    supports_filter_by_created_timestamp = True

    @staticmethod
    def get_historical_features(  # noqa: PLR0913  # the signature is Feast's
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: LabelSource | None,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
        *,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> HistoricalJob:
        """Plan the features of each label row as of its time; all label rows come back, in order.

        Names and label times are checked now, sources are read when the job is asked for its result.
        Without a frame the labels are every key with an event from `start_date` (by default as far
        back as the longest TTL, else 30 days) to `end_date`, as of `end_date`.

        Raises:
            MarqueeError: a frame, definition or source that can't be used, with its remedy.
            FeastEntityDFMissingColumnsError: the frame lacks a key.
            EntityTimestampInferenceException: it has no time column that could be told.
            RequestDataNotFoundInEntityDfException: it lacks an input of an on-demand view.
        """
        opener = _opener(config)
        on_demand = OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry)
        by_view, by_on_demand = utils._get_requested_feature_views_to_features_dict(
            feature_refs, feature_views, on_demand
        )
        views = [
            view_request(view, features, opened=opener.table, full_feature_names=full_feature_names)
            for view, features in by_view.items()
        ]
        labels = _labels(config, entity_df, views, feature_views, start_date=start_date, end_date=end_date)
        check_columns(labels, views, on_demand=_on_demand_names(by_on_demand, full=full_feature_names))
        _check_request_data(labels, on_demand)
        metadata = _metadata(labels, feature_refs)
        request = Request(opener, full_feature_names, tuple(on_demand), metadata)
        return HistoricalJob(
            request,
            labels,
            views=views,
            known_at=filter_by_created_timestamp,
            chunk_rows=config.offline_store.chunk_rows,
        )

    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime,
        end_date: datetime,
    ) -> RetrievalJob:
        """Plan the newest row of each key from `start_date` to `end_date`, both included."""
        pull = pulling.Pull(
            table=_opener(config).table(parquet_source(data_source, what="The pull")),
            keys=tuple(join_key_columns),
            features=tuple(feature_name_columns),
            event=timestamp_field,
            created=created_timestamp_column or None,
            span=pulling.span_of(start_date, end_date),
        )
        return pulling.PullLatestJob(Request(_opener(config)), pull.checked())

    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> RetrievalJob:
        """Plan all rows from `start_date` to `end_date`, both included, in stored order."""
        pull = pulling.Pull(
            table=_opener(config).table(parquet_source(data_source, what="The pull")),
            keys=tuple(join_key_columns),
            features=tuple(feature_name_columns),
            event=timestamp_field,
            created=created_timestamp_column or None,
            span=pulling.span_of(start_date, end_date),
        )
        rows = config.offline_store.chunk_rows
        return pulling.PullAllJob(Request(_opener(config)), pull.checked(), chunk_rows=rows)

    @staticmethod
    def offline_write_batch(
        config: RepoConfig,
        feature_view: FeatureView,
        table: pa.Table,
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Append rows to the view's source; `progress` is called once with their number."""
        source = parquet_source(feature_view.batch_source, what=f"Feature view {feature_view.name!r}")
        writing.append(_opener(config).table(source), table, mapping=dict(source.field_mapping or {}))
        if progress:
            progress(table.num_rows)

    @staticmethod
    def write_logged_features(
        config: RepoConfig,
        data: pa.Table | Path,
        source: LoggingSource,
        logging_config: LoggingConfig,
        registry: BaseRegistry,
    ) -> None:
        """Add served features to the log's folder as new files; `data` may be a folder of Parquet.

        Raises:
            ConfigError: the log does not go to files.
        """
        destination = logging_config.destination
        if not isinstance(destination, FileLoggingDestination):
            raise ConfigError(
                f"The log goes to {type(destination).__name__}.",
                remedy="This offline store writes to a FileLoggingDestination.",
            )
        rows = ds.dataset(data, format="parquet").to_table() if isinstance(data, Path) else data
        location = _opener(config).location(destination.path, endpoint=destination.s3_endpoint_override)
        writing.add_files(location, rows, partition_by=destination.partition_by or ())

    def validate_data_source(self, config: RepoConfig, data_source: DataSource) -> None:
        """Check that a source can be read and has its time columns.

        Raises:
            MarqueeError: it is not there, not Parquet, or lacks a column.
        """
        source = parquet_source(data_source, what=f"Source {data_source.name!r}")
        stored = {new: old for old, new in (source.field_mapping or {}).items()}
        times = [name for name in (source.timestamp_field, source.created_timestamp_column) if name]
        table = _opener(config).table(source)
        present = table.schema.names
        names = [name if name in present else stored.get(name, name) for name in times]
        table.require(names, asked_by=f"source {source.name!r}")

    def get_table_column_names_and_types_from_data_source(
        self, config: RepoConfig, data_source: DataSource
    ) -> Iterable[tuple[str, str]]:
        """Stored names and Arrow types of all columns."""
        source = parquet_source(data_source, what=f"Source {data_source.name!r}")
        return [(field.name, str(field.type)) for field in _opener(config).table(source).schema]


def _opener(config: RepoConfig) -> Opener:
    settings = config.offline_store
    return Opener(
        repo_path=config.repo_path,
        s3_connect_timeout_seconds=settings.s3_connect_timeout_seconds,
        s3_request_timeout_seconds=settings.s3_request_timeout_seconds,
    )


def _labels(
    config: RepoConfig,
    entity_df: LabelSource | None,
    views: list[ViewRequest],
    feature_views: list[FeatureView],
    *,
    start_date: datetime | None,
    end_date: datetime | None,
) -> LabelFrame:
    if entity_df is not None:
        settings = config.offline_store
        limits = {"memory_limit": settings.memory_limit, "temp_directory": settings.temp_directory}
        return LabelFrame.of(arrow_labels(entity_df, **limits))
    start, end = utils.compute_non_entity_date_range(feature_views, start_date=start_date, end_date=end_date)
    return seen_keys(views, first_us=pulling.since_epoch(start), last_us=pulling.since_epoch(end))


def _metadata(labels: LabelFrame, feature_refs: list[str]) -> RetrievalMetadata:
    first, last = labels.bounds()
    return RetrievalMetadata(
        features=list(feature_refs),
        keys=[name for name in labels.table.column_names if name != labels.time],
        min_event_timestamp=first,
        max_event_timestamp=last,
    )


def _on_demand_names(features: dict[OnDemandFeatureView, list[str]], *, full: bool) -> list[str]:
    return [
        f"{view.projection.name_to_use()}__{name}" if full else name
        for view, names in features.items()
        for name in names
    ]


def _check_request_data(labels: LabelFrame, on_demand: list[OnDemandFeatureView]) -> None:
    for view in on_demand:
        for name in view.get_request_data_schema():
            if name not in labels.table.column_names:
                raise RequestDataNotFoundInEntityDfException(feature_name=name, feature_view_name=view.name)
