"""The rows that a drift report shows to people: an event each, with what is known of user and movie."""

import polars as pl

from marquee import schema


def report_rows(
    events: pl.DataFrame, users: pl.DataFrame | None = None, movies: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Age, gender and occupation of the user, year and first genre of the movie, and the rating.

    Args:
        events: `user_id, item_id` and, where there is one, `value`.
        users: `schema.USERS_SCHEMA` or some of it.
        movies: `schema.MOVIES_SCHEMA` or some of it.
    """
    rows = events.select(
        schema.USER_ID, schema.ITEM_ID, *(name for name in (schema.VALUE,) if name in events.columns)
    )
    if users is not None:
        facts = [name for name in (schema.AGE, schema.GENDER, schema.OCCUPATION) if name in users.columns]
        rows = rows.join(users.select(schema.USER_ID, *facts), on=schema.USER_ID, how="left")
    if movies is not None:
        known = [pl.col(name) for name in (schema.YEAR,) if name in movies.columns]
        if schema.GENRES in movies.columns:
            known.append(pl.col(schema.GENRES).list.first().alias("genre"))
        rows = rows.join(movies.select(schema.ITEM_ID, *known), on=schema.ITEM_ID, how="left")
    return rows.drop(schema.USER_ID, schema.ITEM_ID)
