"""One row or many, online or offline: the same query."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee import schema
from marquee.data.histories import LabelledMoments, Queries
from marquee.data.interactions import UNKNOWN_INDEX, Ragged, Vocabulary
from marquee.errors import FeatureStoreError
from marquee.features.memory_reader import MemoryReader
from marquee.features.reader import USER_COLUMNS
from marquee.features.user_rows import COUNTS, queries_of, query_after, query_of, read_queries
from tests.factories import SECOND_US, events

NAN = float("nan")
ITEMS = Vocabulary.of(["a", "b", "c"])
NOW_US = 1000 * SECOND_US


def row(*history: tuple[str, int, float], **facts: float | None) -> dict[str, object]:
    """A row of the user views: events of (item, microseconds, value) and numbers; the rest is null."""
    empty = dict.fromkeys(USER_COLUMNS)
    if not history:
        return empty | facts
    items, times, values = (list(column) for column in zip(*history, strict=True))
    return empty | {
        schema.USER_HISTORY_ITEMS: items,
        schema.USER_HISTORY_TIMES: times,
        schema.USER_HISTORY_TYPES: [5] * len(items),
        schema.USER_HISTORY_VALUES: values,
        **facts,
    }


def together(*rows: dict[str, object]) -> Queries:
    """Asked by users 0, 1, … a second after each other."""
    return queries_of(
        pl.DataFrame(list(rows), schema=USER_COLUMNS),
        user_index=np.arange(len(rows), dtype=np.int32),
        time_us=NOW_US + SECOND_US * np.arange(len(rows)),
        items=ITEMS,
    )


def assert_same(one: Queries, other: Queries) -> None:
    """Equal to the last bit, and of the same types."""
    pairs = {
        name: (getattr(one, name), getattr(other, name)) for name in ("user_index", "time_us", "user_state")
    }
    for name in ("offsets", "item_index", "timestamp_us", "value"):
        pairs[name] = (getattr(one.histories, name), getattr(other.histories, name))
    for name, (left, right) in pairs.items():
        np.testing.assert_array_equal(left, right, strict=True, err_msg=name)


def test_history_leaves_out_the_items_that_the_model_lacks():
    found = together(
        row(("a", 1, 4.0), ("new", 2, 5.0), ("c", 3, NAN)), row(("new", 1, 1.0)), row(("b", 7, 2.0))
    )

    assert found.histories.offsets.tolist() == [0, 2, 2, 3]
    assert found.histories.item_index.tolist() == [0, 2, 1]
    assert found.histories.timestamp_us.tolist() == [1, 3, 7]
    np.testing.assert_array_equal(found.histories.value, np.array([4, NAN, 2], np.float32))


def test_row_of_nulls_has_counts_of_zero_and_nothing_else():
    found = together(row(), row(**{schema.USER_EVENTS_ALL: 3, schema.USER_AGE: 40.0}))

    state = {name: found.user_state[:, at].tolist() for at, name in enumerate(schema.USER_STATE)}
    assert {name: values[0] for name, values in state.items() if values[0] == 0} == dict.fromkeys(COUNTS, 0.0)
    assert all(np.isnan(values[0]) for name, values in state.items() if name not in COUNTS)
    assert (state[schema.USER_EVENTS_ALL][1], state[schema.USER_AGE][1]) == (3, 40)
    assert found.histories.lengths.tolist() == [0, 0]


def test_no_row_gives_no_query():
    found = together()

    assert len(found) == len(found.histories) == 0
    assert found.user_state.shape == (0, len(schema.USER_STATE))


def test_online_row_that_lacks_names_is_a_row_of_nulls():
    assert_same(query_of({}, time_us=NOW_US, items=ITEMS, user_index=0), together(row()))


histories = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", "new", "newer"]),
        st.integers(0, NOW_US),
        st.one_of(st.just(NAN), st.floats(0, 5, width=32)),
    ),
    max_size=6,
)
numbers = {
    name: st.none() | (st.integers(0, 2**40) if name in COUNTS else st.floats(0, 120, width=32))
    for name in schema.USER_STATE
}
rows_of_users = st.lists(
    st.builds(lambda history, facts: row(*history, **facts), histories, st.fixed_dictionaries(numbers)),
    max_size=5,
)


@pytest.mark.parametrize("name", [schema.USER_HISTORY_TIMES, schema.USER_HISTORY_VALUES])
def test_torn_row_is_an_error_that_says_how_long_its_lists_are(name):
    torn = row(("a", 1, 5.0), ("b", 2, 4.0))
    torn[name] = torn[name] * 2  # type: ignore[operator]

    with pytest.raises(FeatureStoreError, match=r"of 2 items has [24] times and [24] values"):
        query_of(torn, time_us=NOW_US, items=ITEMS)


@given(rows_of_users)
def test_rows_of_a_frame_and_rows_alone_give_the_same_queries(rows):
    found = together(*rows)

    for number, each in enumerate(rows):
        alone = query_of(each, time_us=NOW_US + SECOND_US * number, items=ITEMS, user_index=number)
        assert_same(found.take(np.array([number])), alone)


@given(st.lists(st.sampled_from(["a", "b", "c", "new"]), max_size=8))
def test_query_after_choices_equals_the_state_that_is_built_of_them(chosen):
    seconds = [NOW_US / SECOND_US - (len(chosen) - place) for place in range(len(chosen))]
    board = events(*(("u", item, at, None, "view") for item, at in zip(chosen, seconds, strict=True)))
    time_us = np.array([NOW_US], np.int64)

    found = query_after(chosen, time_us=NOW_US, items=ITEMS)

    rows = MemoryReader.of(board).users(pl.Series(["u"]), time_us)
    unknown = np.array([UNKNOWN_INDEX], np.int32)
    assert_same(found, queries_of(rows, user_index=unknown, time_us=time_us, items=ITEMS))


def test_query_after_asks_a_second_after_the_last_choice():
    found = query_after(["b", "a"], time_us=NOW_US, items=ITEMS)

    assert found.histories.item_index.tolist() == [1, 0]
    assert (NOW_US - found.histories.timestamp_us).tolist() == [2 * SECOND_US, SECOND_US]
    assert found.user_index.tolist() == [UNKNOWN_INDEX]


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_read_queries_asks_each_user_of_the_moments_and_keeps_their_answers(order):
    board = events(("u0", "a", 1, 5), ("u0", "b", 3, 4), ("u1", "c", 2, 3))
    moments = LabelledMoments(
        user_index=np.array([0, 0, 1], np.int32),
        time_us=np.array([1, 3, 2]) * SECOND_US,
        targets=Ragged.of([[1, 2], [2], [0]]),
    ).take(np.array(order))

    found = read_queries(moments, board, MemoryReader.of(board))

    expected = [([0], [1, 2]), ([0, 1], [2]), ([2], [0])]
    for place, number in enumerate(order):
        history = found.queries.histories.take(np.array([place]))
        assert (history.item_index.tolist(), found.targets[place].tolist()) == expected[number]
    np.testing.assert_array_equal(found.queries.time_us, moments.time_us)
    np.testing.assert_array_equal(found.queries.user_index, moments.user_index)
