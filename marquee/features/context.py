"""Facts of the request itself: hour, weekday, holiday, device, place. Pure; never stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marquee import schema

HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US
EPOCH_WEEKDAY: Final = 4
"""1970-01-01 was a Thursday (Monday is 1)."""
SATURDAY: Final = 6
_NAMED: Final = ("holiday", "festival")


@dataclass(frozen=True, eq=False)
class Calendar:
    """Which of a run of days are holidays and festivals, ready to be looked up by many moments at once."""

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

    def at(self, time_us: NDArray[np.int64]) -> NDArray[np.float32]:
        """Rows of `named` for moments in UTC microseconds, `(n, 2)`; NaN for a day that is not held."""
        place = time_us // DAY_US - self.first_day
        held = (place >= 0) & (place < len(self.named))
        found = np.full((len(place), len(_NAMED)), np.nan, np.float32)
        found[held] = self.named[place[held]]
        return found


def context_numbers(time_us: NDArray[np.int64], calendar: Calendar) -> NDArray[np.float32]:
    """`(n, len(schema.CONTEXT_NUMBERS)) float32` of moments in UTC microseconds; days are those of UTC."""
    weekday = (time_us // DAY_US + EPOCH_WEEKDAY - 1) % 7 + 1
    is_holiday, is_festival = calendar.at(time_us).T
    columns = {
        schema.CONTEXT_HOUR: time_us // HOUR_US % 24,
        schema.CONTEXT_WEEKDAY: weekday,
        schema.CONTEXT_IS_WEEKEND: weekday >= SATURDAY,
        schema.CONTEXT_IS_HOLIDAY: is_holiday,
        schema.CONTEXT_IS_FESTIVAL: is_festival,
    }
    numbers = np.empty((len(time_us), len(schema.CONTEXT_NUMBERS)), np.float32)
    for at, name in enumerate(schema.CONTEXT_NUMBERS):
        numbers[:, at] = columns[name]
    return numbers


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
