"""The state of all movies at the moments at which it was refreshed, as one array."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marquee import schema
from marquee.data.interactions import Vocabulary
from marquee.errors import FeatureStoreError
from marquee.features.context import DAY_US
from marquee.features.item_matrix import ItemMatrix
from marquee.features.reader import StateReader

MAX_BYTES: Final = 2**28
"""What the states of many moments may hold together; with more movies there are fewer moments."""


@dataclass(frozen=True, eq=False)
class MovieStates:
    """`schema.MOVIE_STATE` of every movie, as of one moment (a server's) or of several (a past's).

    A query reads the newest moment that is not after it; one before all of them reads the first.
    """

    moments_us: NDArray[np.int64]  # (n_moments,) ascending, UTC microseconds
    matrix: NDArray[np.float32]  # (n_moments, n_items, len(schema.MOVIE_STATE)), NaN where unknown

    @classmethod
    def read(cls, state: StateReader, items: Vocabulary, moments_us: NDArray[np.int64]) -> Self:
        """Ask the state for all movies at each moment."""
        return cls.of_rows(state.movies(*cls.asked(items, moments_us)), moments_us)

    @staticmethod
    def asked(items: Vocabulary, moments_us: NDArray[np.int64]) -> tuple[pl.Series, NDArray[np.int64]]:
        """All movies at the first moment, then all at the next, and so on: ids and moments of the rows."""
        return pl.concat([items.ids] * len(moments_us)), np.repeat(moments_us, len(items))

    @classmethod
    def of_rows(cls, rows: pl.DataFrame, moments_us: NDArray[np.int64]) -> Self:
        """Of rows that were read: all movies at the first moment, then all at the next, and so on."""
        matrix = rows.select(pl.col(schema.MOVIE_STATE).cast(pl.Float32).fill_null(float("nan"))).to_numpy()
        shape = (len(moments_us), len(rows) // len(moments_us), len(schema.MOVIE_STATE))
        return cls(moments_us, np.ascontiguousarray(matrix, np.float32).reshape(shape))

    @classmethod
    def of_matrix(cls, held: ItemMatrix, items: Vocabulary) -> Self:
        """The one moment of an item matrix, aligned with a model's items; NaN for those that it lacks.

        Raises:
            FeatureStoreError: its columns are not those that this program reads.
        """
        if held.columns != schema.MOVIE_STATE:
            raise FeatureStoreError(
                f"item matrix {held.version[:12]} of {held.service} has other columns than this program has.",
                remedy="Export it with this release: `marquee features export --force`.",
            )
        rows = held.take(held.items.encode(items.ids))
        return cls(np.array([held.as_of_us], np.int64), rows[np.newaxis])

    def moment_of(self, time_us: NDArray[np.int64]) -> NDArray[np.int64]:
        """Position of the moment that each query reads, `(n_queries,)`."""
        return self.moments_us[1:].searchsorted(time_us, side="right")

    def begin_of(self, time_us: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where in `rows` the movies begin as of the moment that each query reads, `(n_queries,)`."""
        begin: NDArray[np.int64] = self.moment_of(time_us) * self.matrix.shape[1]
        return begin

    @cached_property
    def rows(self) -> NDArray[np.float32]:
        """All movies at the first moment, then all at the next, and so on: `(n_rows, n_columns)`."""
        return self.matrix.reshape(-1, len(schema.MOVIE_STATE))

    @cached_property
    def log_events(self) -> NDArray[np.float32]:
        """log(1 + events so far) of all movies, `(n_moments, n_items) float32`."""
        return np.log1p(self.column(schema.ITEM_EVENTS_ALL))

    def column(self, name: str) -> NDArray[np.float32]:
        """One number of all movies, `(n_moments, n_items) float32`."""
        return self.matrix[:, :, schema.MOVIE_STATE.index(name)]


def refresh_moments(time_us: NDArray[np.int64], n_items: int) -> NDArray[np.int64]:
    """The midnights (UTC) that start the days of these queries: movies' state is refreshed daily.

    Where the states of all those days would not fit into `MAX_BYTES`, every second, third … of them,
    so that a query may read a state some days old; never one of later than its day's beginning.
    """
    days = np.unique(time_us // DAY_US) * DAY_US
    most = max(MAX_BYTES // (4 * len(schema.MOVIE_STATE) * max(n_items, 1)), 1)
    return days[:: -(-len(days) // most) or 1]


def read_movie_states(state: StateReader, items: Vocabulary, time_us: NDArray[np.int64]) -> MovieStates:
    """The state of all movies on each day of these queries (at least one), as `refresh_moments` chooses."""
    return MovieStates.read(state, items, refresh_moments(time_us, len(items)))
