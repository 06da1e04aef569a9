"""Distinct users of sliding windows, beside sets counted one by one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from marquee.candidates.window_users import distinct_users, user_item_pairs
from tests.factories import HOUR_S, SECOND_US, events

HOUR_US = HOUR_S * SECOND_US

drawn = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(0, 40)), min_size=1, max_size=30
)


def hours(*ends):
    return np.array(ends, np.int64) * HOUR_US


def board(rows):
    return events(*((user, item, hour * HOUR_S) for user, item, hour in rows), items="xyz")


@given(drawn, st.integers(1, 12))
def test_windows_hold_each_user_once_from_their_begin_to_before_their_end(rows, width):
    ends = range(45)

    found = distinct_users(board(rows), hours(*ends), width * HOUR_US)

    expected = [
        [len({user for user, one, at in rows if one == item and end - width <= at < end}) for end in ends]
        for item in "xyz"
    ]
    assert found.tolist() == expected


@given(drawn)
def test_pairs_are_the_sum_over_items(rows):
    ends = hours(*range(0, 45, 3))

    pairs = user_item_pairs(board(rows), ends, 6 * HOUR_US)

    np.testing.assert_array_equal(pairs, distinct_users(board(rows), ends, 6 * HOUR_US).sum(axis=0))


def test_rows_of_some_items_are_theirs_in_the_order_asked():
    rows = [("a", "x", 1), ("a", "z", 1), ("b", "z", 2)]

    found = distinct_users(board(rows), hours(3), 6 * HOUR_US, items=np.array([2, 0]))

    assert found.tolist() == [[2], [1]]


def test_no_event_counts_nobody():
    nothing = board([("a", "x", 1)]).take(np.zeros(1, bool))

    assert distinct_users(nothing, hours(1, 2), HOUR_US).tolist() == [[0, 0]] * 3
