"""Pictures stay within their frame and show the shares."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.features.report.bins import bins_of
from marquee.features.report.charts import WIDTH, bar_chart, histogram_chart
from marquee.features.report.distribution import Bars, Histogram
from marquee.features.report.numbers import date_format

NUMBERS = st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=60)


def chart(values: list[float], **options):
    numbers = np.array(values, np.float64)
    bins = bins_of(numbers, n_bins=30)
    return histogram_chart(Histogram(bins, bins.count(numbers), bins.count(numbers)), **options)


@given(NUMBERS)
def test_histogram_of_any_numbers_stays_within_its_frame(values: list[float]):
    made = chart(values)

    assert made.marks
    for mark in made.marks:
        assert mark.x >= 0
        assert mark.x + mark.width <= WIDTH
        assert mark.width > -0.3  # bars thinner than a hair may vanish
        assert made.top <= mark.y <= made.base
        assert mark.y + mark.height == pytest.approx(made.base)
    assert all(0 <= tick.x <= WIDTH for tick in made.ticks)


def test_histogram_heights_are_shares_of_the_highest_bar():
    made = chart([1, 1, 2, 3, 3, 3, 3])

    heights = [mark.height for mark in made.marks]
    assert heights == pytest.approx([50, 25, 100])  # 2, 1 and 4 of the 4
    assert made.peak.startswith("57")  # 4 of 7
    assert [tick.text for tick in made.ticks] == ["1", "2", "3"]


def test_histogram_of_times_is_labelled_with_dates():
    day_us = 86_400_000_000

    made = chart([float(n * day_us) for n in range(0, 3000, 7)], show=date_format("us"))

    assert made.ticks
    assert all(len(tick.text) == len("1970-01-01") for tick in made.ticks)


def test_labels_do_not_overlap():
    made = chart([float(n) for n in range(1_000_000, 1_000_013)])

    assert 1 <= len(made.ticks) <= 13
    assert all(
        right.x - left.x > 3 * len(left.text) for left, right in zip(made.ticks, made.ticks[1:], strict=False)
    )


def test_bars_are_shares_of_the_longest_with_the_last_build_marked():
    made = bar_chart(Bars(("a", "a very long text indeed"), (6, 3, 1), (1, 1, 0), n_others=4))

    widths = [row.width for row in made.rows]
    assert widths[1] == pytest.approx(widths[0] / 2)
    assert [row.share.split()[0] for row in made.rows] == ["60", "30", "10"]
    assert made.rows[0].before_x < made.left + made.rows[0].width  # 50 % was less than 60 %
    assert made.rows[1].before_x == pytest.approx(made.rows[0].before_x)
    assert made.rows[1].label.endswith("…")
    assert (made.rows[2].label, made.rows[2].is_rest) == ("4 others", True)
    assert max(row.before_x for row in made.rows) < WIDTH
