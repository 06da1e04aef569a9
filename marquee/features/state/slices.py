"""How the tables of time are cut into parts: a file a month, and a file a day where it is still warm.

Tomorrow's events then rewrite a day and not a month. The cut depends on the last day alone, so that a
whole build and one by increments end in the same files.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Self

import polars as pl

from marquee import schema

EPOCH: Final = date(1970, 1, 1)
WARM_DAYS: Final = 7
"""A month has a part a day until it has been over for so many days."""
_NAME: Final = re.compile(r"month=(\d{4}-\d\d)/(?:day=(\d\d)\.)?(.+)")


@dataclass(frozen=True)
class Layout:
    """The slices of a table; a slice is named by its first day, in days since 1970-01-01."""

    warm_from: int
    """The first day that has a slice of its own: the first of a month."""

    @classmethod
    def of(cls, last_day: int) -> Self:
        """Of a table that ends with `last_day`."""
        return cls(month_start(last_day - WARM_DAYS))

    def start(self, day: int) -> int:
        """The slice of a day."""
        return day if day >= self.warm_from else month_start(day)

    def end(self, start: int) -> int:
        """A slice's last day."""
        return start if start >= self.warm_from else next_month(start) - 1

    def starts(self, column: str) -> pl.Expr:
        """The slices of a column of times, int32."""
        day = pl.col(column).dt.date()
        is_warm = day >= date_of(self.warm_from)
        return pl.when(is_warm).then(day).otherwise(day.dt.month_start()).to_physical().cast(pl.Int32)

    def name(self, start: int, file: str) -> str:
        """Path of a slice's part within its table's folder; `file` tells parts of one slice apart."""
        day = date_of(start)
        return (
            f"month={day:%Y-%m}/day={day:%d}.{file}" if start >= self.warm_from else month_name(start, file)
        )

    def by_slice(self, names: Iterable[str], *, file: str | None = None) -> dict[int, list[str]]:
        """Parts, or those named `file`, by the slice that their rows are in: several days where it cooled."""
        found: dict[int, list[str]] = {}
        for name in sorted(names):
            match = _NAME.fullmatch(name)
            if match and file in (None, match[3]):
                day = days_of(date.fromisoformat(f"{match[1]}-{match[2] or '01'}"))
                found.setdefault(self.start(day), []).append(name)
        return found


def month_name(start: int, file: str) -> str:
    """Path of a month's part."""
    return f"month={date_of(start):%Y-%m}/{file}"


def date_of(day: int) -> date:
    """The date so many days after 1970-01-01."""
    return EPOCH + timedelta(days=day)


def days_of(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - EPOCH).days


def month_start(day: int) -> int:
    """The first day of a day's month."""
    return days_of(date_of(day).replace(day=1))


def next_month(day: int) -> int:
    """The first day of the month after a day's."""
    return month_start(month_start(day) + 31)


def months(first_day: int, last_day: int) -> list[int]:
    """First days of the months from that of `first_day` to that of `last_day`."""
    found = [month_start(first_day)]
    while (following := next_month(found[-1])) <= last_day:
        found.append(following)
    return found


def in_month(column: str, start: int) -> pl.Expr:
    """Whether times of a column are in the month that starts with the day `start`."""
    low, high = (
        datetime.combine(date_of(day), datetime.min.time(), tzinfo=UTC) for day in (start, next_month(start))
    )
    time = pl.col(column)
    return (time >= pl.lit(low, schema.TIME_DTYPE)) & (time < pl.lit(high, schema.TIME_DTYPE))
