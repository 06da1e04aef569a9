"""Feast's Spark engine for when one machine is outgrown: our files as its sources, its answers as ours.

The engine gives the same values, but in an order of its own and in pandas' types: whole numbers with nulls
become floats, and an event without value (NaN in a list) becomes null.
"""

from collections.abc import Sequence
from typing import Any, Final

import polars as pl
from feast import FeatureStore, FileSource, RepoConfig

from marquee import schema

_PLACE: Final = "marquee_label_place"


def is_spark(config: RepoConfig) -> bool:
    """Whether a profile's offline store is Spark."""
    return bool(config.offline_store.type == "spark")


def spark_source(source: FileSource) -> Any:  # noqa: ANN401 - its class needs pyspark
    """Spark's view of the files of a source."""
    from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import (  # noqa: PLC0415 - needs pyspark
        SparkSource,
    )

    return SparkSource(
        name=source.name,
        path=source.path,
        file_format="parquet",
        timestamp_field=source.timestamp_field,
        created_timestamp_column=source.created_timestamp_column,
        description=source.description,
        tags=source.tags,
        owner=source.owner,
    )


def spark_historical(store: FeatureStore, labels: pl.DataFrame, refs: Sequence[str]) -> pl.DataFrame:
    """The features of each label row by Spark, in the labels' order and the schema's types."""
    numbered = labels.with_columns(pl.int_range(pl.len()).alias(_PLACE))
    job = store.get_historical_features(
        entity_df=numbered.to_pandas(), features=list(refs), filter_by_created_timestamp=True
    )
    answer = pl.from_arrow(job.to_arrow())
    assert isinstance(answer, pl.DataFrame)  # noqa: S101 - a table is a frame
    return aligned(labels, answer, [ref.partition(":") for ref in refs])


def aligned(
    labels: pl.DataFrame, answer: pl.DataFrame, features: Sequence[tuple[str, str, str]]
) -> pl.DataFrame:
    """Label columns as they were given, then the features of (view, ":", name), row for row.

    An answer that lost or repeated a row keeps its own number of rows, for the caller to see.
    """
    ordered = answer.sort(_PLACE)
    place = ordered[_PLACE]
    given = labels[place.to_list()] if len(place) == len(labels) else ordered.select(labels.columns)
    columns = [
        _typed(ordered[name], schema.FEATURE_VIEWS[view][name]).alias(name) for view, _, name in features
    ]
    return given.with_columns(columns)


def _typed(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    if dtype == pl.List(pl.Float32):
        return values.cast(dtype).list.eval(pl.element().fill_null(float("nan")))
    return values.cast(dtype)
