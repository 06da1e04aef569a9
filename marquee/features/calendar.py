"""Holidays and festivals by day, from the `holidays` package: tables of the contract's calendar."""

from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from marquee import schema
from marquee.errors import ConfigError

if TYPE_CHECKING:
    from holidays import HolidayBase

_HOLIDAYS: Final = ("public",)


def calendar_table(country: str, *, first: date, last: date, subdivision: str | None = None) -> pl.DataFrame:
    """One row per day from `first` to `last`: the names of its holiday and festival, null on other days.

    A holiday is a public one; a festival is a day that the country keeps otherwise: one of the
    package's other categories (unofficial, optional, of a faith, …) that is no public holiday.

    Args:
        country: ISO 3166-1 code, as "US".
        first: first day.
        last: last day, included.
        subdivision: ISO 3166-2 part, as "CA".

    Raises:
        ConfigError: the country or part is unknown, or the package is not installed.
    """
    years = range(first.year, last.year + 1)
    holidays = _days(country, subdivision, years=years, categories=_HOLIDAYS)
    others = tuple(name for name in holidays.supported_categories if name not in _HOLIDAYS)
    festivals = _days(country, subdivision, years=years, categories=others) if others else {}
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return pl.DataFrame(
        {
            schema.DAY: days,
            "holiday": [holidays.get(day) for day in days],
            "festival": [None if day in holidays else festivals.get(day) for day in days],
        },
        schema=schema.CALENDAR_SCHEMA,
    )


def _days(
    country: str, subdivision: str | None, *, years: range, categories: tuple[str, ...]
) -> "HolidayBase":
    try:
        import holidays  # noqa: PLC0415 - of the extra "features", and 14 MB
    except ModuleNotFoundError as err:
        raise ConfigError(
            "the package `holidays` is not installed.",
            remedy="Run `make setup`, or install marquee[features].",
        ) from err
    try:
        return holidays.country_holidays(
            country, subdiv=subdivision, years=years, categories=categories, language="en_US"
        )
    except NotImplementedError as err:
        raise ConfigError(
            f"there is no calendar of {country!r} {subdivision or ''}.".replace(" .", "."),
            remedy="Give an ISO 3166 code, such as US or DE with BY.",
        ) from err
