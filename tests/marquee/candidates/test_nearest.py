import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from marquee.candidates import nearest
from marquee.candidates.nearest import ItemLikeness, item_blocks, keep_nearest
from tests.factories import histories


def likeness(rows, half_life_events=None):
    return ItemLikeness.of_rows([sp.csr_array(np.array(rows, np.float32))], len(rows), half_life_events)


def test_keep_nearest_keeps_the_largest_and_of_equals_the_lower_index():
    found = keep_nearest(np.array([[9, 2, 5, 2]], np.float32), np.array([0]), 2)

    assert found.toarray().tolist() == [[0, 2, 5, 0]]  # 9 is the item itself; of the 2s the first


def test_keep_nearest_keeps_no_zero():
    found = keep_nearest(np.array([[0, 0, 3]], np.float32), np.array([0]), 2)

    assert found.nnz == 1


@given(
    st.lists(st.lists(st.integers(0, 5), min_size=6, max_size=6), min_size=1, max_size=4), st.integers(1, 6)
)
def test_keep_nearest_never_drops_a_larger_entry_than_it_keeps(rows, n):
    whole = np.array(rows, np.float32)
    items = np.arange(len(rows))

    kept = keep_nearest(whole.copy(), items, n).toarray()

    whole[items, items] = 0
    for one, other in zip(kept, whole, strict=True):
        assert (one[one > 0] == other[one > 0]).all()
        assert np.count_nonzero(one) == min(n, np.count_nonzero(other))
        assert other[one == 0].max() <= min(one[one > 0], default=0)


@pytest.mark.parametrize("cells", [1, 7, 20, 1000])
def test_item_blocks_cover_all_items_once_in_order(monkeypatch, cells):
    monkeypatch.setattr(nearest, "BLOCK_CELLS", cells)

    assert np.concatenate(list(item_blocks(9))).tolist() == list(range(9))
    assert all(len(block) <= max(1, cells // 9) for block in item_blocks(9))


def test_of_rows_stacks_blocks_in_order():
    blocks = [sp.csr_array(np.array(rows, np.float32)) for rows in ([[0, 1, 0]], [[2, 0, 0], [0, 0, 3]])]

    assert ItemLikeness.of_rows(blocks, 3, None).matrix.toarray().tolist() == [
        [0, 1, 0],
        [2, 0, 0],
        [0, 0, 3],
    ]


def test_of_rows_of_nothing_is_empty():
    assert ItemLikeness.of_rows([], 0, None).matrix.shape == (0, 0)


def test_score_adds_likenesses_by_recency():
    items = likeness([[0, 4, 0], [0, 0, 2], [0, 0, 0]], half_life_events=1)

    # Item 0 is one event older than item 1: half its likeness to 1, the whole of 1's to 2.
    assert items.score(histories([(0, 1), (1, 2)])).tolist() == [[-np.inf, 2, 2]]


def test_similar_is_the_row_without_itself():
    assert likeness([[7, 4, 0], [0, 0, 2], [0, 0, 0]]).similar(0).tolist() == [-np.inf, 4, -np.inf]
