"""Whole tables (users, movies, publicity, calendar) made to fit their schema."""

from typing import Final

import polars as pl

from marquee import schema
from marquee.errors import ContractError

TABLE_KEYS: Final[dict[str, tuple[str, ...]]] = {
    schema.USERS: (schema.USER_ID,),
    schema.MOVIES: (schema.ITEM_ID,),
    schema.PUBLICITY: (schema.ITEM_ID, schema.OBSERVED_AT, schema.SOURCE),
    schema.CALENDAR: (schema.DAY,),
}
"""What makes two rows of a table the same row: never null, never twice."""


def conform(name: str, table: pl.DataFrame) -> pl.DataFrame:
    """The table with exactly its schema's columns and dtypes, sorted by key; missing columns are null.

    Raises:
        ContractError: a column that the schema lacks, a value that does not fit its dtype, a null or
            repeated key.
    """
    fields = schema.TABLE_SCHEMAS[name]
    if unknown := [column for column in table.columns if column not in fields]:
        raise ContractError(
            f"table {name} has no column {unknown[0]!r}; it has: {', '.join(fields)}.",
            remedy="Rename or drop the column.",
        )
    cast = pl.DataFrame([_cast(table, name, column) for column in fields])
    _require_keys(name, cast)
    return cast.sort(TABLE_KEYS[name]).rechunk()


def _cast(table: pl.DataFrame, name: str, column: str) -> pl.Series:
    dtype = schema.TABLE_SCHEMAS[name][column]
    if column not in table.columns:
        return pl.Series(column, [None], dtype=dtype).new_from_index(0, len(table))
    series = table[column]
    try:
        return series.cast(dtype)
    except pl.exceptions.PolarsError as err:
        reason = " ".join(str(err).split())[:160]
        raise ContractError(
            f"table {name}: column {column!r} is {series.dtype} and can't be read as {dtype}: {reason}.",
            remedy="Correct or empty the values it names.",
        ) from err


def _require_keys(name: str, table: pl.DataFrame) -> None:
    key = TABLE_KEYS[name]
    for column in key:
        if n_null := table[column].null_count():
            raise ContractError(
                f"table {name}: {column} is null in {n_null:,} rows.", remedy="Fill it or drop these rows."
            )
    repeated = table.filter(pl.struct(key).is_duplicated())
    if len(repeated):
        shown = ", ".join(str(repeated[column][0]) for column in key)
        raise ContractError(
            f"table {name}: {', '.join(key)} {shown} stands there twice.", remedy="Keep one row of each."
        )
