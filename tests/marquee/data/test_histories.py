import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from marquee.data.histories import LEAST_RECENCY, Histories, LabelledMoments
from marquee.data.interactions import Ragged
from tests.factories import events, histories, labelled, queries


def test_of_rows_gathers_each_history():
    board = events(("a", "x", 1, 5), ("b", "y", 2), ("a", "z", 3))

    found = Histories.of_rows(board, [np.array([0, 2]), np.array([], np.int64), np.array([1])])

    assert found.offsets.tolist() == [0, 2, 2, 3]
    assert found.item_index.tolist() == [0, 2, 1]
    assert found.row.tolist() == [0, 0, 2]
    assert found.lengths.tolist() == [2, 0, 1]
    assert found.last_us.tolist() == [3_000_000, 0, 2_000_000]


def test_events_since_counts_later_events_and_peers_are_alike():
    asked = histories([(0, 1), (1, 2), (2, 2), (3, 4)], [], [(5, 7), (6, 7)], [(7, 7)])

    # In the first history three events follow the first, one follows either peer, none the last.
    assert asked.events_since.tolist() == [3, 1, 1, 0, 0, 0, 0]


def test_recency_weights_halve_with_the_half_life_and_ties_share():
    asked = histories([(0, 1), (1, 2), (2, 2), (3, 4)])

    np.testing.assert_allclose(asked.recency_weights(1), [1 / 8, 1 / 2, 1 / 2, 1], rtol=1e-6)
    np.testing.assert_allclose(asked.recency_weights(2), [0.5**1.5, np.sqrt(0.5), np.sqrt(0.5), 1], rtol=1e-6)
    assert asked.recency_weights(None).tolist() == [1, 1, 1, 1]
    assert asked.recency_weights(1).dtype == asked.recency_weights(None).dtype == np.float32


def test_event_that_is_ten_half_lives_old_weighs_nothing_and_is_not_recent():
    asked = histories(
        [(item, item) for item in range(13)], [], [(1, 5), (2, 5)], [(3, second) for second in range(25)]
    )

    weights = asked.recency_weights(1)
    recent = asked.recent(1)

    # Of the first history ten events are later than the third, of the last one than the fifteenth.
    assert np.flatnonzero(weights[:13]).tolist() == list(range(2, 13))
    assert weights[2] == LEAST_RECENCY
    assert recent.lengths.tolist() == [11, 0, 2, 11]
    assert recent.item_index.tolist() == [*range(2, 13), 1, 2, *([3] * 11)]
    assert recent.recency_weights(1).tolist() == weights[weights > 0].tolist()
    assert recent.events_since.tolist() == asked.events_since[weights > 0].tolist()


def test_histories_of_which_every_event_counts_are_recent_as_they_are():
    asked = histories([(0, 1), (1, 2)])

    assert asked.recent(None) is asked.recent(5) is asked


def test_events_since_of_no_event_is_empty():
    assert histories().events_since.shape == (0,)
    assert histories([], []).recency_weights(3).shape == (0,)


times = st.lists(st.integers(0, 4), max_size=6).map(sorted)


@given(st.lists(times, max_size=5))
def test_events_since_equals_a_count_by_hand(rows):
    asked = histories(*([(0, time) for time in row] for row in rows))

    expected = [sum(later > time for later in row) for row in rows for time in row]

    assert asked.events_since.tolist() == expected


@given(st.lists(times, min_size=1, max_size=5).flatmap(
    lambda rows: st.tuples(st.just(rows), st.lists(st.integers(0, len(rows) - 1), max_size=6))
))  # fmt: skip
def test_take_gives_the_histories_in_the_order_asked_for(case):
    rows, wanted = case
    asked = histories(*([(number, time) for time in row] for number, row in enumerate(rows)))

    taken = asked.take(np.array(wanted, np.int64))

    assert taken.row.tolist() == [place for place, row in enumerate(wanted) for _ in rows[row]]
    assert taken.item_index.tolist() == [row for row in wanted for _ in rows[row]]
    assert taken.timestamp_us.tolist() == [time * 1_000_000 for row in wanted for time in rows[row]]


@given(st.lists(times, max_size=5), st.integers(0, 5), st.integers(0, 5))
def test_block_is_what_take_gives_of_its_rows(rows, start, n):
    asked = queries(*([(number, time) for time in row] for number, row in enumerate(rows)))
    stop = min(start + n, len(rows))
    start = min(start, stop)

    block, taken = asked.block(slice(start, stop)), asked.take(np.arange(start, stop))

    for name in ("user_index", "time_us", "user_state"):
        np.testing.assert_array_equal(getattr(block, name), getattr(taken, name))
    for name in ("offsets", "item_index", "timestamp_us", "value"):
        np.testing.assert_array_equal(getattr(block.histories, name), getattr(taken.histories, name))


def test_block_of_all_queries_remembers_what_was_found_out_of_them():
    asked = queries([(0, 1), (1, 2)], [(2, 3)])

    assert asked.block(slice(0, 2)) is asked


@given(st.lists(times, max_size=5), st.sampled_from([0.1, 1.0, 3.0, 1e9]))
def test_recency_weights_are_alike_alone_and_among_others(rows, half_life):
    asked = histories(*([(0, time) for time in row] for row in rows))

    alone = [asked.take(np.array([row])).recency_weights(half_life) for row in range(len(rows))]

    assert asked.recency_weights(half_life).tolist() == [weight for each in alone for weight in each]


def test_take_of_labelled_queries_keeps_question_and_answer_together():
    asked = labelled(queries([(0, 1)], [(1, 2), (2, 3)], users=[7, 8]), [5], [6, 4])

    taken = asked.take(np.array([1]))

    assert taken.queries.user_index.tolist() == [8]
    assert taken.queries.histories.item_index.tolist() == [1, 2]
    assert taken.targets[0].tolist() == [6, 4]


def test_joined_moments_come_by_user_and_time_and_each_once():
    first = LabelledMoments(np.array([2, 1], np.int32), np.array([5, 9]), Ragged.of([[7], [8, 3]]))
    second = LabelledMoments(np.array([1, 1], np.int32), np.array([4, 9]), Ragged.of([[2], [6]]))

    found = LabelledMoments.joined([first, second])

    assert [found.user_index.tolist(), found.time_us.tolist()] == [[1, 1, 2], [4, 9, 5]]
    assert [found.targets[row].tolist() for row in range(3)] == [[2], [8, 3], [7]]  # (1, 9) by the first part


def test_joined_of_no_moment_is_empty():
    none = LabelledMoments(np.empty(0, np.int32), np.empty(0, np.int64), Ragged.of([]))

    assert len(LabelledMoments.joined([none, none])) == 0
