"""The newest numbers as gauges: by variant and surface, and never finer."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import polars as pl

from marquee import schema
from marquee.monitoring import gauges
from marquee.monitoring.gauges import Gauge, Reading
from marquee.online_metrics.facts import OUTCOMES, PERIOD
from marquee.online_metrics.table import OnlineMetrics, overall

BY_METRIC: Final[dict[str, Gauge]] = {
    "requests": gauges.ONLINE_REQUESTS,
    "degraded_share": gauges.ONLINE_DEGRADED,
    "empty_share": gauges.ONLINE_EMPTY,
    "coverage": gauges.ONLINE_COVERAGE,
    "novelty": gauges.ONLINE_NOVELTY,
    "ctr": gauges.ONLINE_CTR,
    "engagement": gauges.ONLINE_ENGAGEMENT,
    "watch_through": gauges.ONLINE_WATCH_THROUGH,
    "precision": gauges.ONLINE_PRECISION,
    "ndcg": gauges.ONLINE_NDCG,
}
"""`label_coverage` is one number for all."""
MAX_VARIANTS: Final = 20
"""Slots are a handful; a log that names more is at fault, and only the busiest are drawn."""


def readings(found: OnlineMetrics, *, now: datetime) -> Iterator[Reading]:
    """Gauges of the newest period in which nothing will be added, outcomes and the others each of their own.

    Args:
        found: of a run; what lies in the folder from earlier runs is of the past.
        now: the present, with a zone.
    """
    table = _of_few_variants(overall(found.table).filter(pl.col("is_final")))
    is_outcome = pl.col("metric").is_in(OUTCOMES)
    kinds = {"outcome": table.filter(is_outcome), "requests": table.filter(~is_outcome)}
    for kind, rows in kinds.items():
        newest = rows.filter(pl.col(PERIOD) == pl.col(PERIOD).max())
        yield from _drawn(newest.iter_rows(named=True))
        for period, hours in newest.select(PERIOD, "period_hours").unique().iter_rows():
            yield from gauges.ONLINE_PERIOD_END.when(period + timedelta(hours=hours), kind)
    cut = found.table["k"].max()
    yield from gauges.ONLINE_CUTOFF.at(cut if isinstance(cut, int) else None)
    yield from gauges.LABEL_COVERAGE.at(found.label_coverage)
    yield from gauges.EVENTS_UNTIL.when(found.until)
    yield from gauges.LAST_SUCCESS.when(now.astimezone(UTC), "online")


def _of_few_variants(table: pl.DataFrame) -> pl.DataFrame:
    counted = table.filter(pl.col("metric") == "requests").group_by(schema.VARIANT).agg(pl.col("value").sum())
    busiest = counted.sort(["value", schema.VARIANT], descending=[True, False]).head(MAX_VARIANTS)
    return table.filter(pl.col(schema.VARIANT).is_in(busiest[schema.VARIANT].implode()))


def _drawn(rows: Iterable[dict[str, object]]) -> Iterator[Reading]:
    for row in rows:
        metric, where = str(row["metric"]), (str(row[schema.VARIANT]), str(row[schema.SURFACE]))
        if (gauge := BY_METRIC.get(metric)) is None:
            continue
        yield from gauge.at(_number(row["value"]), *where)
        yield from gauges.ONLINE_LOW.at(_number(row["low"]), metric, *where)
        yield from gauges.ONLINE_HIGH.at(_number(row["high"]), metric, *where)
        if metric == "requests":
            yield from gauges.ONLINE_USERS.at(_number(row["n_users"]), *where)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
