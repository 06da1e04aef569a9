"""Movie facts and publicity from the SQLite tables `omdb` and `tomatoes` of bokeh_sampledata 2026.1.

In that version the values come from Wikidata (CC0); only the table and column names are the old
OMDb ones. Facts (people, countries, runtime, rating, release date) fill gaps of a movie table; scores,
awards and box office become the publicity table. People stand in alphabetical order there, not in
billing order.
"""

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import polars as pl

from marquee import schema
from marquee.data.content_ratings import min_ages_of
from marquee.data.datasets.dates import read_date
from marquee.data.datasets.download import PinnedWheel
from marquee.data.datasets.raw import conform
from marquee.data.datasets.titles import match_keys
from marquee.errors import SourceError

KnownSince = Literal["release", "observed"]
"""When a score counts as known: since the movie's release, or since the day that the table says."""

WHEEL: Final = PinnedWheel(
    project="bokeh_sampledata",
    version="2026.1",
    filename="bokeh_sampledata-2026.1-py3-none-any.whl",
    sha256="f40331a40ca30c64a1c1471835aad9006b61b0d9731a3f649ee8cbbf48d3822f",
    n_bytes=12_835_603,
)
DATABASE_FOLDER: Final = "bokeh_sampledata/_data"
DATABASE_NAME: Final = "movies.db"
SOURCE_NAME: Final = "bokeh_sampledata 2026.1 (Wikidata)"
MAX_YEARS_APART: Final = 1  # festival and release year often differ by one

_QUERY: Final = """
    SELECT omdb.ID, imdbID, Title, Year, omdb.Rating, Runtime, Released, Director, "Cast", Country, Awards,
           Metacritic, omdb.lastUpdated, tomatoes.Rating, Reviews, BoxOffice
    FROM omdb LEFT JOIN tomatoes ON omdb.ID = tomatoes.ID ORDER BY omdb.ID
"""
_FACT, _OBSERVED_ON, _AWARDS = "fact_id", "observed_on", "awards"
_READ_SCHEMA: Final[dict[str, pl.DataType]] = {
    _FACT: pl.Int64(),
    schema.IMDB_ID: pl.String(),
    schema.TITLE: pl.String(),
    schema.YEAR: pl.Int16(),
    schema.CONTENT_RATING: pl.String(),
    schema.DURATION_MINUTES: pl.Float64(),
    schema.RELEASED_ON: pl.String(),
    schema.DIRECTORS: pl.String(),
    schema.CAST: pl.String(),
    schema.COUNTRIES: pl.String(),
    _AWARDS: pl.String(),
    schema.METACRITIC: pl.Float32(),
    _OBSERVED_ON: pl.String(),
    # The average rating of the critics. `Meter`, the share of them who liked it, is another quantity and
    # is not used to fill gaps.
    schema.CRITIC_SCORE: pl.Float32(),
    schema.CRITIC_COUNT: pl.Int32(),
    schema.BOX_OFFICE_USD: pl.Float64(),
}
_FILLED: Final = (
    schema.RELEASED_ON,
    schema.DIRECTORS,
    schema.CAST,
    schema.COUNTRIES,
    schema.DURATION_MINUTES,
    schema.CONTENT_RATING,
    schema.IMDB_ID,
)


@dataclass(frozen=True)
class Enriched:
    """A movie table with its gaps filled, the publicity of its movies, and how many were found."""

    movies: pl.DataFrame
    publicity: pl.DataFrame
    note: str


def read_facts(database: Path) -> pl.DataFrame:
    """All movies of the database, one row each; empty text is null, a release date of 1 January is null.

    11,468 of the 17,472 release dates are a 1 January: the year is known, the day is not.

    Raises:
        SourceError: it is not that database.
    """
    try:
        with closing(
            sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        ) as connection:
            rows = connection.execute(_QUERY).fetchall()
    except sqlite3.Error as err:
        raise SourceError(
            f"{database} can't be read as the movie database of {WHEEL.label}: {err}.",
            remedy="Delete it: the next run unpacks it again.",
        ) from err
    table = pl.DataFrame(rows, schema=_READ_SCHEMA, orient="row", strict=False)
    text = [column for column, dtype in _READ_SCHEMA.items() if dtype == pl.String]
    table = table.with_columns(pl.col(text).str.strip_chars().replace("", None))
    return table.with_columns(
        pl.col(schema.DIRECTORS, schema.CAST, schema.COUNTRIES).str.split(", "),
        pl.col(schema.DURATION_MINUTES).round().cast(pl.Int16),
        precise_date(table[schema.RELEASED_ON]),
        pl.col(_OBSERVED_ON).str.to_date("%Y-%m-%d"),
    )


def precise_date(texts: pl.Series) -> pl.Series:
    """Dates of `texts`, null where they say 1 January: catalogues write that when they know the year only."""
    dates = pl.Series(texts.name, [read_date(text) if text else None for text in texts], dtype=pl.Date)
    is_placeholder = (dates.dt.month() == 1) & (dates.dt.day() == 1)
    return dates.to_frame().select(pl.when(~is_placeholder).then(pl.col(texts.name)))[texts.name]


