from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.evaluation.report.measured import Bounds, ModelSlice, ScoreBin
from marquee.evaluation.report.pictures import (
    WIDTH,
    bars,
    forest,
    recall_curves,
    reliability_columns,
    share_columns,
    slice_forest,
)

ENDS = st.tuples(*[st.floats(-1e6, 1e6)] * 3).map(sorted)


def bounds(low: float, estimate: float, high: float) -> Bounds:
    return Bounds(estimate=estimate, low=low, high=high)


def test_forest_places_values_in_proportion():
    made = forest({"a": bounds(0.0, 0.2, 0.4), "b": bounds(0.1, 0.3, 0.4)})

    (a,), (b,) = (row.whiskers for row in made.rows)
    assert a.low_x == made.left
    assert a.high_x == b.high_x == made.right
    assert (a.x - made.left) / (made.right - made.left) == pytest.approx(0.2 / 0.4)
    assert [row.value for row in made.rows] == ["0.2000", "0.3000"]


def test_forest_of_differences_holds_zero_and_signs():
    made = forest({"a": bounds(0.1, 0.2, 0.3), "b": bounds(-0.1, 0.0, 0.1)}, is_difference=True)

    assert made.zero_x == pytest.approx(made.left + 0.25 * (made.right - made.left))
    assert made.rows[0].value == "+0.2000"
    assert "−0.1000" in made.rows[1].title


def test_forest_leaves_models_without_the_metric_out():
    assert [row.label for row in forest({"a": Bounds(), "b": Bounds(estimate=0.5)}).rows] == ["b"]


@given(st.lists(ENDS, min_size=1, max_size=5), st.booleans())
def test_forest_of_any_numbers_stays_inside_its_frame(rows, is_difference):
    made = forest({str(at): bounds(*ends) for at, ends in enumerate(rows)}, is_difference=is_difference)

    for row in made.rows:
        for whisker in row.whiskers:
            assert made.left - 1e-6 <= whisker.low_x <= whisker.x + 1e-6
            assert whisker.x - 1e-6 <= whisker.high_x <= made.right + 1e-6
        assert 0 < row.y < made.height


def test_slice_forest_has_a_whisker_a_model_and_leaves_empty_slices_out():
    found = {"ours": bounds(0.1, 0.2, 0.3), "popular": bounds(0.0, 0.1, 0.2)}
    rows = [
        ModelSlice(slicing="g", slice=name, metric="m", n_queries=n, models=found, differences={})
        for name, n in (("F", 1_234), ("unknown", 0))
    ]

    made = slice_forest(rows, ["ours", "champion", "popular"])

    (row,) = made.rows
    assert row.value == "n 1,234"
    assert [whisker.series for whisker in row.whiskers] == [0, 2]


def test_bars_are_as_long_as_their_share_of_the_highest():
    first, second = bars({"a": 2.0, "b": 0.5}, {"a": "2 s", "b": "0.5 s"}).rows

    assert second.width / first.width == pytest.approx(0.25)
    assert second.text == "0.5 s"


def test_reliability_columns_rise_with_the_share():
    bins = [ScoreBin(low=0, high=1, n=10, n_consumed=n, rate=bounds(n / 10, n / 10, n / 10)) for n in (1, 5)]

    low, high = reliability_columns(bins).columns

    assert low.height / high.height == pytest.approx(1 / 5)
    assert "1 of 10 consumed" in low.title


def test_share_columns_draw_the_compared_shares_as_steps():
    made = share_columns([0.5, None], [0.25, 0.75], peak=1.0)

    assert made.columns[0].height / made.base == pytest.approx(0.5 * (made.base - 14) / made.base)
    assert made.columns[1].height == 0
    assert made.outline.count("H") == 2


def test_recall_curves_name_every_route_apart():
    found = {name: {"recall@10": 0.1, "recall@100": 0.5, "recall@all": 0.9} for name in "abcd"}

    made = recall_curves(found, first="c")

    places = sorted(line.label_y for line in made.lines)
    assert min(b - a for a, b in pairwise(places)) >= 12
    assert [line.name for line in made.lines if line.is_first] == ["c"]
    assert max(places) < made.height
    assert [tick.text for tick in made.x_ticks] == ["10", "100"]
    assert made.x_ticks[-1].place <= WIDTH
