"""Facts of the request itself: hour, weekday, holiday, device, place. Pure; never stored."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marquee import schema
from marquee.features.request import DAY_US, EPOCH_WEEKDAY, HOUR_US

SATURDAY: Final = 6


def context_features(
    time_us: NDArray[np.int64],
    *,
    calendar: pl.DataFrame | None = None,
    device: Sequence[str | None] | None = None,
    location: Sequence[str | None] | None = None,
) -> pl.DataFrame:
    """One row per request with the columns of `schema.CONTEXT_FEATURES`.

    Hour and day are those of UTC. Whether a day is a holiday or festival is null where no calendar
    is given or it does not reach that day.

    Args:
        time_us: `(n,)` moments of the requests, UTC microseconds.
        calendar: a table of `schema.CALENDAR_SCHEMA`, as `marquee.features.calendar` makes.
        device: `(n,)` what the request came from.
        location: `(n,)` where it came from.
    """
    day = time_us // DAY_US
    weekday = (day + EPOCH_WEEKDAY - 1) % 7 + 1
    unknown = [None] * len(time_us)
    columns = {
        schema.CONTEXT_HOUR: pl.Series(time_us // HOUR_US % 24),
        schema.CONTEXT_WEEKDAY: pl.Series(weekday),
        schema.CONTEXT_IS_WEEKEND: pl.Series(weekday >= SATURDAY),
        schema.CONTEXT_IS_HOLIDAY: _is_named(day, calendar, "holiday"),
        schema.CONTEXT_IS_FESTIVAL: _is_named(day, calendar, "festival"),
        schema.CONTEXT_DEVICE: pl.Series(unknown if device is None else device),
        schema.CONTEXT_LOCATION: pl.Series(unknown if location is None else location),
    }
    return pl.DataFrame(
        [columns[name].cast(dtype).alias(name) for name, dtype in schema.CONTEXT_FEATURES.items()]
    )


def _is_named(day: NDArray[np.int64], calendar: pl.DataFrame | None, column: str) -> pl.Series:
    """Whether the calendar names the day; null for a day that it does not hold."""
    asked = pl.DataFrame({schema.DAY: pl.Series(day).cast(pl.Int32).cast(pl.Date)})
    if calendar is None:
        return pl.Series([None] * len(asked), dtype=pl.Float32)
    known = calendar.select(schema.DAY, pl.col(column).is_not_null().cast(pl.Float32).alias("named"))
    return asked.join(known, on=schema.DAY, how="left", maintain_order="left")["named"]
