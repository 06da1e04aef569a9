"""What is known of users and movies apart from their events, as arrays by dense index."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from marquee import schema
from marquee.data.interactions import Vocabulary


@dataclass(frozen=True, eq=False)
class UserProfiles:
    """Static facts of users; NaN where unknown. Row `-1` is the unknown user: all NaN.

    The extra last row lets `profiles.age[queries.user_index]` work for unknown users as it is.
    """

    age: NDArray[np.float32]  # (n_users + 1,) years
    is_male: NDArray[np.float32]  # (n_users + 1,) 1 male, 0 female

    @classmethod
    def of(cls, users: Vocabulary, table: pl.DataFrame | None) -> Self:
        """Align a users table with a vocabulary; users or columns that it lacks are NaN."""
        aligned = _aligned(users, table, key=schema.USER_ID, columns=schema.USERS_SCHEMA)
        gender = aligned[schema.GENDER].str.to_uppercase().str.slice(0, 1)
        is_male = gender.replace_strict({"M": 1.0, "F": 0.0}, default=None, return_dtype=pl.Float32)
        return cls(_with_unknown(aligned[schema.AGE]), _with_unknown(is_male))


def _aligned(
    vocabulary: Vocabulary, table: pl.DataFrame | None, *, key: str, columns: Mapping[str, pl.DataType]
) -> pl.DataFrame:
    """One row per id of the vocabulary, with all of `columns`; null where the table knows nothing."""
    table = pl.DataFrame(schema={key: pl.String()}) if table is None else table
    missing = [
        pl.lit(None, dtype).alias(name) for name, dtype in columns.items() if name not in table.columns
    ]
    known = table.with_columns(missing).unique(key, keep="first", maintain_order=True)
    return vocabulary.ids.to_frame(key).join(known, on=key, how="left", maintain_order="left")


def _with_unknown(column: pl.Series) -> NDArray[np.float32]:
    known = column.cast(pl.Float32).fill_null(float("nan")).to_numpy()
    return np.append(known, np.float32("nan")).astype(np.float32)


@dataclass(frozen=True, eq=False)
class MovieProfiles:
    """Static facts of movies, aligned with the item vocabulary.

    `genres` and `people` are L2-normalised rows, so that a product of two rows is their cosine; a
    movie without any has a zero row.
    """

    year: NDArray[np.float32]  # (n_items,) of release, NaN where unknown
    min_age: NDArray[np.float32]  # (n_items,) suitable from this age in years, NaN where unknown
    genres: sp.csr_array  # (n_items, n_genres) float32
    people: sp.csr_array  # (n_items, n_people) float32: directors and cast

    @classmethod
    def of(cls, items: Vocabulary, table: pl.DataFrame | None) -> Self:
        """Align a movies table with a vocabulary; of movies and columns that it lacks, nothing is known."""
        aligned = _aligned(items, table, key=schema.ITEM_ID, columns=schema.MOVIES_SCHEMA)
        # A director and an actor of one name are two facts: prefixed apart.
        people = aligned.select(
            pl.concat_list(
                pl.col(schema.DIRECTORS).fill_null([]).list.eval("director " + pl.element()),
                pl.col(schema.CAST).fill_null([]).list.eval("cast " + pl.element()),
            )
        ).to_series()
        return cls(
            year=aligned[schema.YEAR].cast(pl.Float32).fill_null(float("nan")).to_numpy().copy(),
            min_age=aligned[schema.MIN_AGE].cast(pl.Float32).fill_null(float("nan")).to_numpy().copy(),
            genres=_normalised_indicator(aligned[schema.GENRES]),
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
