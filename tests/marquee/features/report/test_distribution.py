"""One feature described: counts, shares, pictures, and the last build beside them."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from marquee.features.report.config import ReportConfig
from marquee.features.report.distribution import Bars, Feature, Histogram, describe_feature

NAN = float("nan")


def described(values: list, dtype: pl.DataType, before: list | None = None, **config: int) -> Feature:
    def table(column: list) -> pl.DataFrame:
        times = [datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(len(column))]
        return pl.DataFrame({"at": times, "f": column}, schema={"at": pl.Datetime("us", "UTC"), "f": dtype})

    past = table(before) if before is not None else None
    return describe_feature("f", table(values), time_column="at", before=past, config=ReportConfig(**config))


def test_number_is_counted_with_nulls_zeros_and_what_is_not_finite():
    feature = described([0.0, 2.0, 4.0, None, NAN, float("inf")], pl.Float32())

    assert (feature.n_rows, feature.n_null, feature.n_not_finite) == (6, 1, 2)
    assert (feature.values.n, feature.values.n_zero, feature.values.n_distinct) == (3, 1, 3)
    assert feature.values.summary.mean == 2
    assert feature.values.summary.std == pytest.approx((8 / 3) ** 0.5)
    assert feature.values.summary.quantiles[2] == 2
    assert feature.values.drift is None
    assert feature.newest == datetime(1970, 1, 6, tzinfo=UTC)


def test_number_beside_the_last_build_shares_its_bars():
    feature = described([1, 2, 2], pl.Int64(), before=[2, 3, None, None])

    picture = feature.values.picture
    assert isinstance(picture, Histogram)
    assert picture.bins.values.tolist() == [1, 2, 3]
    assert (picture.counts.tolist(), picture.before.tolist()) == ([1, 2, 0], [0, 1, 1])
    assert feature.null_share_before == 0.5


def test_column_of_nulls_has_no_picture_and_no_newest_row():
    feature = described([None, None], pl.Float32(), before=[1.0, 2.0])

    assert (feature.null_share, feature.null_share_before) == (1, 0)
    assert feature.values.picture is None
    assert feature.newest is None


@pytest.mark.parametrize(
    "dtype", [pl.Float32(), pl.Int64(), pl.String(), pl.List(pl.String()), pl.List(pl.Float32())]
)
def test_column_of_no_rows_is_described(dtype: pl.DataType):
    feature = described([], dtype, before=[])

    assert feature.null_share is None
    assert feature.values.n == 0


def test_huge_numbers_are_drawn_and_do_not_overflow():
    feature = described([3e38, -3e38, 1.0], pl.Float32())

    assert feature.values.summary.high == pytest.approx(3e38)
    assert feature.values.picture.counts.sum() == 3


def test_texts_are_the_most_frequent_and_all_others():
    feature = described(
        ["a", "a", "a", "b", "b", "c", "d", "", None], pl.String(), before=["a", "d", "e"], n_categories=2
    )

    assert feature.values.picture == Bars(("a", "b"), (3, 2, 3), (1, 0, 2), n_others=3)
    assert (feature.values.n, feature.values.n_distinct, feature.values.n_zero) == (8, 5, 1)


def test_texts_of_their_own_are_drawn_by_length():
    feature = described([f"{n:03}" for n in range(99)] + ["no"], pl.String())

    assert isinstance(feature.values.picture, Histogram)
    assert feature.values.picture.of == "length"
    assert feature.values.picture.counts.tolist() == [1, 99]


def test_lists_are_described_by_length_and_by_what_is_in_them():
    feature = described([["x", "y"], ["x"], [], None], pl.List(pl.String()))

    assert (feature.values.n, feature.values.n_zero, feature.values.summary.mean) == (3, 1, 1)
    assert (feature.elements.n, feature.elements.n_distinct) == (3, 2)
    assert feature.elements.picture == Bars(("x", "y"), (2, 1), None, n_others=0)


def test_nan_inside_lists_is_counted_and_left_out_of_the_picture():
    feature = described([[1.0, NAN], [NAN], []], pl.List(pl.Float32()))

    assert feature.n_not_finite == 2
    assert feature.elements.n == 1
    assert feature.elements.summary.mean == 1


def test_column_of_another_kind_in_the_last_build_is_new():
    now = pl.DataFrame({"at": [datetime(1970, 1, 1, tzinfo=UTC)], "f": ["text"]})
    other = now.with_columns(pl.lit(1).alias("f"))

    kinds = [
        describe_feature("f", now, time_column="at", before=before, config=ReportConfig()).is_new
        for before in (now, other, now.drop("f"))
    ]

    assert kinds == [False, True, True]


def test_times_are_compared_by_how_long_ago_they_were():
    table = pl.DataFrame({"at": [datetime(1970, 1, 1, tzinfo=UTC)] * 100, "f": range(100)})
    later = table.with_columns(pl.col("f") + 50)

    moved, passed = (
        describe_feature(
            "f", later, time_column="at", before=table, passed=by, config=ReportConfig()
        ).values.drift.psi
        for by in (0.0, 50.0)
    )

    assert moved > 1
    assert passed == 0
