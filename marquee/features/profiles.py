"""What is printed about movies, as arrays by dense index."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from marquee import schema
from marquee.data.interactions import Vocabulary
from marquee.data.sparse_rows import csr_of
from marquee.features.reader import StateReader


@dataclass(frozen=True, eq=False)
class MovieProfiles:
    """Static facts of movies, aligned with the item vocabulary.

    `genres` and `people` are L2-normalised rows, so that a product of two rows is their cosine; a
    movie without any has a zero row.
    """

    year: NDArray[np.float32]  # (n_items,) of release, NaN where unknown
    genres: sp.csr_array  # (n_items, n_genres) float32
    people: sp.csr_array  # (n_items, n_people) float32: directors and cast

    @cached_property
    def wide_genres(self) -> NDArray[np.float64]:
        """`genres`, dense: they are few."""
        return self.genres.toarray().astype(np.float64)

    @cached_property
    def wide_people(self) -> sp.csr_array:
        """`people` in float64."""
        people = self.people
        return csr_of(people.data.astype(np.float64), people.indices, people.indptr, people.shape)

    @classmethod
    def read(cls, state: StateReader, items: Vocabulary, *, time_us: int) -> Self:
        """Ask the state for all movies as of a moment, UTC microseconds."""
        return cls.of(state.movies(items.ids, np.full(len(items), time_us, np.int64)))

    @classmethod
    def of(cls, rows: pl.DataFrame) -> Self:
        """From rows of the movie_profile view, one per item index; null where nothing is known."""
        # A director and an actor of one name are two facts: prefixed apart.
        people = rows.select(
            pl.concat_list(
                pl.col(schema.MOVIE_DIRECTORS).fill_null([]).list.eval("director " + pl.element()),
                pl.col(schema.MOVIE_CAST).fill_null([]).list.eval("cast " + pl.element()),
            )
        ).to_series()
        return cls(
            year=rows[schema.MOVIE_YEAR].fill_null(float("nan")).to_numpy().copy(),
            genres=_normalised_indicator(rows[schema.MOVIE_GENRES]),
            people=_normalised_indicator(people),
        )


def _normalised_indicator(labels: pl.Series) -> sp.csr_array:
    """Rows of 0/1 per distinct label, scaled to length one; `(n_rows, n_labels) float32`."""
    rows = labels.fill_null([]).to_frame("label").with_row_index("row").explode("label").drop_nulls().unique()
    names = rows["label"].unique().sort()
    column = rows["label"].cast(pl.Enum(names)).to_physical().to_numpy().astype(np.int32)
    row = rows["row"].to_numpy().astype(np.int32)
    # The length of a row of n ones is √n.
    length = np.sqrt(np.bincount(row, minlength=len(labels)))[row]
    return sp.csr_array(((1 / length).astype(np.float32), (row, column)), shape=(len(labels), len(names)))
