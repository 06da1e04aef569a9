import numpy as np

from marquee import schema
from marquee.data.interactions import UNKNOWN_INDEX
from marquee.policy.minimum_history import without_short_histories
from tests.factories import queries

ASKED = queries([(0, 5), (3, 9)], [(1, 2)], [], users=[2, 5, -1], **{schema.USER_AGE: [30, 40, np.nan]})


def test_short_histories_are_asked_by_nobody():
    nobody = queries([]).user_state[0]

    answered = without_short_histories(ASKED, 2)

    assert answered.user_index.tolist() == [2, UNKNOWN_INDEX, UNKNOWN_INDEX]
    assert answered.histories.lengths.tolist() == [2, 0, 0]
    assert answered.histories.item_index.tolist() == [0, 3]
    assert answered.histories.timestamp_us.tolist() == [5_000_000, 9_000_000]
    np.testing.assert_array_equal(answered.time_us, ASKED.time_us)
    np.testing.assert_array_equal(answered.user_state[0], ASKED.user_state[0])
    age = schema.USER_STATE.index(schema.USER_AGE)
    assert np.isnan(answered.user_state[1, age])
    assert answered.user_state[1, schema.USER_STATE.index(schema.USER_EVENTS_ALL)] == nobody[0] == 0


def test_short_histories_in_the_middle_leave_their_neighbours_whole():
    asked = queries([(0, 1), (1, 2)], [(2, 3)], [(4, 4), (5, 5)])

    answered = without_short_histories(asked, 2)

    assert answered.histories.offsets.tolist() == [0, 2, 2, 4]
    assert answered.histories.item_index.tolist() == [0, 1, 4, 5]


def test_no_minimum_leaves_the_queries_alone():
    assert without_short_histories(ASKED, 0) is ASKED
