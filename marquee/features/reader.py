"""Where state comes from: the feature store, or memory where there is none. Both give the same rows."""

from collections.abc import Mapping
from typing import Final, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marquee import schema

SERVICE: Final = "ranking_v1"
"""The feature service that the models of this release are trained and served with."""
USER_COLUMNS: Final[dict[str, pl.DataType]] = {
    name: schema.FEATURE_VIEWS[view][name]
    for view, names in schema.FEATURE_SERVICES[SERVICE].items()
    for name in names
    if schema.VIEW_KEYS[view] == schema.USER_ID
}
"""Features of its user views, in its order."""
MOVIE_COLUMNS: Final[dict[str, pl.DataType]] = {
    name: schema.FEATURE_VIEWS[view][name]
    for view, names in schema.FEATURE_SERVICES[SERVICE].items()
    for name in names
    if schema.VIEW_KEYS[view] == schema.ITEM_ID
}
"""Features of its movie views, in its order."""


class StateReader(Protocol):
    """What was known of users and movies as of a moment: events up to and with it, and nothing later."""

    @property
    def contracts(self) -> Mapping[str, str]:
        """The feature services that the rows follow, each with the hash of its meaning."""
        ...

    def users(self, user_ids: pl.Series, time_us: NDArray[np.int64]) -> pl.DataFrame:
        """A row for each user and moment (UTC microseconds), in the order asked.

        Returns:
            `USER_COLUMNS`; null where nothing was known of the user then.
        """
        ...

    def movies(self, item_ids: pl.Series, time_us: NDArray[np.int64]) -> pl.DataFrame:
        """A row for each movie and moment (UTC microseconds), in the order asked.

        Returns:
            `MOVIE_COLUMNS`; null where nothing was known of the movie then.
        """
        ...
