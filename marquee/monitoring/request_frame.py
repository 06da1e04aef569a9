"""Responses as a table: what each request took and lacked, also of those that showed nothing."""

from collections.abc import Iterable
from typing import Final

import polars as pl

from marquee import schema
from marquee.monitoring.exposure import Exposure

REQUESTS_SCHEMA: Final[dict[str, pl.DataType]] = {
    schema.REQUEST_ID: pl.String(),
    schema.TIMESTAMP: schema.TIME_DTYPE,  # when the response was made
    schema.USER_ID: pl.String(),  # null for somebody unknown
    schema.SURFACE: pl.Enum(schema.SURFACES),
    schema.VARIANT: pl.String(),
    schema.BUNDLE_ID: pl.String(),
    "asked_n": pl.Int32(),
    "shown_n": pl.Int32(),
    "is_degraded": pl.Boolean(),
    "is_empty": pl.Boolean(),  # items were asked for and none was shown
    "latency_ms": pl.Float64(),
    schema.DEVICE: pl.String(),
    "history_events": pl.Int32(),  # how much of the user's history the answer knew
}
"""One row a response; `to_frame` has one an item, so that an empty response has no row there."""


def requests_frame(exposures: Iterable[Exposure]) -> pl.DataFrame:
    """One row for each response, in the order of the log: `REQUESTS_SCHEMA`.

    A response that was logged twice has two rows: `unique` on the request makes them one.
    """
    rows = [
        (
            each.request_id,
            each.time_us,
            each.user_id,
            each.surface,
            each.variant,
            each.bundle_id,
            each.n,
            len(each.items),
            bool(each.degraded),
            each.n > 0 and not each.items,
            each.latency_ms,
            each.context.device,
            each.history_events,
        )
        for each in exposures
    ]
    raw = REQUESTS_SCHEMA | {schema.TIMESTAMP: pl.Int64()}
    return pl.DataFrame(rows, schema=raw, orient="row").cast({schema.TIMESTAMP: schema.TIME_DTYPE})
