"""Point-in-time rows through Feast, by whichever engine: as many as were asked for, in their order."""

from collections.abc import Sequence

import polars as pl
from feast import FeatureStore

from marquee import schema
from marquee.adapters.feast.spark import is_spark, spark_historical
from marquee.errors import FeatureStoreError


def historical_rows(store: FeatureStore, labels: pl.DataFrame, refs: Sequence[str]) -> pl.DataFrame:
    """The features of each label row as of its time, known by then; label columns come first.

    Raises:
        FeatureStoreError: the engine lost, repeated or moved rows.
    """
    ask = spark_historical if is_spark(store.config) else _by_our_store
    answer = ask(store, labels, refs)
    require_same_rows(labels, answer)
    return answer


def _by_our_store(store: FeatureStore, labels: pl.DataFrame, refs: Sequence[str]) -> pl.DataFrame:
    """Of a polars frame, which other engines of Feast do not take."""
    job = store.get_historical_features(
        entity_df=labels, features=list(refs), filter_by_created_timestamp=True
    )
    answer = pl.from_arrow(job.to_arrow())
    assert isinstance(answer, pl.DataFrame)  # noqa: S101 - a table is a frame
    return answer


def require_same_rows(labels: pl.DataFrame, answer: pl.DataFrame) -> None:
    """Check that no label row was lost, repeated or moved: dask's engine, for one, loses some.

    Raises:
        FeatureStoreError: one was.
    """
    remedy = "Use the offline store marquee.adapters.feast_offline.AsofOfflineStore."
    if len(labels) != len(answer):
        raise FeatureStoreError(f"{len(labels)} label rows came back as {len(answer)}.", remedy=remedy)
    kept = [schema.USER_ID, schema.ITEM_ID]
    for name in (name for name in kept if name in labels.columns):
        if not labels[name].eq_missing(answer[name].cast(labels[name].dtype)).all():
            raise FeatureStoreError(f"label rows came back in another order (column {name}).", remedy=remedy)
