from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.data.datasets.dates import read_date


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("25-Sep-21", date(2021, 9, 25)),
        ("01-Jan-1995", date(1995, 1, 1)),
        (" September 9, 2019", date(2019, 9, 9)),
        ("May 1, 2020", date(2020, 5, 1)),
        ("2021-09-25", date(2021, 9, 25)),
        ("31-Dec-69", date(2069, 12, 31)),
        ("01-Jan-70", date(1970, 1, 1)),
        ("31-Feb-21", None),
        ("09/25/2021", None),
        ("soon", None),
        ("", None),
    ],
)
def test_read_date_of_each_style_is_the_day_or_none(text, expected):
    assert read_date(text) == expected


@given(st.dates(date(1970, 1, 1), date(2069, 12, 31)))
def test_read_date_of_a_written_date_is_that_date(day):
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

    assert read_date(f"{day.day}-{months[day.month - 1]}-{day.year % 100:02d}") == day
