"""What is printed and said about movies, as a route learns from it beside the events."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marquee import schema
from marquee.data.interactions import Vocabulary

FIELDS: Final = ("genres", "directors", "cast", "words", "period")
"""Kinds of terms that describe a movie."""
PERIOD_YEARS: Final = 5
WORD: Final = r"[\p{L}\p{N}]{3,}"
"""Shorter words are articles and prepositions, nearly all of them."""


@dataclass(frozen=True, eq=False)
class MovieFacts:
    """Terms and numbers of all movies, aligned with the item vocabulary."""

    terms: Mapping[str, pl.Series]  # by field of FIELDS: a list of terms per item, empty where unknown
    publicity: NDArray[np.float32]  # (n_items, len(schema.PUBLICITY_FACTS)), NaN where unknown
    year: NDArray[np.float32]  # (n_items,) of release, NaN where unknown

    @classmethod
    def of(cls, rows: pl.DataFrame, descriptions: pl.Series | None = None) -> Self:
        """From rows of state (`StateReader.movies`), one per item index; columns that they lack are unknown.

        Args:
            rows: what was known of the movies at the moment that the route learns at.
            descriptions: the text of each, null where there is none. It is no part of the state: it
                is printed once and never changes, and nothing but this reads it.
        """
        rows = rows.select(
            pl.col(name).cast(dtype) if name in rows.columns else pl.lit(None, dtype).alias(name)
            for name, dtype in _COLUMNS.items()
        )
        texts = pl.Series([None] * len(rows), dtype=pl.String) if descriptions is None else descriptions
        words = pl.concat_str(pl.col("movie_title"), pl.lit(texts), separator=" ", ignore_nulls=True)
        period = (pl.col(schema.MOVIE_YEAR) // PERIOD_YEARS).cast(pl.Int64).cast(pl.String)
        table = rows.select(
            genres=_listed(schema.MOVIE_GENRES),
            directors=_listed(schema.MOVIE_DIRECTORS),
            cast=_listed(schema.MOVIE_CAST),
            words=words.fill_null("").str.to_lowercase().str.extract_all(WORD),
            period=pl.concat_list(period).list.drop_nulls(),
        )
        numbers = rows.select(f"pub_{name}" for name in schema.PUBLICITY_FACTS)
        return cls(
            terms={name: table[name] for name in FIELDS},
            publicity=numbers.fill_null(float("nan")).to_numpy().copy(),
            year=rows[schema.MOVIE_YEAR].fill_null(float("nan")).to_numpy().copy(),
        )

    @classmethod
    def unknown(cls, n_items: int) -> Self:
        """Nothing is known of any movie."""
        return cls.of(pl.DataFrame({schema.MOVIE_YEAR: pl.Series([None] * n_items, dtype=pl.Float32)}))


_PROFILE: Final = (
    "movie_title",
    schema.MOVIE_YEAR,
    schema.MOVIE_GENRES,
    schema.MOVIE_DIRECTORS,
    schema.MOVIE_CAST,
)
_COLUMNS: Final[dict[str, pl.DataType]] = {
    name: dtype
    for view in (schema.MOVIE_PROFILE_VIEW, schema.MOVIE_PUBLICITY_VIEW)
    for name, dtype in schema.FEATURE_VIEWS[view].items()
    if name in _PROFILE or name in [f"pub_{fact}" for fact in schema.PUBLICITY_FACTS]
}


def _listed(name: str) -> pl.Expr:
    return pl.col(name).fill_null([])


def descriptions_of(items: Vocabulary, movies: pl.DataFrame | None) -> pl.Series | None:
    """The description of each item, null where a movies table has none; None without such a table."""
    if movies is None or schema.DESCRIPTION not in movies.columns:
        return None
    known = movies.select(schema.ITEM_ID, schema.DESCRIPTION).unique(
        schema.ITEM_ID, keep="first", maintain_order=True
    )
    asked = items.ids.to_frame(schema.ITEM_ID)
    return asked.join(known, on=schema.ITEM_ID, how="left", maintain_order="left")[schema.DESCRIPTION]
