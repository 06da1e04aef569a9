from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marquee import schema
from marquee.data.staging import MonthMerger, MonthStaging

Event = tuple[str, str, str, int, float | None]


def events(*rows: Event) -> pl.DataFrame:
    """Rows of user, item, type, seconds since 2024-01-01 and value."""
    start = datetime(2024, 1, 1, tzinfo=UTC)
    frame = pl.DataFrame(
        rows,
        schema={
            "user_id": pl.String,
            "item_id": pl.String,
            "interaction_type": pl.Enum(schema.INTERACTION_TYPES),
            "second": pl.Int64,
            "value": pl.Float32,
        },
        orient="row",
    ).with_columns(timestamp=pl.lit(start).cast(schema.TIME_DTYPE) + pl.duration(seconds="second"))
    rest = [
        pl.lit(None, dtype).alias(name)
        for name, dtype in schema.INTERACTIONS_SCHEMA.items()
        if name not in frame
    ]
    return frame.with_columns(rest).select(*schema.INTERACTIONS_SCHEMA)


def merged(folder: Path, *batches: pl.DataFrame, existing: Path | None = None, max_rows: int = 1) -> Path:
    (folder / "staging").mkdir(parents=True)
    staging = MonthStaging(folder / "staging", max_rows=max_rows)
    for batch in batches:
        staging.add(batch)
    staging.flush()
    merger = MonthMerger(folder / "staging", memory_limit_mb=64, row_group_rows=4)
    (month,) = staging.files
    part, n_rows = merger.merge(month, existing=existing, staged=staging.files[month])
    merger.close()
    assert pl.read_parquet(part, glob=False).height == n_rows
    return part


def test_staging_parts_events_by_utc_month(tmp_path: Path):
    day = 86_400
    staging = MonthStaging(tmp_path, max_rows=2)

    staging.add(events(("u", "i", "like", 31 * day - 1, None), ("u", "i", "like", 31 * day, None)))
    staging.add(events(("u", "i", "like", 40 * day, None)))
    staging.flush()

    assert {month: len(files) for month, files in staging.files.items()} == {"2024-01": 1, "2024-02": 2}
    assert staging.n_rows == 3


def test_merge_sorts_by_time_user_item_and_type(tmp_path: Path):
    rows: list[Event] = [
        ("b", "1", "like", 1, None),
        ("a", "2", "like", 1, None),
        ("a", "1", "view", 1, 0.5),
        ("a", "1", "like", 1, None),
        ("z", "9", "view", 0, None),
    ]

    part = merged(tmp_path, events(*rows))

    assert pl.read_parquet(part).equals(events(*reversed(rows)))
    assert pl.read_parquet_schema(part) == schema.INTERACTIONS_SCHEMA


def test_merge_keeps_the_first_of_equal_events_and_what_was_there_before_all(tmp_path: Path):
    before = merged(tmp_path / "1", events(("u", "i", "rating", 1, 1.0)))
    rows = [("u", "i", "rating", 1, 2.0), ("u", "i", "rating", 2, 3.0), ("u", "i", "rating", 2, 4.0)]

    part = merged(tmp_path / "2", *(events(row) for row in rows), existing=before)

    assert pl.read_parquet(part)["value"].to_list() == [1.0, 3.0]


@pytest.mark.parametrize(("name", "sibling"), [("it's", "its"), ("a?", "ab"), ("a[1]", "a1"), ("a*", "abc")])
def test_merge_in_a_folder_named_like_a_glob_reads_that_folder_only(tmp_path: Path, name: str, sibling: str):
    merged(tmp_path / sibling / "1", events(("other", "i", "like", 1, None)))
    first = merged(tmp_path / name / "1", events(("u", "i", "like", 1, None)))

    part = merged(tmp_path / name / "2", events(("u", "i", "like", 2, None)), existing=first)

    assert pl.read_parquet(part, glob=False)["user_id"].to_list() == ["u", "u"]


def test_merge_never_writes_to_the_terminal(tmp_path: Path):
    merger = MonthMerger(tmp_path, memory_limit_mb=64, row_group_rows=4)

    asked = merger._database.execute("SELECT current_setting('enable_progress_bar')").fetchone()

    assert asked == (False,)  # a bar appears only after seconds of merging: too slow to cause here
    merger.close()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_merge_of_equal_events_gives_equal_bytes_in_any_order_and_split(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    users = st.sampled_from(["", "u", "user-2", "\u00fc"]).map(lambda text: f"x{text}")
    types = st.sampled_from(schema.INTERACTION_TYPES)
    values = st.none() | st.sampled_from([0.0, 0.5, 1.0])
    rows = data.draw(
        st.lists(
            st.tuples(users, users, types, st.integers(0, 3), values),
            min_size=1,
            max_size=30,
            unique_by=lambda row: row[:4],
        )
    )
    shuffled = data.draw(st.permutations(rows))
    cuts = [0, *sorted(data.draw(st.sets(st.integers(1, len(rows))))), len(rows)]
    folder = tmp_path_factory.mktemp("merge")

    whole = merged(folder / "whole", events(*rows), max_rows=1_000)
    split = merged(folder / "split", *(events(*shuffled[a:b]) for a, b in pairwise(cuts) if a < b))

    assert whole.read_bytes() == split.read_bytes()
