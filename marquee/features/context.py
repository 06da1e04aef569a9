"""Facts of the request itself: hour, weekday, holiday, device, place. Pure; never stored."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marquee import schema

HOUR_US: Final = 3_600_000_000
DAY_HOURS: Final = 24
DAY_US: Final = DAY_HOURS * HOUR_US
EPOCH_WEEKDAY: Final = 4
"""1970-01-01 was a Thursday (Monday is 1)."""
SATURDAY: Final = 6
KNOWN_HOURS: Final = 10_000
"""So many hours are remembered: more than a year, in 2 MB."""
_NAMED: Final = ("holiday", "festival")


@dataclass(frozen=True, eq=False)
class Calendar:
    """Which of a run of days are holidays and festivals."""

    first_day: int  # days since 1970-01-01
    named: NDArray[np.float32]  # (n_days, 2): 1 for a holiday, 1 for a festival

    @classmethod
    def of(cls, table: pl.DataFrame | None) -> Self:
        """From a table of `schema.CALENDAR_SCHEMA`; days that it leaves out are unknown, all are for None."""
        if table is None or table.is_empty():
            return cls(0, np.empty((0, len(_NAMED)), np.float32))
        day = table[schema.DAY].to_physical().to_numpy()
        named = np.full((int(day.max() - day.min()) + 1, len(_NAMED)), np.nan, np.float32)
        named[day - day.min()] = table.select(pl.col(_NAMED).is_not_null().cast(pl.Float32)).to_numpy()
        return cls(int(day.min()), named)

    def at_hour(self, hour: int) -> tuple[float, ...]:
        """`schema.CONTEXT_NUMBERS` of an hour, counted from 1970 UTC; NaN for a day that is not held."""
        if hour not in self._known_hours:
            day = hour // DAY_HOURS
            place = day - self.first_day
            is_held = 0 <= place < len(self.named)
            is_holiday, is_festival = self.named[place].tolist() if is_held else (math.nan, math.nan)
            weekday = (day + EPOCH_WEEKDAY - 1) % 7 + 1
            columns = {
                schema.CONTEXT_HOUR: hour % DAY_HOURS,
                schema.CONTEXT_WEEKDAY: weekday,
                schema.CONTEXT_IS_WEEKEND: weekday >= SATURDAY,
                schema.CONTEXT_IS_HOLIDAY: is_holiday,
                schema.CONTEXT_IS_FESTIVAL: is_festival,
            }
            if len(self._known_hours) >= KNOWN_HOURS:
                self._known_hours.clear()
            self._known_hours[hour] = tuple(float(columns[name]) for name in schema.CONTEXT_NUMBERS)
        return self._known_hours[hour]

    @cached_property
    def _known_hours(self) -> dict[int, tuple[float, ...]]:
        return {}


def context_numbers(time_us: NDArray[np.int64], calendar: Calendar) -> NDArray[np.float32]:
    """`(n, len(schema.CONTEXT_NUMBERS)) float32` of moments in UTC microseconds; days are those of UTC."""
    rows = [calendar.at_hour(hour) for hour in (time_us // HOUR_US).tolist()]
    return np.array(rows, np.float32).reshape(len(rows), len(schema.CONTEXT_NUMBERS))


def context_features(
    time_us: NDArray[np.int64],
    *,
    calendar: pl.DataFrame | None = None,
    device: Sequence[str | None] | None = None,
    location: Sequence[str | None] | None = None,
) -> pl.DataFrame:
    """One row per request with the columns of `schema.CONTEXT_FEATURES`, as a table for logs and Feast.

    Whether a day is a holiday or festival is null where no calendar is given or it does not reach
    that day.

    Args:
        time_us: `(n,)` moments of the requests, UTC microseconds.
        calendar: a table of `schema.CALENDAR_SCHEMA`, as `marquee.features.calendar` makes.
        device: `(n,)` what the request came from.
        location: `(n,)` where it came from.
    """
    numbers = context_numbers(time_us, Calendar.of(calendar))
    unknown = [None] * len(time_us)
    columns = {
        **{name: pl.Series(column) for name, column in zip(schema.CONTEXT_NUMBERS, numbers.T, strict=True)},
        schema.CONTEXT_DEVICE: pl.Series(unknown if device is None else device),
        schema.CONTEXT_LOCATION: pl.Series(unknown if location is None else location),
    }
    return pl.DataFrame(
        [columns[name].cast(dtype).alias(name) for name, dtype in schema.CONTEXT_FEATURES.items()]
    ).with_columns(pl.col(pl.Float32).fill_nan(None))
