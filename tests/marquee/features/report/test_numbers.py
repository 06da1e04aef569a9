"""Numbers as people read them."""

from datetime import UTC, datetime

import pytest

from marquee.features.report.numbers import date_format, hours, moment, number, share, span_format


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (1995, "1995"),
        (0.123456, "0.123"),
        (12.34, "12.3"),
        (123.46, "123.5"),
        (12_345, "12.3 k"),
        (1_850_000_000, "1.85 bn"),
        (-0.025, "−0.025"),
        (3e38, "3e+38"),
        (1e-7, "1e-07"),
        (float("inf"), "–"),
    ],
)
def test_number_keeps_the_digits_that_matter(value: float, shown: str):
    assert number(value).replace("\N{NO-BREAK SPACE}", " ") == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0 %"),
        (0.0004, "< 0.1 %"),
        (0.052, "5.2 %"),
        (0.5, "50 %"),
        (0.9995, "> 99.9 %"),
        (1, "100 %"),
        (None, "–"),
    ],
)
def test_share_never_rounds_to_none_or_all(value: float | None, shown: str):
    assert share(value).replace("\N{NO-BREAK SPACE}", " ") == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.5, "30 min"), (26, "26 h"), (168, "7 days"), (24 * 365.25 * 28, "28.0 years"), (None, "–")],
)
def test_hours_become_the_fitting_unit(value: float | None, shown: str):
    assert hours(value).replace("\N{NO-BREAK SPACE}", " ") == shown


def test_dates_count_from_1970_and_fall_back_to_numbers_beyond_the_calendar():
    assert date_format("us")(86_400_000_000) == "1970-01-02"
    assert date_format("day")(10_000) == "1997-05-19"
    assert date_format("us")(2.0**70) == number(2.0**70)
    assert span_format("day")(7).startswith("7")
    assert moment(datetime(1998, 4, 23, 1, 2, tzinfo=UTC)) == "1998-04-23 01:02"
