"""The matrix is what was exported, and what looks like an accident is not exported."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee import schema
from marquee.data.interactions import UNKNOWN_INDEX, Vocabulary
from marquee.errors import ContractError, FeatureStoreError, WarehouseError
from marquee.features.item_matrix import (
    SERVICE,
    ItemMatrix,
    ItemMatrixFolder,
    export_item_matrix,
    folder,
    item_columns,
)
from tests.marquee.features.item_tables import AS_OF, COLUMNS, NOW, item_table, numbered


def export(rows: pl.DataFrame, root: Path, *, hours: float = 0, force: bool = False) -> ItemMatrix:
    """As of so many hours after `AS_OF`."""
    return export_item_matrix(rows, root, as_of=AS_OF + timedelta(hours=hours), now=NOW, force=force)


def versions(root: Path) -> set[str]:
    return {path.name for path in root.iterdir() if path.is_dir()}


# --- what it is ------------------------------------------------------------------------------------------


def test_columns_are_the_numeric_features_of_the_movie_views_in_order():
    assert COLUMNS[:5] == (
        "movie_year",
        "movie_released_day",
        "movie_added_day",
        "movie_duration_minutes",
        "movie_min_age",
    )
    assert COLUMNS[5:15] == schema.MOVIE_STATISTICS
    assert COLUMNS[-1] == schema.PUB_DAYS_SINCE_RELEASE
    assert len(COLUMNS) == 5 + 14 + 12


@pytest.mark.parametrize("service", ["candidates_v1", "nothing_v1"])
def test_columns_of_a_service_without_movies_are_refused(service: str):
    with pytest.raises(FeatureStoreError, match=f"'{service}' has no movie features"):
        item_columns(service)


@pytest.mark.parametrize("mapped_from", [folder.MAPPED_FROM_BYTES, 0])
def test_export_in_any_order_loads_sorted_and_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mapped_from: int
):
    monkeypatch.setattr(folder, "MAPPED_FROM_BYTES", mapped_from)
    rows = item_table(["b", "ä", "a"], movie_year=[1999, None, 2001], pub_mentions=[0.1, float("nan"), 3])
    made = export(rows.with_columns(pl.lit("T").alias("movie_title")), tmp_path)

    loaded = ItemMatrixFolder(tmp_path).load_current()

    expected = np.ones((3, len(COLUMNS)), np.float32)  # rows a, b, ä
    expected[:, COLUMNS.index("movie_year")] = [2001, 1999, np.nan]
    expected[:, COLUMNS.index("pub_mentions")] = [3, 0.1, np.nan]
    for matrix in (made, loaded):
        assert matrix.items.ids.to_list() == ["a", "b", "ä"]
        np.testing.assert_array_equal(matrix.matrix, expected)
        assert matrix.matrix.dtype == np.float32
        assert (matrix.columns, matrix.service) == (COLUMNS, SERVICE)
        assert matrix.as_of_us == 1_777_593_600 * 1_000_000  # 2026-05-01 00:00 UTC
        assert matrix.written_at_us - matrix.as_of_us == 86_400 * 1_000_000
    assert made.version == loaded.version


def test_version_names_content_and_moment_but_not_order_or_time_of_writing(tmp_path: Path):
    rows = item_table(["a", "b"], movie_year=[1, 2])

    first = export(rows, tmp_path / "one").version

    later = export_item_matrix(rows[::-1], tmp_path / "two", as_of=AS_OF, now=NOW + timedelta(days=1))
    assert later.version == first
    assert export(rows, tmp_path / "three", hours=1).version != first
    assert export(item_table(["a", "b"], movie_year=[1, 3]), tmp_path / "four").version != first
    assert export(item_table(["a", "c"], movie_year=[1, 2]), tmp_path / "five").version != first


def test_version_does_not_depend_on_how_the_store_writes_nothing(tmp_path: Path):
    other_nan = np.array([0xFFC00001], np.uint32).view(np.float32)  # a NaN of other bits

    names = {
        export(item_table(["a"], movie_year=nothing), tmp_path).version
        for nothing in ([None], [float("nan")], other_nan)
    }

    assert len(names) == 1


@given(st.lists(st.sampled_from([*numbered(4), "", "nothing"]), max_size=8))
def test_lookup_gives_rows_in_the_order_asked_and_nan_for_unknown_ids(asked: list[str]):
    matrix = matrix_of_numbers(4)

    rows = matrix.lookup(asked)

    assert rows.shape == (len(asked), len(COLUMNS))
    for id_, row in zip(asked, rows, strict=True):
        number = int(id_[1:]) if id_ in numbered(4) else np.nan
        np.testing.assert_array_equal(row, np.full(len(COLUMNS), number, np.float32))


def matrix_of_numbers(n: int) -> ItemMatrix:
    """Row i holds i everywhere."""
    values = np.repeat(np.arange(n, dtype=np.float32), len(COLUMNS)).reshape(n, -1)
    return ItemMatrix(
        items=Vocabulary.of(numbered(n)),
        matrix=values,
        columns=COLUMNS,
        service=SERVICE,
        as_of_us=0,
        written_at_us=0,
        version="0" * 32,
    )


def test_take_of_an_index_beyond_the_items_is_an_error_and_unknown_is_nan():
    matrix = matrix_of_numbers(3)

    rows = matrix.take(np.array([2, UNKNOWN_INDEX, 0]))

    np.testing.assert_array_equal(rows[:, 0], [2, np.nan, 0])
    with pytest.raises(IndexError):
        matrix.take(np.array([3]))


def test_rows_that_were_taken_are_a_copy_and_the_matrix_refuses_writing(tmp_path: Path):
    matrix = export(item_table(["a"]), tmp_path)

    matrix.lookup(["a"])[:] = 7

    assert matrix.matrix.max() == 1
    with pytest.raises(ValueError, match="read-only"):
        matrix.matrix[0, 0] = 7


def test_age_counts_from_the_moment_of_the_state(tmp_path: Path):
    assert export(item_table(["a"]), tmp_path).age_seconds(NOW + timedelta(microseconds=500)) == 86_400.0005


# --- what is refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (item_table(["a"]).drop("movie_year", "pub_mentions"), "lack movie_year, pub_mentions"),
        (item_table(["a"]).drop(schema.ITEM_ID), "lack item_id"),
        (item_table(["a", "a"]), "2 rows to export are of 1 items"),
        (item_table(["a", "b"]).with_columns(item_id=pl.Series(["a", None])), "2 rows .* of 1 items"),
        (item_table([]), "0 rows to export"),
        (item_table(["a"]).with_columns(movie_year=pl.lit("1999")), "movie_year .* is String"),
    ],
)
def test_rows_that_make_no_matrix_are_refused_even_when_forced(tmp_path: Path, rows, problem: str):
    with pytest.raises(FeatureStoreError, match=problem):
        export(rows, tmp_path, force=True)

    assert not (tmp_path / folder.CURRENT).exists()


def test_time_without_zone_is_refused(tmp_path: Path):
    with pytest.raises(ContractError, match="has no zone"):
        export_item_matrix(item_table(["a"]), tmp_path, as_of=datetime(2026, 5, 1), now=NOW)  # noqa: DTZ001


def test_export_with_19_of_20_items_passes_and_with_18_is_refused_unless_forced(tmp_path: Path):
    first = export(item_table(numbered(20)), tmp_path)

    with pytest.raises(FeatureStoreError, match=r"of the 20 items .* only 18 are left, less than 95 %") as no:
        export(item_table(numbered(18)), tmp_path)

    assert "--force" in no.value.remedy
    assert ItemMatrixFolder(tmp_path).current_version() == first.version
    assert versions(tmp_path) == {first.version}
    assert len(export(item_table(numbered(18)), tmp_path, force=True)) == 18
    export(item_table(numbered(20)), tmp_path)
    assert len(export(item_table(numbered(19)), tmp_path)) == 19


def test_export_of_as_many_items_under_other_ids_is_refused(tmp_path: Path):
    export(item_table(numbered(20)), tmp_path)

    with pytest.raises(FeatureStoreError, match="only 0 are left"):
        export(item_table([f"{id_}.0" for id_ in numbered(20)]), tmp_path)


def test_nulls_of_a_column_may_rise_by_20_points_and_not_by_30(tmp_path: Path):
    def with_nulls(n: int) -> pl.DataFrame:
        return item_table(numbered(10), pub_mentions=[None] * n + [1.0] * (10 - n))

    export(with_nulls(7), tmp_path)

    assert len(export(with_nulls(9), tmp_path)) == 10  # 0.9 − 0.7 is 0.20000000000000007 in binary
    export(with_nulls(2), tmp_path)
    with pytest.raises(
        FeatureStoreError, match="50% of column pub_mentions is null, and it was 20% in version"
    ):
        export(with_nulls(5), tmp_path)
    assert len(export(with_nulls(5), tmp_path, force=True)) == 10


def test_export_of_another_column_set_is_refused_unless_forced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    export(item_table(["a"]), tmp_path)
    changed = {schema.MOVIE_PROFILE_VIEW: ("movie_year",)}
    monkeypatch.setitem(schema.FEATURE_SERVICES, SERVICE, changed)

    with pytest.raises(FeatureStoreError, match=r"columns are not those of version .*−movie_released_day"):
        export(item_table(["a"]), tmp_path)

    assert export(item_table(["a"]), tmp_path, force=True).matrix.shape == (1, 1)


def test_export_after_a_damaged_version_is_refused_unless_forced(tmp_path: Path):
    before = export(item_table(["a"]), tmp_path)
    (tmp_path / before.version / folder.ITEMS).write_bytes(b"torn")

    with pytest.raises(FeatureStoreError, match=r"items\.parquet") as refusal:
        export(item_table(["b"]), tmp_path)

    assert "--force" in refusal.value.remedy
    assert export(item_table(["b"]), tmp_path, force=True).items.ids.to_list() == ["b"]


def test_second_exporter_is_refused_while_the_first_writes(tmp_path: Path):
    with ItemMatrixFolder(tmp_path).writing(), pytest.raises(WarehouseError, match="another process"):
        export(item_table(["a"]), tmp_path)


# --- versions --------------------------------------------------------------------------------------------


def test_export_keeps_the_version_before_and_removes_older_ones_and_nothing_else(tmp_path: Path):
    (tmp_path / "mine").mkdir()
    ids = [export(item_table(["a"]), tmp_path, hours=hour).version for hour in range(4)]

    again = export(item_table(["a"]), tmp_path, hours=3).version

    assert again == ids[3]
    assert versions(tmp_path) == {ids[2], ids[3], "mine"}


def test_export_of_the_version_before_makes_it_current_again(tmp_path: Path):
    first, second = (export(item_table(["a"]), tmp_path, hours=hour).version for hour in (0, 1))

    export(item_table(["a"]), tmp_path)

    assert ItemMatrixFolder(tmp_path).current_version() == first
    assert versions(tmp_path) == {first, second}


def test_export_of_the_current_version_mends_it_where_it_is_damaged(tmp_path: Path):
    made = export(item_table(["a"]), tmp_path)
    (tmp_path / made.version / folder.MATRIX).unlink()

    export(item_table(["a"]), tmp_path)

    assert ItemMatrixFolder(tmp_path).load_current().version == made.version
