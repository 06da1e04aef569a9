"""A warehouse whose last weeks are known, for the steps that look for drift."""

from pathlib import Path

import numpy as np
import polars as pl

from marquee import schema
from marquee.data.warehouse import Warehouse
from tests.marquee.monitoring.drift_world import Shock, catalogue, tables

WEEK_US = 7 * 24 * 3_600_000_000
ORDINARY = Shock()
BEGIN_US = 1_704_067_200_000_000  # 2024-01-01 00:00 UTC, a Monday


def write_warehouse(
    root: Path, *, weeks: int = 12, users_a_week: int = 100, shock: Shock = ORDINARY, gone: str = ""
) -> Warehouse:
    """Weeks of people who are never the same; the last one has the shock, or lacks a column of users."""
    shocks = [*[ORDINARY] * (weeks - 1), shock]
    made = [tables(users_a_week, seed=week, shock=each) for week, each in enumerate(shocks)]
    rng = np.random.default_rng(0)
    events = pl.concat(
        [
            each[0].with_columns(
                pl.Series(
                    schema.TIMESTAMP, BEGIN_US + week * WEEK_US + rng.integers(0, WEEK_US, len(each[0]))
                ).cast(schema.TIME_DTYPE)
            )
            for week, each in enumerate(made)
        ]
    )
    users = pl.concat([each[1].with_columns(week=week) for week, each in enumerate(made)])
    if gone:
        users = users.with_columns(pl.when(pl.col("week") < weeks - 1).then(gone))
    warehouse = Warehouse(root)
    warehouse.write_table(schema.USERS, users.drop("week"))
    warehouse.write_table(schema.MOVIES, catalogue())
    add_events(warehouse, events)
    return warehouse


def add_events(warehouse: Warehouse, events: pl.DataFrame) -> None:
    """As an ingest leaves them."""
    columns = [
        (pl.col(name) if name in events.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in schema.INTERACTIONS_SCHEMA.items()
    ]
    with warehouse.writing() as writer:
        file = writer.staging / "events.parquet"
        events.select(columns).sort(schema.TIMESTAMP).write_parquet(file)
        part = writer.add_part(file, table=schema.INTERACTIONS, partition="2024-01", rows=len(events))
        writer.commit(writer.contents.with_parts(schema.INTERACTIONS, {"2024-01": part}))
