"""Dates as catalogues write them, read without regard to the machine's locale."""

import re
from datetime import date
from typing import Final

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAY_FIRST: Final = re.compile(r"(?P<day>\d{1,2})-(?P<month>[A-Za-z]{3})-(?P<year>\d{2}|\d{4})")
_MONTH_FIRST: Final = re.compile(r"(?P<month>[A-Za-z]{3})[A-Za-z]*\.? (?P<day>\d{1,2}), (?P<year>\d{4})")
_ISO: Final = re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})")
_FIRST_YEAR_OF_THE_1900S: Final = 70


def read_date(text: str) -> date | None:
    """The date in "25-Sep-21", "01-Jan-1995", "September 9, 2019" or "2019-09-09", else None.

    Two digits of a year mean 1970 to 2069.
    """
    for style in (_DAY_FIRST, _MONTH_FIRST, _ISO):
        if found := style.fullmatch(text.strip()):
            return _date_of(year=found["year"], month=found["month"], day=found["day"])
    return None


def _date_of(*, year: str, month: str, day: str) -> date | None:
    if month.isdigit():
        month_number = int(month)
    elif month.lower() in _MONTHS:
        month_number = _MONTHS.index(month.lower()) + 1
    else:
        return None
    full_year = int(year)
    if len(year) == 2:
        full_year += 1900 if full_year >= _FIRST_YEAR_OF_THE_1900S else 2000
    try:
        return date(full_year, month_number, int(day))
    except ValueError:  # 31-Feb
        return None
