"""The same people at other times."""

import numpy as np
import polars as pl

from marquee import schema
from marquee.replay.still import dealt_anew
from tests.marquee.replay.weeks import DAY_US, events


def test_dealt_anew_keeps_who_did_what_and_the_time_that_there_is():
    before, after = events(), dealt_anew(events(), seed=4)

    rest = [schema.USER_ID, schema.ITEM_ID, schema.VALUE]
    assert after.select(rest).equals(before.select(rest))
    low, high = (before[schema.TIMESTAMP].min(), before[schema.TIMESTAMP].max())
    assert after[schema.TIMESTAMP].is_between(low, high).all()
    assert (after[schema.TIMESTAMP] != before[schema.TIMESTAMP]).mean() > 0.9


def test_dealt_anew_turns_all_events_of_a_user_alike():
    before, after = events(), dealt_anew(events(), seed=4)

    moved = (after[schema.TIMESTAMP] - before[schema.TIMESTAMP]).dt.total_microseconds()
    times = before[schema.TIMESTAMP].dt.epoch("us").to_numpy()
    length = int(times.max() - times.min()) + 1
    amounts = pl.DataFrame({"user": before[schema.USER_ID], "by": np.mod(moved.to_numpy(), length)})
    assert amounts.group_by("user").agg(pl.col("by").n_unique())["by"].max() == 1


def test_dealt_anew_takes_a_surge_out_of_its_week():
    surge = events().with_columns(
        pl.when(pl.col(schema.TIMESTAMP).dt.epoch("us") // (7 * DAY_US) == 5)
        .then(pl.lit("H00"))
        .otherwise(pl.col(schema.ITEM_ID))
        .alias(schema.ITEM_ID)
    )

    def loudest_week(table: pl.DataFrame) -> float:
        weeks = table.with_columns((pl.col(schema.TIMESTAMP).dt.epoch("us") // (7 * DAY_US)).alias("week"))
        return float(
            weeks.group_by("week").agg((pl.col(schema.ITEM_ID) == "H00").mean())[schema.ITEM_ID].max()
        )

    assert loudest_week(surge) == 1
    assert loudest_week(dealt_anew(surge, seed=4)) < 0.3
