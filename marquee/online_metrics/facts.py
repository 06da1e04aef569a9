"""One row a request: where it belongs, and for each metric what it adds above and below the line."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marquee import schema
from marquee.evaluation.list_metrics import novelty
from marquee.evaluation.ranking_metrics import ndcg, precision
from marquee.evaluation.relevance import PADDING, ItemLists, Judged
from marquee.monitoring.attribution import CLICKED, CREDITED, WATCHED_SHARE, attribute
from marquee.online_metrics.config import OnlineConfig
from marquee.online_metrics.logs import Logs

PERIOD: Final = "period"
UNIT: Final = "unit"
IS_KNOWN: Final = "is_known"
ALL: Final = "all"
SLICINGS: Final = (ALL, "history", schema.DEVICE, "maturity", "bundle")
"""Ways to divide the requests."""
UNKNOWN: Final = "unknown"
OTHER: Final = "other"

OUTCOMES: Final = ("ctr", "engagement", "watch_through", "precision", "ndcg")
"""Ratios that need the whole attribution window: of requests of known users whose window has passed."""
AT_ONCE: Final = ("degraded_share", "empty_share", "novelty", "label_coverage")
"""Ratios that are known as soon as the request is."""
RATIOS: Final = (*AT_ONCE, *OUTCOMES)
AT_K: Final = ("precision", "ndcg", "novelty", "coverage")

_ROW: Final = "row"


@dataclass(frozen=True, eq=False)
class Facts:
    """Requests by time and id."""

    requests: pl.DataFrame
    """`period`, `variant`, `surface`, `SLICINGS`, `unit`, `is_known`, and of each of `RATIOS` `total:…` and
    `base:…`; a request that has no part in a ratio has 0 in both."""
    lists: ItemLists
    """`(n_requests, k)`: codes of the items, those of the catalogue first."""
    n_items: int | None
    """Of the catalogue, None where it is not known."""


def total(metric: str) -> str:
    """Column of what a request adds above the line."""
    return f"total:{metric}"


def base(metric: str) -> str:
    """Column of what a request adds below the line."""
    return f"base:{metric}"


def facts_of(logs: Logs, *, until: datetime, config: OnlineConfig) -> Facts:
    """Each request once, with what came of it up to a moment.

    Args:
        logs: what was shown, what people did.
        until: up to when the events are complete.
        config: how to read them.
    """
    requests = (
        logs.requests.unique(schema.REQUEST_ID, keep="any")
        .sort(schema.TIMESTAMP, schema.REQUEST_ID)
        .with_row_index(_ROW)
    )
    attributed = attribute(logs.shown, logs.events, until=until, window=config.window)
    shown = attributed.join(requests.select(schema.REQUEST_ID, _ROW), on=schema.REQUEST_ID)
    codes, n_items = _codes(shown, logs.movies)
    lists = _lists(shown, codes, n=len(requests), k=config.k)
    placed = _sliced(_placed(requests, until=until, config=config), logs.users, config=config)
    made = _with_counts(placed, shown)
    values = _accuracy(made, shown, k=config.k) | {
        "novelty": _novelty(made, lists, codes, logs.events, config=config)
    }
    return Facts(_with_ratios(made, values), lists, n_items)


def _placed(requests: pl.DataFrame, *, until: datetime, config: OnlineConfig) -> pl.DataFrame:
    latest = pl.lit(until).cast(schema.TIME_DTYPE)
    user, time = pl.col(schema.USER_ID), pl.col(schema.TIMESTAMP)
    return requests.with_columns(
        time.dt.truncate(f"{config.period_hours}h").alias(PERIOD),
        pl.col(schema.SURFACE).cast(pl.String),
        user.is_not_null().alias(IS_KNOWN),
        # Nobody knows which strangers are one person: each of their requests is a unit of its own.
        pl.coalesce(pl.lit("user ") + user, pl.lit("request ") + pl.col(schema.REQUEST_ID)).alias(UNIT),
        (user.is_not_null() & (time + config.maturity <= latest)).alias("is_mature"),
    )


def _sliced(requests: pl.DataFrame, users: pl.DataFrame | None, *, config: OnlineConfig) -> pl.DataFrame:
    device = pl.col(schema.DEVICE).fill_null(UNKNOWN)
    frequent = (
        requests.group_by(PERIOD, device)
        .len()
        .sort([PERIOD, "len", schema.DEVICE], descending=[False, True, False])
        .group_by(PERIOD, maintain_order=True)
        .head(config.max_devices)
        .select(PERIOD, schema.DEVICE, is_frequent=True)
    )
    is_newcomer = pl.col("history_events") < config.newcomer_events
    limits = _limits(users)
    return (
        requests.with_columns(device)
        .join(frequent, on=[PERIOD, schema.DEVICE], how="left", maintain_order="left")
        .join(limits, on=schema.USER_ID, how="left", maintain_order="left")
        .with_columns(
            pl.lit(ALL).alias(ALL),
            pl.when(is_newcomer).then(pl.lit("newcomer")).otherwise(pl.lit("known")).alias("history"),
            pl.when("is_frequent").then(schema.DEVICE).otherwise(pl.lit(OTHER)).alias(schema.DEVICE),
            pl.col("maturity").fill_null("no limit"),
            pl.col(schema.BUNDLE_ID).alias("bundle"),
        )
    )


def _limits(users: pl.DataFrame | None) -> pl.DataFrame:
    """The age limit of profiles that have one, in words."""
    if users is None:
        return pl.DataFrame(schema={schema.USER_ID: pl.String, "maturity": pl.String})
    limit = pl.col(schema.MATURITY_LIMIT)
    return (
        users.select(schema.USER_ID, pl.format("up to {}", limit).alias("maturity"))
        .drop_nulls()
        .unique(schema.USER_ID, keep="any")
    )


def _with_counts(requests: pl.DataFrame, shown: pl.DataFrame) -> pl.DataFrame:
    watched = pl.col(WATCHED_SHARE)
    counts = shown.group_by(_ROW).agg(
        pl.len().alias("shown"),
        pl.col(CLICKED).sum().alias("clicks"),
        (pl.col(CREDITED) > 0).sum().alias("engaged"),
        watched.is_not_null().sum().alias("views"),
        watched.cast(pl.Float64).sort_by(schema.POSITION).sum().alias("watched"),
    )
    return requests.join(counts, on=_ROW, how="left", maintain_order="left").with_columns(
        pl.col("shown", "clicks", "engaged", "views", "watched").fill_null(0)
    )


def _codes(shown: pl.DataFrame, movies: pl.DataFrame | None) -> tuple[pl.DataFrame, int | None]:
    """A number for each item; those of the catalogue come first: what is below their count is in it."""
    catalogue = pl.Series(schema.ITEM_ID, [], dtype=pl.String)
    if movies is not None:
        catalogue = movies[schema.ITEM_ID].unique().sort()
    others = shown[schema.ITEM_ID].unique().sort()
    others = others.filter(~others.is_in(catalogue.implode()))
    codes = pl.concat([catalogue, others]).to_frame().with_row_index("code")
    return codes, len(catalogue) if movies is not None and len(catalogue) else None


def _lists(shown: pl.DataFrame, codes: pl.DataFrame, *, n: int, k: int) -> ItemLists:
    top = shown.filter(pl.col(schema.POSITION) <= k).join(codes, on=schema.ITEM_ID)
    lists = np.full((n, k), PADDING, dtype=np.int32)
    lists[top[_ROW].to_numpy(), top[schema.POSITION].to_numpy() - 1] = top["code"].to_numpy()
    return lists


def _accuracy(requests: pl.DataFrame, shown: pl.DataFrame, *, k: int) -> dict[str, NDArray[np.float64]]:
    """Relevant is a shown item with which anything was done; what was not shown counts against no list."""
    hit = np.zeros((len(requests), k), dtype=np.bool_)
    hits = shown.filter(pl.col(CREDITED) > 0, pl.col(schema.POSITION) <= k)
    hit[hits[_ROW].to_numpy(), hits[schema.POSITION].to_numpy() - 1] = True
    n_relevant = requests["engaged"].cast(pl.Int64).to_numpy()
    judged = Judged(hit, n_relevant)
    # Of a list without a relevant item NDCG is not defined: it is left out, as in offline evaluation.
    found = np.where(n_relevant > 0, ndcg(Judged(hit, np.maximum(n_relevant, 1)), k), np.nan)
    return {"precision": precision(judged, k), "ndcg": found}


def _novelty(
    requests: pl.DataFrame,
    lists: ItemLists,
    codes: pl.DataFrame,
    events: pl.DataFrame,
    *,
    config: OnlineConfig,
) -> NDArray[np.float64]:
    """Bits by request, NaN where nothing was shown, or nobody did anything before."""
    values = np.full(len(requests), np.nan)
    time = pl.col(schema.TIMESTAMP)
    done = events.filter(pl.col(schema.INTERACTION_TYPE).cast(pl.String) != "impression")
    periods = requests[PERIOD].to_physical().to_numpy()
    for start in requests[PERIOD].unique().sort():
        begin, end = (pl.lit(moment).cast(schema.TIME_DTYPE) for moment in (start - config.popularity, start))
        past = done.filter(time >= begin, time < end).select(schema.USER_ID, schema.ITEM_ID).unique()
        n_users = past[schema.USER_ID].n_unique()
        if n_users == 0:
            continue
        counted = past.group_by(schema.ITEM_ID).len().join(codes, on=schema.ITEM_ID)
        counts = np.zeros(len(codes), dtype=np.int64)
        counts[counted["code"].to_numpy()] = counted["len"].to_numpy()
        rows = np.flatnonzero(periods == pl.Series([start], dtype=schema.TIME_DTYPE).to_physical()[0])
        values[rows] = novelty(lists[rows], counts, n_users=n_users)
    return values


def _with_ratios(requests: pl.DataFrame, values: dict[str, NDArray[np.float64]]) -> pl.DataFrame:
    measured = requests.with_columns(pl.Series(name, each, nan_to_null=True) for name, each in values.items())
    one = pl.lit(1.0)
    parts: dict[str, tuple[pl.Expr, pl.Expr]] = {
        "degraded_share": (pl.col("is_degraded"), one),
        "empty_share": (pl.col("is_empty"), one),
        "label_coverage": (pl.col("is_mature"), pl.col(IS_KNOWN)),
        "novelty": (pl.col("novelty"), pl.col("novelty").is_not_null()),
        "ctr": (pl.col("clicks"), pl.col("shown")),
        "engagement": (pl.col("engaged"), pl.col("shown")),
        "watch_through": (pl.col("watched"), pl.col("views")),
        "precision": (pl.col("precision"), pl.col("asked_n") > 0),
        "ndcg": (pl.col("ndcg"), pl.col("ndcg").is_not_null()),
    }
    return measured.select(
        PERIOD,
        schema.VARIANT,
        schema.SURFACE,
        *SLICINGS,
        UNIT,
        IS_KNOWN,
        *(each for name, pair in parts.items() for each in _columns(name, pair)),
    )


def _columns(metric: str, pair: Sequence[pl.Expr]) -> tuple[pl.Expr, pl.Expr]:
    above, below = (each.cast(pl.Float64).fill_null(0.0) for each in pair)
    counts = pl.col("is_mature") if metric in OUTCOMES else pl.lit(value=True)
    counts &= below > 0
    return (
        pl.when(counts).then(above).otherwise(0.0).alias(total(metric)),
        pl.when(counts).then(below).otherwise(0.0).alias(base(metric)),
    )
