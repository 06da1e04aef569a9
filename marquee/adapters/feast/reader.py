"""Training and evaluation's way to state: Feast's point-in-time join."""

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marquee import schema
from marquee.adapters.feast.door import FeatureDoor
from marquee.features.reader import MOVIE_COLUMNS, SERVICE, USER_COLUMNS


class FeastReader:
    """A `marquee.features.reader.StateReader` of one feature store.

    Raises:
        FeatureStoreError: from each method, where registry or store does not answer or lacks the service.
        SourceError: likewise, where a view's files can't be read.
    """

    def __init__(self, door: FeatureDoor) -> None:
        self.door = door

    @cached_property
    def contracts(self) -> Mapping[str, str]:
        """The declared services of this release with the hash of each one's meaning."""
        return {name: self.door.service_hash(name) for name in schema.FEATURE_SERVICES}

    def users(self, user_ids: pl.Series, time_us: NDArray[np.int64]) -> pl.DataFrame:
        """As `StateReader.users`."""
        return self._rows(schema.USER_ID, user_ids, time_us, USER_COLUMNS)

    def movies(self, item_ids: pl.Series, time_us: NDArray[np.int64]) -> pl.DataFrame:
        """As `StateReader.movies`."""
        return self._rows(schema.ITEM_ID, item_ids, time_us, MOVIE_COLUMNS)

    def _rows(
        self, key: str, ids: pl.Series, time_us: NDArray[np.int64], columns: Mapping[str, pl.DataType]
    ) -> pl.DataFrame:
        times = pl.Series(time_us).cast(schema.TIME_DTYPE)
        labels = pl.DataFrame({key: ids, schema.EVENT_TIMESTAMP: times})
        views = [view for view in schema.FEATURE_SERVICES[SERVICE] if schema.VIEW_KEYS[view] == key]
        if labels.is_empty():
            return pl.DataFrame(schema=dict(columns))
        rows = self.door.historical(SERVICE, labels, views=views)
        return rows.select(pl.col(name).cast(dtype) for name, dtype in columns.items())
