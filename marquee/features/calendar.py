"""Holidays and festivals by day, from the `holidays` package: tables of the contract's calendar."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from marquee import schema
from marquee.data.dataset import Dataset
from marquee.data.datasets.catalogue import home_country
from marquee.errors import ConfigError

if TYPE_CHECKING:
    from holidays import HolidayBase

YEARS_AHEAD: Final = 30
"""A model is asked after its last event: a demonstration on old data, decades after it."""
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
        ConfigError: the country or part is unknown.
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


def calendar_around(first_us: int, last_us: int, *, country: str) -> pl.DataFrame:
    """The calendar of a country from the day of the first event on, for requests of the decades to come.

    Args:
        first_us: of the first event, UTC microseconds.
        last_us: of the last event, UTC microseconds.
        country: ISO 3166-1 code, as "US".

    Raises:
        ConfigError: as `calendar_table`.
    """
    first, last = (
        datetime.fromtimestamp(time_us // 1_000_000, UTC).date() for time_us in (first_us, last_us)
    )
    return calendar_table(country, first=first, last=date(last.year + YEARS_AHEAD, 12, 31))


def _days(
    country: str, subdivision: str | None, *, years: range, categories: tuple[str, ...]
) -> "HolidayBase":
    import holidays  # noqa: PLC0415 - 14 MB that most commands do without

    try:
        return holidays.country_holidays(
            country, subdiv=subdivision, years=years, categories=categories, language="en_US"
        )
    except NotImplementedError as err:
        raise ConfigError(
            f"there is no calendar of {country!r} {subdivision or ''}.".replace(" .", "."),
            remedy="Give an ISO 3166 code, such as US or DE with BY.",
        ) from err


def with_calendar(dataset: Dataset, country: str | None) -> Dataset:
    """The data set with the calendar of a country; as it is where it has its own, or no country is known.

    Args:
        dataset: the snapshot.
        country: ISO 3166-1 code; None for the data set's own, where the catalogue knows it.

    Raises:
        ConfigError: the country is unknown.
    """
    home = country or home_country(dataset.name)
    if dataset.calendar is not None or home is None or not len(dataset.interactions):
        return dataset
    first_us, last_us = (int(dataset.interactions.timestamp_us[at]) for at in (0, -1))
    return replace(dataset, calendar=calendar_around(first_us, last_us, country=home))
