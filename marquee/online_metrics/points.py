"""The table as points over time, for a tracker of runs."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from marquee import schema
from marquee.online_metrics.facts import PERIOD
from marquee.online_metrics.table import overall

_OTHERS: Final = re.compile(r"[^A-Za-z0-9_.-]")


def points(table: pl.DataFrame) -> Iterator[tuple[str, float, int, datetime]]:
    """Name (`home/default/ctr`), value, number of the period since 1970, and its end.

    Of all requests together, where nothing will be added; intervals are `…/low` and `…/high`.
    """
    final = overall(table).filter(pl.col("is_final"))
    for row in final.iter_rows(named=True):
        length = timedelta(hours=row["period_hours"])
        end = row[PERIOD] + length
        step = int(row[PERIOD].timestamp() // length.total_seconds())
        cut = "" if row["k"] is None else f"_at_{row['k']}"
        name = f"{row[schema.SURFACE]}/{_OTHERS.sub('_', row[schema.VARIANT])}/{row['metric']}{cut}"
        for key, ending in (("value", ""), ("low", "/low"), ("high", "/high")):
            if row[key] is not None:
                yield name + ending, row[key], step, end
