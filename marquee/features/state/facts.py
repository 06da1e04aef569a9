"""Views of the side tables: profiles of users and movies, and publicity as it became known."""

from datetime import UTC, datetime
from typing import Final

import polars as pl

from marquee import schema

STATIC_KNOWN_AT: Final = datetime(1970, 1, 2, tzinfo=UTC)
"""The time of facts that carry none: before all events, but not 0, which stores read as missing."""


def user_profile(users: pl.DataFrame | None) -> pl.DataFrame:
    """One row per user, with `STATIC_KNOWN_AT`."""
    table = _conformed(users, schema.USERS_SCHEMA)
    letter = pl.col(schema.GENDER).str.to_uppercase().str.slice(0, 1)
    return _static(
        table,
        schema.USER_PROFILE_VIEW,
        {
            schema.USER_AGE: pl.col(schema.AGE),
            schema.USER_IS_MALE: pl.when(letter == "M").then(1.0).when(letter == "F").then(0.0),
            "user_occupation": pl.col(schema.OCCUPATION),
            "user_location": pl.col(schema.LOCATION),
            "user_maturity_limit": pl.col(schema.MATURITY_LIMIT),
        },
    )


def movie_profile(movies: pl.DataFrame | None) -> pl.DataFrame:
    """One row per movie, with `STATIC_KNOWN_AT`."""
    table = _conformed(movies, schema.MOVIES_SCHEMA)
    return _static(
        table,
        schema.MOVIE_PROFILE_VIEW,
        {
            "movie_title": pl.col(schema.TITLE),
            "movie_kind": pl.col(schema.KIND),
            "movie_year": pl.col(schema.YEAR),
            "movie_released_day": pl.col(schema.RELEASED_ON).to_physical(),
            "movie_added_day": pl.col(schema.ADDED_ON).to_physical(),
            "movie_duration_minutes": pl.col(schema.DURATION_MINUTES),
            "movie_min_age": pl.col(schema.MIN_AGE),
            "movie_genres": pl.col(schema.GENRES).list.drop_nulls(),
            "movie_directors": pl.col(schema.DIRECTORS).list.drop_nulls(),
            "movie_cast": pl.col(schema.CAST).list.drop_nulls(),
        },
    )


def movie_publicity(publicity: pl.DataFrame | None, movies: pl.DataFrame | None) -> pl.DataFrame:
    """One row per movie and moment of observation: the newest known value of each fact.

    Args:
        publicity: observations; of several at one moment the last source by name wins.
        movies: for the dates of release.
    """
    released = _conformed(movies, schema.MOVIES_SCHEMA).select(
        schema.ITEM_ID, pl.col(schema.RELEASED_ON).alias("_released")
    )
    key = [schema.ITEM_ID, schema.OBSERVED_AT]
    facts = [pl.col(name).forward_fill().over(schema.ITEM_ID) for name in schema.PUBLICITY_FACTS]
    table = _conformed(publicity, schema.PUBLICITY_SCHEMA).join(
        released.unique(schema.ITEM_ID, keep="first"), on=schema.ITEM_ID, how="left", maintain_order="left"
    )
    state = (
        table.sort([*key, schema.SOURCE], nulls_last=False)
        .with_columns(facts)
        .unique(key, keep="last", maintain_order=True)
    )
    days = pl.col(schema.OBSERVED_AT).dt.date().to_physical() - pl.col("_released").to_physical()
    fields = schema.FEATURE_VIEWS[schema.MOVIE_PUBLICITY_VIEW]
    named = state.with_columns(
        *[pl.col(name).alias(f"pub_{name}") for name in schema.PUBLICITY_FACTS],
        _change(state, schema.MENTIONS, days=7).alias(schema.PUB_MENTIONS_CHANGE_7D),
        _change(state, schema.AUDIENCE_COUNT, days=30).alias(schema.PUB_AUDIENCE_CHANGE_30D),
        days.alias(schema.PUB_DAYS_SINCE_RELEASE),
    )
    return named.select(
        schema.ITEM_ID,
        pl.col(schema.OBSERVED_AT).alias(schema.EVENT_TIMESTAMP),
        pl.col(schema.OBSERVED_AT).alias(schema.CREATED_TIMESTAMP),
        *[pl.col(name).cast(dtype) for name, dtype in fields.items()],
    )


def _change(state: pl.DataFrame, fact: str, *, days: int) -> pl.Series:
    """Value minus what was known `days` earlier; null where either is unknown."""
    earlier = state.select(
        schema.ITEM_ID, pl.col(schema.OBSERVED_AT).alias("_at"), pl.col(fact).alias("_then")
    )
    asked = state.select(
        schema.ITEM_ID,
        pl.col(fact).alias("_now"),
        (pl.col(schema.OBSERVED_AT) - pl.duration(days=days)).alias("_at"),
    ).with_row_index("_row")
    joined = asked.sort("_at").join_asof(
        earlier.sort("_at"), on="_at", by=schema.ITEM_ID, strategy="backward", check_sortedness=False
    )
    return joined.sort("_row").select(pl.col("_now") - pl.col("_then")).to_series()


def _conformed(table: pl.DataFrame | None, columns: dict[str, pl.DataType]) -> pl.DataFrame:
    """The table with all of its schema's columns; those that it lacks are null."""
    table = pl.DataFrame(schema=columns) if table is None else table
    return table.select(
        pl.col(name).cast(dtype) if name in table.columns else pl.lit(None, dtype).alias(name)
        for name, dtype in columns.items()
    )


def _static(table: pl.DataFrame, view: str, fields: dict[str, pl.Expr]) -> pl.DataFrame:
    key = schema.VIEW_KEYS[view]
    dtypes = schema.FEATURE_VIEWS[view]
    known_at = pl.lit(STATIC_KNOWN_AT, schema.TIME_DTYPE)
    return (
        table.unique(key, keep="first", maintain_order=True)
        .sort(key)
        .select(
            key,
            known_at.alias(schema.EVENT_TIMESTAMP),
            known_at.alias(schema.CREATED_TIMESTAMP),
            *[fields[name].cast(dtypes[name]).alias(name) for name in dtypes],
        )
    )