def enrich(movies: pl.DataFrame, facts: pl.DataFrame, *, known_since: KnownSince) -> Enriched:
    """Fill gaps of a movie table and make its publicity table.

    A movie with an `imdb_id` is looked up by it and by nothing else; where no movie has one, by title
    and year. What the movie table says already is never changed.

    Args:
        movies: as `schema.MOVIES_SCHEMA`.
        facts: of `read_facts`.
        known_since: what `observed_at` says.
    """
    by_imdb = movies[schema.IMDB_ID].is_not_null().any()
    matches = match_by_imdb_id(movies, facts) if by_imdb else match_by_title(movies, facts)
    matched = matches.join(facts, on=_FACT, how="left", maintain_order="left")
    filled = _fill_gaps(movies, matched)
    how = "IMDb id" if by_imdb else f"title and year ± {MAX_YEARS_APART}"
    rated = filled[schema.MIN_AGE].is_not_null().sum()
    note = (
        f"movie facts and publicity from {SOURCE_NAME}: "
        f"{len(matches):,} of {len(movies):,} movies found by {how}, "
        f"{rated:,} with a content rating; people stand in alphabetical, not in billing order"
    )
    return Enriched(movies=filled, publicity=_publicity(filled, matched, known_since=known_since), note=note)


def match_by_imdb_id(movies: pl.DataFrame, facts: pl.DataFrame) -> pl.DataFrame:
    """Pairs `item_id`, `fact_id` that share an IMDb id; of two facts with one id the better reviewed."""
    best = _best_first(facts).unique(schema.IMDB_ID, keep="first", maintain_order=True)
    return (
        movies.select(schema.ITEM_ID, schema.IMDB_ID)
        .drop_nulls()
        .join(best.select(schema.IMDB_ID, _FACT), on=schema.IMDB_ID, maintain_order="left")
        .select(schema.ITEM_ID, _FACT)
    )


def match_by_title(movies: pl.DataFrame, facts: pl.DataFrame) -> pl.DataFrame:
    """Pairs `item_id`, `fact_id` whose title keys meet and whose years are at most one apart.

    Of several facts the one wins that shares the more telling key, then the nearer year, then the
    more reviews. One fact may belong to two items: 18 titles of ML-100k stand under two ids.
    """
    left = _keyed(movies.select(schema.ITEM_ID, schema.TITLE, schema.YEAR))
    right = _keyed(facts.select(_FACT, schema.TITLE, schema.YEAR, schema.CRITIC_COUNT))
    pairs = left.join(right, on="key", suffix="_of_fact").with_columns(
        years_apart=(pl.col(schema.YEAR) - pl.col(f"{schema.YEAR}_of_fact")).abs()
    )
    order = ["key_rank", "key_rank_of_fact", "years_apart", schema.CRITIC_COUNT, _FACT]
    descending = [False, False, False, True, False]
    best = pairs.filter(pl.col("years_apart") <= MAX_YEARS_APART).sort(
        order, descending=descending, nulls_last=True
    )
    best = best.unique(schema.ITEM_ID, keep="first", maintain_order=True).select(schema.ITEM_ID, _FACT)
    return movies.select(schema.ITEM_ID).join(best, on=schema.ITEM_ID, maintain_order="left")


def read_awards(text: str | None) -> tuple[int | None, int | None]:
    """Wins and nominations in "Won 4 Oscars. Nominated for 8 Oscars."; nulls where there is no such text.

    A half that the text leaves out is 0: the text lists what there was.
    """
    won = re.search(r"\bWon (\d+) ", text or "")
    nominated = re.search(r"\bNominated for (\d+) ", text or "")
    if not won and not nominated:
        return None, None
    return int(won[1]) if won else 0, int(nominated[1]) if nominated else 0


def _best_first(facts: pl.DataFrame) -> pl.DataFrame:
    return facts.sort([schema.CRITIC_COUNT, _FACT], descending=[True, False], nulls_last=True)


def _keyed(table: pl.DataFrame) -> pl.DataFrame:
    keys = [list(match_keys(title)) if title else [] for title in table[schema.TITLE]]
    ranked = table.drop(schema.TITLE).with_columns(
        key=pl.Series(keys, dtype=pl.List(pl.String)),
        key_rank=pl.Series([list(range(len(each))) for each in keys], dtype=pl.List(pl.Int64)),
    )
    return ranked.explode("key", "key_rank").drop_nulls("key")


def _fill_gaps(movies: pl.DataFrame, matched: pl.DataFrame) -> pl.DataFrame:
    facts = matched.select(schema.ITEM_ID, *_FILLED)
    joined = movies.join(facts, on=schema.ITEM_ID, how="left", suffix="_of_fact", maintain_order="left")
    filled = joined.with_columns(pl.coalesce(column, f"{column}_of_fact").alias(column) for column in _FILLED)
    return conform(filled.with_columns(min_ages_of(filled[schema.CONTENT_RATING])), name=schema.MOVIES)


def _publicity(movies: pl.DataFrame, matched: pl.DataFrame, *, known_since: KnownSince) -> pl.DataFrame:
    released = pl.coalesce(
        f"{schema.RELEASED_ON}_of_movie", pl.date(pl.col(f"{schema.YEAR}_of_movie") + 1, 1, 1)
    )
    known_on = pl.coalesce(released, _OBSERVED_ON) if known_since == "release" else pl.col(_OBSERVED_ON)
    awards = [read_awards(text) for text in matched[_AWARDS]]
    dates = movies.select(schema.ITEM_ID, schema.RELEASED_ON, schema.YEAR)
    dates = dates.rename({column: f"{column}_of_movie" for column in (schema.RELEASED_ON, schema.YEAR)})
    table = matched.with_columns(
        pl.Series(schema.AWARD_WINS, [wins for wins, _ in awards], dtype=pl.Int32),
        pl.Series(schema.AWARD_NOMINATIONS, [nominations for _, nominations in awards], dtype=pl.Int32),
        pl.lit(SOURCE_NAME).alias(schema.SOURCE),
    ).join(dates, on=schema.ITEM_ID, how="left", maintain_order="left")
    table = table.with_columns(
        known_on.cast(pl.Datetime("us")).dt.replace_time_zone("UTC").alias(schema.OBSERVED_AT)
    )
    return conform(table, name=schema.PUBLICITY)
