"""Rows to make an item matrix of, as the feature store gives them."""

from datetime import UTC, datetime, timedelta

import polars as pl

from marquee import schema
from marquee.features.item_matrix import SERVICE, item_columns

COLUMNS = item_columns(SERVICE)
NOW = datetime(2026, 5, 2, tzinfo=UTC)
AS_OF = NOW - timedelta(days=1)


def item_table(ids: list[str], *, value: float = 1.0, **columns: list[float | None]) -> pl.DataFrame:
    """One row per id; every column holds `value` but those that are given."""
    return pl.DataFrame({schema.ITEM_ID: ids}).with_columns(
        pl.Series(name, columns.get(name, [value] * len(ids)), dtype=pl.Float32) for name in COLUMNS
    )


def numbered(n: int) -> list[str]:
    return [f"i{number:03}" for number in range(n)]
