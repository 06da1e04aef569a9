"""A history in a request becomes what the builder of the feature state makes of the same events."""

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from marquee import schema
from marquee.data.histories import Queries
from marquee.data.interactions import UNKNOWN_INDEX, Vocabulary
from marquee.features.given_history import activity_after
from marquee.features.memory_reader import MemoryReader
from marquee.features.user_rows import queries_of, query_after, query_of
from tests.factories import SECOND_US, events

NOW_US = 10_000 * SECOND_US
ITEMS = Vocabulary.of(["a", "b", "c", *(f"i{number:04}" for number in range(1300))])


def built(chosen: list[str]) -> pl.DataFrame:
    """The row that the state's builder has at the request, of one user who viewed these."""
    seconds = [NOW_US / SECOND_US - (len(chosen) - place) for place in range(len(chosen))]
    board = events(*(("u", item, at, None, "view") for item, at in zip(chosen, seconds, strict=True)))
    return MemoryReader.of(board).users(pl.Series(["u"]), np.array([NOW_US], np.int64))


def query_built(chosen: list[str]) -> Queries:
    unknown, time_us = np.array([UNKNOWN_INDEX], np.int32), np.array([NOW_US], np.int64)
    return queries_of(built(chosen), user_index=unknown, time_us=time_us, items=ITEMS)


def assert_same(one: Queries, other: Queries) -> None:
    """Equal to the last bit, and of the same types."""
    for name in ("user_index", "time_us", "user_state"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), strict=True, err_msg=name)
    for name in ("offsets", "item_index", "timestamp_us", "value"):
        left, right = getattr(one.histories, name), getattr(other.histories, name)
        np.testing.assert_array_equal(left, right, strict=True, err_msg=name)


@settings(max_examples=60)
@given(st.lists(st.sampled_from(["a", "b", "c", "new", "newer", ""]), max_size=12))
@example([])
@example(["a", "a", "a"])
@example(["a", "b", "a"])
@example(["new"])
def test_activity_after_choices_is_the_row_that_the_builder_makes(chosen):
    row = activity_after(chosen, time_us=NOW_US)

    assert_same(query_of(row, time_us=NOW_US, items=ITEMS), query_built(chosen))
    assert_same(query_after(chosen, time_us=NOW_US, items=ITEMS), query_built(chosen))


@pytest.mark.parametrize("n", [999, 1000, 1001, 1300])
def test_activity_after_more_than_a_history_holds_keeps_the_newest_and_counts_all(n):
    chosen = [f"i{number:04}" for number in range(n)] + ["i0000"]  # a repeat counts as its first choice

    row = activity_after(chosen, time_us=NOW_US)

    assert_same(query_of(row, time_us=NOW_US, items=ITEMS), query_built(chosen))
    assert row[schema.USER_EVENTS_ALL] == n
    kept = chosen[max(n - schema.HISTORY_WIDTH, 0) : n]
    assert row[schema.USER_HISTORY_ITEMS] == kept
    assert row[schema.USER_HISTORY_TIMES][-1] == NOW_US - 2 * SECOND_US


def test_activity_after_two_choices_in_plain_numbers():
    row = activity_after(["b", "a", "b"], time_us=NOW_US)

    assert row[schema.USER_HISTORY_ITEMS] == ["b", "a"]
    assert row[schema.USER_HISTORY_TIMES] == [NOW_US - 3 * SECOND_US, NOW_US - 2 * SECOND_US]
    assert np.isnan(row[schema.USER_HISTORY_VALUES]).tolist() == [True, True]
    assert {row[name] for name in (schema.USER_EVENTS_ALL, schema.USER_EVENTS_1H)} == {2}
    assert row[schema.USER_RATINGS_ALL] == 0


def test_activity_after_nothing_is_nothing():
    assert activity_after([], time_us=NOW_US) == {}
