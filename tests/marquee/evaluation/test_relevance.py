import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.data.interactions import Ragged
from marquee.evaluation import relevance
from marquee.evaluation.relevance import as_lists, judge

ITEMS = st.lists(st.integers(0, 30), unique=True, max_size=8)
QUERIES = st.lists(st.tuples(ITEMS, ITEMS.filter(len)), min_size=1, max_size=9)


def test_judge_marks_targets_at_their_rank():
    lists = np.array([[4, 0, 7], [2, 1, -1]], dtype=np.int32)

    judged = judge(lists, Ragged.of([[7, 9], [2]]))

    assert judged.hit.tolist() == [[False, False, True], [True, False, False]]
    assert judged.n_relevant.tolist() == [2, 1]


def test_judge_padding_never_hits_the_last_item_of_the_query_before():
    lists = np.array([[-1, -1], [-1, 5]], dtype=np.int32)

    judged = judge(lists, Ragged.of([[5], [5]]))  # 5 is the highest index: its cell lies next to padding

    assert judged.hit.tolist() == [[False, False], [False, True]]


@given(QUERIES, st.integers(1, 100))
def test_judge_agrees_with_sets_however_small_the_table(queries, table_cells):
    lists = as_lists(Ragged.of([listed for listed, _ in queries]), 8)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(relevance, "_TABLE_CELLS", table_cells)  # many chunks
        judged = judge(lists, Ragged.of([wanted for _, wanted in queries]))

    expected = [
        [item in set(wanted) for item in row]
        for row, (_, wanted) in zip(lists.tolist(), queries, strict=True)
    ]
    assert judged.hit.tolist() == expected


@pytest.mark.parametrize(
    ("lists", "targets", "message"),
    [
        ([[1, 2]], [[1], [2]], "1 lists but targets for 2"),
        ([[1, 2], [1, 2]], [[1], []], "Query 1 has no target"),
        ([[1, 2]], [[1, 1]], "names one twice"),
        ([[1, 1]], [[1]], "must not repeat"),
        ([[1, 2]], [[-1]], "item indexes from 0"),
        ([[1, -2]], [[1]], "not -2"),
        ([1, 2], [[1], [2]], "2-D integer array, not 1-D"),
    ],
)
def test_judge_broken_input_is_refused(lists, targets, message):
    with pytest.raises(ValueError, match=message):
        judge(np.array(lists, dtype=np.int32), Ragged.of(targets))


def test_judge_scores_instead_of_items_are_refused():
    with pytest.raises(ValueError, match="float64"):
        judge(np.array([[0.5, 0.1]]), Ragged.of([[0]]))


def test_as_lists_short_rows_are_padded_and_long_ones_cut():
    lists = as_lists(Ragged.of([[3, 1, 2], [], [9]]), 2)

    assert lists.tolist() == [[3, 1], [-1, -1], [9, -1]]
    assert lists.dtype == np.int32
