import numpy as np

from marquee.candidates.matrix import history_matrix, user_item_matrix
from tests.factories import events, histories


def test_user_item_matrix_pair_that_occurs_twice_is_one():
    board = events(("a", "x", 1), ("a", "x", 2), ("b", "y", 3), users=["c"], items=["z"])

    matrix = user_item_matrix(board)

    assert matrix.toarray().tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert matrix.dtype == np.float32


def test_history_matrix_holds_recency_weights():
    asked = histories([(2, 1), (0, 2)], (), [(1, 5)])

    matrix = history_matrix(asked, 3, half_life_events=1)

    assert matrix.toarray().tolist() == [[1, 0, 0.5], [0, 0, 0], [0, 1, 0]]
    assert matrix.dtype == np.float32
