"""All movies as of a moment: what the item matrix is made of."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl

from marquee import schema
from marquee.adapters.feast.declarations import ttl_seconds, view_source
from marquee.adapters.feast.door import FeatureDoor
from marquee.adapters.feast.faults import store_errors
from marquee.errors import FeatureStoreError


def item_rows(door: FeatureDoor, service: str, views: Sequence[str], *, at: datetime) -> pl.DataFrame:
    """One row per movie of which any view knows something at `at`, as `FeatureDoor.historical` gives it then.

    Raises:
        FeatureStoreError: as `FeatureDoor.historical`, or no movie is known then.
        SourceError: a view's files can't be read.
    """
    known = pl.concat(_known_items(door, view, at=at) for view in views)
    items = known.drop_nulls().unique().sort(schema.ITEM_ID)
    if items.is_empty():
        raise FeatureStoreError(
            f"nothing is known of any movie at {at:%Y-%m-%d %H:%M} UTC.",
            remedy="Build the state up to then, `marquee features build`, or give another time.",
        )
    labels = items.with_columns(pl.lit(at).cast(schema.TIME_DTYPE).alias(schema.EVENT_TIMESTAMP))
    return door.historical(service, labels, views=views)


def _known_items(door: FeatureDoor, view: str, *, at: datetime) -> pl.DataFrame:
    """Ids of a view's rows up to `at` that are not over its limit of age, with repeats."""
    registered = door._view(view)
    source = view_source(registered)
    limit = ttl_seconds(registered)
    with store_errors(f"ids of {view}", profile=door.profile.name):
        job = door.store._get_provider().offline_store.pull_all_from_table_or_query(
            config=door.store.config,
            data_source=source,
            join_key_columns=[schema.ITEM_ID],
            feature_name_columns=[],
            timestamp_field=source.timestamp_field,
            start_date=at - timedelta(seconds=limit) if limit else None,
            end_date=at,
        )
        table = job.to_arrow().select([schema.ITEM_ID])
    ids = pl.from_arrow(table)
    assert isinstance(ids, pl.DataFrame)  # noqa: S101 - a table is a frame
    return ids.cast(pl.String)
