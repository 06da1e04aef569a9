"""The metrics as one tidy table: a row a period, variant, surface, slice and metric."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import polars as pl
from scipy import stats

from marquee import schema
from marquee.errors import NotEnoughDataError
from marquee.evaluation.list_metrics import coverage
from marquee.evaluation.relevance import PADDING
from marquee.online_metrics.config import OnlineConfig
from marquee.online_metrics.facts import (
    ALL,
    AT_K,
    IS_KNOWN,
    OUTCOMES,
    PERIOD,
    RATIOS,
    SLICINGS,
    UNIT,
    Facts,
    base,
    facts_of,
    total,
)
from marquee.online_metrics.logs import Logs

REQUESTS: Final = "requests"
COVERAGE: Final = "coverage"
METRICS: Final = (REQUESTS, *RATIOS, COVERAGE)
TABLE_SCHEMA: Final[dict[str, pl.DataType]] = {
    PERIOD: schema.TIME_DTYPE,  # its begin
    schema.VARIANT: pl.String(),  # the bundle slot
    schema.SURFACE: pl.String(),
    "slicing": pl.String(),
    "slice": pl.String(),
    "metric": pl.String(),
    "k": pl.Int32(),  # null where the metric has no cut
    "value": pl.Float64(),
    "low": pl.Float64(),  # 95 % over users; null where there are fewer than two, or all are alike
    "high": pl.Float64(),
    "total": pl.Float64(),  # above and below the line: periods can be added up
    "base": pl.Float64(),
    "n_requests": pl.Int64(),
    "n_users": pl.Int64(),  # known ones
    "is_final": pl.Boolean(),  # nothing will be added: the period, and of outcomes the window, has passed
    "until": schema.TIME_DTYPE,  # up to when events had been read
    "window_hours": pl.Float64(),
    "period_hours": pl.Int32(),
}
"""Of the table."""
_GROUP: Final = (PERIOD, schema.VARIANT, schema.SURFACE, "slice")
_UNBOUNDED: Final = ("novelty",)
_Z: Final = float(stats.norm.isf(0.025))


@dataclass(frozen=True, eq=False)
class OnlineMetrics:
    """What a log says up to a moment."""

    table: pl.DataFrame
    """`TABLE_SCHEMA`, sorted."""
    until: datetime
    label_coverage: float | None
    """Of known users' requests whose outcome is due by the time of the newest request, the share of which it
    is final; None where none is due."""


def online_metrics(logs: Logs, *, until: datetime, config: OnlineConfig) -> OnlineMetrics:
    """All metrics of what was shown. The same rows give the same table, in whatever order they come.

    Ratios are sums by sums; their intervals are of the delta method over users, as a user's requests are
    alike. Coverage has none. A request of a stranger has no outcome, but all else.

    Source of the intervals: Deng, Knoblich, Lu (2018), Applying the Delta Method in Metric Analytics, KDD:
    Var(R) = Var(s − R·m) / (N·mean(m)²).

    Args:
        logs: what was shown, what people did.
        until: up to when the events are complete.
        config: how to read them.

    Raises:
        NotEnoughDataError: nothing was shown.
    """
    newest = logs.requests[schema.TIMESTAMP].max()
    if not isinstance(newest, datetime):
        raise NotEnoughDataError(
            "nothing was shown in the time that was asked for.",
            remedy="Name an earlier --since or a later --until.",
        )
    facts = facts_of(logs, until=until, config=config)
    rows = [each for slicing in SLICINGS for each in _rows(facts, slicing)]
    table = _finished(pl.concat(rows), until=until, newest=newest, config=config)
    return OnlineMetrics(table, until, _label_coverage(logs.requests, newest, until, config.maturity))


def _rows(facts: Facts, slicing: str) -> Iterator[pl.DataFrame]:
    requests = facts.requests.with_columns(pl.col(slicing).alias("slice"))
    by_user = (
        requests.group_by(*_GROUP, UNIT)
        .agg(
            pl.col(IS_KNOWN).first(),
            pl.len().alias("n"),
            *(pl.col(total(each), base(each)).sum() for each in RATIOS),
            *((pl.col(base(each)) > 0).sum().alias(f"n:{each}") for each in RATIOS),
        )
        .sort(*_GROUP, UNIT)  # so that sums are taken in one order
    )
    counted = _counted(by_user)
    parts = [counted, *(_ratio(by_user, metric) for metric in RATIOS)]
    if facts.n_items is not None:
        parts.append(
            _coverage(requests, facts).join(counted.drop("metric", "value", "low", "high"), on=_GROUP)
        )
    for each in parts:
        yield each.select(
            pl.lit(slicing).alias("slicing"), *_GROUP, "metric", "value", "low", "high", "total", "base",
            pl.col("n_requests", "n_users").cast(pl.Int64),
        )  # fmt: skip


def _counted(by_user: pl.DataFrame) -> pl.DataFrame:
    n = pl.col("n").sum()
    return by_user.group_by(_GROUP).agg(
        pl.lit(REQUESTS).alias("metric"),
        n.cast(pl.Float64).alias("value"),
        *(pl.lit(None, pl.Float64).alias(each) for each in ("low", "high", "total", "base")),
        n.alias("n_requests"),
        pl.col(IS_KNOWN).sum().alias("n_users"),
    )


def _ratio(by_user: pl.DataFrame, metric: str) -> pl.DataFrame:
    """Sum by sum over the units that have a part in it."""
    above, below, n = pl.col(total(metric)), pl.col(base(metric)), pl.len()
    value = above.sum() / below.sum()
    squares = ((above - value * below) ** 2).sum()
    width = _Z * (squares * n / (n - 1)).sqrt() / below.sum()
    is_wide = (n > 1) & (squares > 1e-18 * below.sum() ** 2)
    half = pl.when(is_wide).then(width)
    highest = np.inf if metric in _UNBOUNDED else 1.0
    return (
        by_user.filter(below > 0)
        .group_by(_GROUP, maintain_order=True)
        .agg(
            pl.lit(metric).alias("metric"),
            value.alias("value"),
            (value - half).clip(lower_bound=0.0).alias("low"),
            (value + half).clip(upper_bound=highest).alias("high"),
            above.sum().alias("total"),
            below.sum().alias("base"),
            pl.col(f"n:{metric}").sum().alias("n_requests"),
            pl.col(IS_KNOWN).sum().alias("n_users"),
        )
    )


def _coverage(requests: pl.DataFrame, facts: Facts) -> pl.DataFrame:
    n_items = facts.n_items
    assert n_items is not None  # noqa: S101 - the caller looked
    lists = np.where(
        facts.lists < n_items, facts.lists, PADDING
    )  # what is not in the catalogue is no part of it
    groups = requests.with_row_index("row").group_by(_GROUP).agg("row")
    values = [coverage(lists[rows.to_numpy()], n_items) for rows in groups["row"]]
    return groups.drop("row").with_columns(
        pl.lit(COVERAGE).alias("metric"),
        pl.Series("value", values, dtype=pl.Float64),
        *(pl.lit(None, pl.Float64).alias(each) for each in ("low", "high")),
    )


def _finished(rows: pl.DataFrame, *, until: datetime, newest: datetime, config: OnlineConfig) -> pl.DataFrame:
    """With the columns that all rows share."""
    end = pl.col(PERIOD) + config.period
    metric = pl.col("metric")
    needs_window = metric.is_in([*OUTCOMES, "label_coverage"])
    latest, whole = (pl.lit(each).cast(schema.TIME_DTYPE) for each in (until, max(until, newest)))
    return (
        rows.with_columns(
            pl.when(metric.is_in(AT_K)).then(pl.lit(config.k)).alias("k"),
            pl.when(needs_window)
            .then(end + config.maturity <= latest)
            .otherwise(end <= whole)
            .alias("is_final"),
            latest.alias("until"),
            pl.lit(config.window_hours).alias("window_hours"),
            pl.lit(config.period_hours).alias("period_hours"),
        )
        .select(*TABLE_SCHEMA)
        .cast(TABLE_SCHEMA)  # type: ignore[arg-type]
        .sort(PERIOD, schema.VARIANT, schema.SURFACE, "slicing", "slice", "metric")
    )


def _label_coverage(
    requests: pl.DataFrame, newest: datetime, until: datetime, maturity: timedelta
) -> float | None:
    time = pl.col(schema.TIMESTAMP)
    latest, now = (pl.lit(each).cast(schema.TIME_DTYPE) for each in (until, newest))
    old = requests.unique(schema.REQUEST_ID, keep="any").filter(
        pl.col(schema.USER_ID).is_not_null(), time + maturity <= now
    )
    return None if old.is_empty() else old.filter(time + maturity <= latest).height / old.height


def overall(table: pl.DataFrame) -> pl.DataFrame:
    """The rows of all requests together, without slices."""
    return table.filter(pl.col("slicing") == ALL)
