"""A log of a few requests whose metrics are known by hand."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import polars as pl

from marquee.monitoring.exposure import Exposure, ExposureContext
from marquee.monitoring.exposure_frame import to_frame
from marquee.monitoring.request_frame import requests_frame
from marquee.online_metrics.config import OnlineConfig
from marquee.online_metrics.logs import Logs
from marquee.online_metrics.table import OnlineMetrics, online_metrics
from tests.factories import movie_table
from tests.marquee.experiment_report.made_logs import events_of, microseconds
from tests.marquee.monitoring.exposure_factory import exposure, shown

DAY = datetime(2024, 3, 1, tzinfo=UTC)
LATE = DAY + timedelta(days=30)
"""When all has matured."""
CONFIG = OnlineConfig(k=2)


def at(hour: float) -> datetime:
    return DAY + timedelta(hours=hour)


def asked(number: int, user: str | None, hour: float, *items: str, **differences) -> Exposure:
    """A response at an hour of the first day, with items from the top."""
    device = differences.pop("device", "tv")
    context = ExposureContext(timestamp_us=microseconds(at(hour)), device=device, location=None)
    values = {
        "time_us": microseconds(at(hour)),
        "user_id": user,
        "items": tuple(shown(place, item_id=item) for place, item in enumerate(items, start=1)),
        "context": context,
        "variant": "default",
        "history_events": 9,
    }
    return exposure(number, **values | differences)


def done(*rows: tuple) -> pl.DataFrame:
    """Events of (user, item, type, hour[, value])."""
    return events_of(*((user, item, kind, at(hour), *rest) for user, item, kind, hour, *rest in rows))


def catalogue(*items: str) -> pl.DataFrame:
    return movie_table({"item_id": list(items)})


def logs_of(exposures: Iterable[Exposure], events: pl.DataFrame, **more: pl.DataFrame) -> Logs:
    records = list(exposures)
    return Logs(to_frame(records), requests_frame(records), events, **more)


def measured(logs: Logs, *, until: datetime = LATE, config: OnlineConfig = CONFIG) -> OnlineMetrics:
    return online_metrics(logs, until=until, config=config)


def rows_of(found: OnlineMetrics, metric: str, **where: object) -> list[dict]:
    """Rows of a metric, of all requests together where no slice is named."""
    wanted = {"slicing": "all", "metric": metric} | where
    return found.table.filter(pl.col(key) == value for key, value in wanted.items()).rows(named=True)


def row_of(found: OnlineMetrics, metric: str, **where: object) -> dict:
    (row,) = rows_of(found, metric, **where)
    return row


def value_of(found: OnlineMetrics, metric: str, **where: object) -> float:
    return row_of(found, metric, **where)["value"]
