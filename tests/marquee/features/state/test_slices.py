"""How tables of time are cut into parts."""

from datetime import date

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from marquee import schema
from marquee.features.state.slices import Layout, days_of, in_month, months, next_month

DAYS = st.integers(0, 40_000)


def day(text: str) -> int:
    return days_of(date.fromisoformat(text))


def test_month_cools_when_it_has_been_over_for_a_week():
    warm, cool = Layout.of(day("2025-07-07")), Layout.of(day("2025-07-08"))

    assert warm.name(warm.start(day("2025-06-30")), "x") == "month=2025-06/day=30.x"
    assert cool.name(cool.start(day("2025-06-30")), "x") == "month=2025-06/x"
    assert cool.name(cool.start(day("2025-07-01")), "x") == "month=2025-07/day=01.x"


def test_days_of_a_month_that_cooled_belong_to_its_one_part():
    layout = Layout.of(day("2025-07-08"))
    names = ["month=2025-06/day=02.a", "month=2025-06/day=01.a", "month=2025-05/a", "month=2025-05/b"]

    found = layout.by_slice(names, file="a")

    assert found == {
        day("2025-05-01"): ["month=2025-05/a"],
        day("2025-06-01"): ["month=2025-06/day=01.a", "month=2025-06/day=02.a"],
    }


@given(DAYS, DAYS)
def test_slices_of_days_hold_them_and_are_found_again_by_name(last_day, any_day):
    layout = Layout.of(last_day)

    start = layout.start(any_day)

    assert start <= any_day <= layout.end(start)
    assert layout.start(layout.end(start)) == start
    assert layout.by_slice([layout.name(start, "x")]) == {start: [layout.name(start, "x")]}
    time = pl.select(pl.lit(any_day * 86_400_000_000 + 1).cast(schema.TIME_DTYPE).alias("t"))
    assert time.select(layout.starts("t")).item() == start


@given(DAYS, st.integers(0, 500))
def test_months_follow_each_other_and_hold_their_days(first_day, n_days):
    found = months(first_day, first_day + n_days)

    assert found[0] <= first_day
    assert next_month(found[-1]) > first_day + n_days
    assert [next_month(month) for month in found[:-1]] == found[1:]
    time = pl.select(pl.lit(first_day * 86_400_000_000).cast(schema.TIME_DTYPE).alias("t"))
    assert time.select(in_month("t", found[0])).item()
    assert not time.select(in_month("t", next_month(found[0]))).item()
