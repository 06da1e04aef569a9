import numpy as np
import pytest

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

    assert matrix.to_csr().toarray().tolist() == [[1, 0, 0.5], [0, 0, 0], [0, 1, 0]]
    assert matrix.data.dtype == np.float32


@pytest.mark.parametrize("columns", [None, np.array([0, -1, 1], np.int32)], ids=["all", "some"])
def test_history_matrix_is_as_narrow_as_what_it_is_multiplied_with(columns):
    # With indexes of 64 bits scipy copies the whole of the other matrix for every product.
    matrix = history_matrix(histories([(2, 1), (0, 2)]), 3, half_life_events=1, columns=columns)

    assert (matrix.indices.dtype, matrix.indptr.dtype) == (np.int32, np.int32)
