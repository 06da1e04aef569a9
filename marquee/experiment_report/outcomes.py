"""What each user of an experiment met and did: one row a user and step, and one a request."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from marquee import schema
from marquee.experiment_report.sources import EventLog, ExposureLog
from marquee.experiment_report.steps import STEP
from marquee.monitoring.attribution import CLICKED, CREDITED, IS_MATURE, WATCHED_SHARE, attribute

PAST_EVENTS: Final = "past_events"


@dataclass(frozen=True)
class Metric:
    """A sum over users, divided by another sum or by the users."""

    total: str
    base: str | None
    meaning: str


METRICS: Final = {
    "ctr": Metric("clicks", "shown", "clicked items by shown items"),
    "engagement": Metric("engaged", "shown", "items with any event by shown items"),
    "watch_through": Metric("watched", "views", "mean fraction watched of items that were started"),
    "events_per_user": Metric("events", None, "credited events of a user"),
}
"""Of which more is better. They count what is credited to a shown item within the window."""
SUMS: Final = ("shown", "clicks", "engaged", "views", "watched", "events")


@dataclass(frozen=True, eq=False)
class ExperimentTables:
    """What the comparison of arms needs, as tables; overrides and strangers are left out."""

    users: pl.DataFrame
    """One row a user and step, of mature requests: user_id, step, variant, the sums, past_events."""
    requests: pl.DataFrame
    """One row a request: user_id, step, variant, timestamp, latency_ms, is_degraded, is_empty,
    policy_violations (null where it is not known)."""
    arrivals: pl.DataFrame
    """One row a user: step and variant of the first request."""
    n_crossed: int
    """Users that met two variants within a step; they are in `arrivals` only."""


def experiment_tables(
    log: ExposureLog,
    events: EventLog,
    assignments: pl.DataFrame,
    *,
    until: datetime,
    window: timedelta,
    covariate: timedelta,
) -> ExperimentTables:
    """Join what was shown with what came of it, up to a moment.

    Args:
        log: all that was shown, also outside of the experiment: an event belongs to the latest exposure.
        events: what people did.
        assignments: of the experiment, with steps.
        until: later requests and events are left out.
        window: from an exposure to its outcomes.
        covariate: how far before a user's first request the events of the covariate begin.
    """
    latest = pl.lit(until).cast(schema.TIME_DTYPE)
    known = assignments.filter(
        ~pl.col("is_override"), pl.col(schema.USER_ID).is_not_null(), pl.col(schema.TIMESTAMP) <= latest
    )
    met = known.select(schema.REQUEST_ID, schema.TIMESTAMP, schema.USER_ID, schema.VARIANT, STEP)
    arrivals = met.sort(schema.TIMESTAMP, schema.REQUEST_ID).unique(
        schema.USER_ID, keep="first", maintain_order=True
    )
    crossed = (
        met.group_by(schema.USER_ID, STEP)
        .agg(pl.col(schema.VARIANT).n_unique())
        .filter(pl.col(schema.VARIANT) > 1)
        .select(schema.USER_ID)
        .unique()
    )
    met = met.join(crossed, on=schema.USER_ID, how="anti")
    shown = attribute(
        log.shown.filter(pl.col(schema.TIMESTAMP) <= latest), events.events, until=until, window=window
    )
    users = _users(met, shown, until=until, window=window)
    past = _past(events.events, arrivals, covariate=covariate)
    return ExperimentTables(
        users.join(past, on=schema.USER_ID, how="left", maintain_order="left").with_columns(
            pl.col(PAST_EVENTS).fill_null(0)
        ),
        _requests(met, log, events, shown),
        arrivals.select(schema.USER_ID, schema.VARIANT, STEP),
        len(crossed),
    )


def _users(met: pl.DataFrame, shown: pl.DataFrame, *, until: datetime, window: timedelta) -> pl.DataFrame:
    """Sums by user and step, in a fixed order; a user to whom nothing was shown has zeros."""
    mature = met.filter(pl.col(schema.TIMESTAMP) + window <= pl.lit(until).cast(schema.TIME_DTYPE))
    watched = pl.col(WATCHED_SHARE)
    by_request = (
        shown.filter(pl.col(IS_MATURE))
        .group_by(schema.REQUEST_ID)
        .agg(
            pl.len().alias("shown"),
            pl.col(CLICKED).sum().alias("clicks"),
            (pl.col(CREDITED) > 0).sum().alias("engaged"),
            watched.is_not_null().sum().alias("views"),
            watched.cast(pl.Float64).sum().alias("watched"),
            pl.col(CREDITED).sum().alias("events"),
        )
    )
    return (
        mature.join(by_request, on=schema.REQUEST_ID, how="left", maintain_order="left")
        .group_by(schema.USER_ID, STEP, schema.VARIANT)
        .agg(pl.col(*SUMS).sum().cast(pl.Float64))
        .sort(schema.USER_ID, STEP)
    )


def _past(events: pl.DataFrame, arrivals: pl.DataFrame, *, covariate: timedelta) -> pl.DataFrame:
    """Each user's events before the first request: nothing that a variant could have changed."""
    first = arrivals.select(schema.USER_ID, pl.col(schema.TIMESTAMP).alias("arrived_at"))
    time, arrived = pl.col(schema.TIMESTAMP), pl.col("arrived_at")
    is_event = pl.col(schema.INTERACTION_TYPE).cast(pl.String) != "impression"
    return (
        events.filter(is_event)
        .unique(schema.EVENT_KEY)
        .join(first, on=schema.USER_ID)
        .filter(time < arrived, time >= arrived - covariate)
        .group_by(schema.USER_ID)
        .agg(pl.len().cast(pl.Float64).alias(PAST_EVENTS))
    )


def _requests(met: pl.DataFrame, log: ExposureLog, events: EventLog, shown: pl.DataFrame) -> pl.DataFrame:
    found = met.join(
        log.requests.select(schema.REQUEST_ID, "latency_ms", "is_degraded", "is_empty"),
        on=schema.REQUEST_ID,
        maintain_order="left",
    ).sort(schema.TIMESTAMP, schema.REQUEST_ID)
    if events.users is None or events.movies is None:
        return found.with_columns(pl.lit(None, pl.UInt32).alias("policy_violations"))
    violated = _violations(shown, events.users, events.movies)
    return found.join(violated, on=schema.REQUEST_ID, how="left", maintain_order="left").with_columns(
        pl.col("policy_violations").fill_null(0)
    )


def _violations(shown: pl.DataFrame, users: pl.DataFrame, movies: pl.DataFrame) -> pl.DataFrame:
    """Items by request that a profile's age limit forbids: rated above it, or not known to be below."""
    limits = users.select(schema.USER_ID, schema.MATURITY_LIMIT).drop_nulls()
    ages = movies.select(schema.ITEM_ID, schema.MIN_AGE)
    age, limit = pl.col(schema.MIN_AGE), pl.col(schema.MATURITY_LIMIT)
    return (
        shown.select(schema.REQUEST_ID, schema.USER_ID, schema.ITEM_ID)
        .join(limits, on=schema.USER_ID)
        .join(ages, on=schema.ITEM_ID, how="left")
        .filter(age.is_null() | (age > limit))
        .group_by(schema.REQUEST_ID)
        .agg(pl.len().alias("policy_violations"))
    )
