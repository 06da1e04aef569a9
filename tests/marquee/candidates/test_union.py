import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from marquee.candidates.union import BLOCK_CELLS, UnionConfig, query_blocks, retrieve, top_items
from marquee.data.interactions import UNKNOWN_INDEX

INF = np.inf


def retrieve_by(*tables, depth=2, blocked=None):
    shape = np.shape(tables[0])
    mask = np.zeros(shape, bool) if blocked is None else np.array(blocked)
    return retrieve(np.array(list(tables), np.float32), mask, UnionConfig(depth=depth))


def test_retrieve_is_the_union_of_each_route_described_by_all():
    found = retrieve_by([[8, 4, 2, 1]], [[-INF, 1, 0, 5]], depth=1)

    assert found.item_index.tolist() == [0, 3]  # the best of either route
    np.testing.assert_array_equal(
        found.route_values,
        # score, share of best, rank (depth + 1 = 2 below the best) of the one route, then the other
        [[8, 8 / 8, 1, np.nan, np.nan, 2], [1, 1 / 8, 2, 5, 5 / 5, 1]],
    )


def test_retrieve_blocked_item_is_never_proposed_nor_the_best():
    found = retrieve_by([[8, 4, 2, 1]], depth=2, blocked=[[True, False, False, False]])

    assert found.item_index.tolist() == [1, 2]
    assert found.route_values[:, 1].tolist() == [4 / 4, 2 / 4]


def test_retrieve_many_queries_keeps_each_with_its_own():
    found = retrieve_by([[3, 2, 1], [1, 2, 3], [-INF, -INF, -INF]], depth=1)

    assert found.offsets.tolist() == [0, 1, 2, 2]
    assert found.item_index.tolist() == [0, 2]
    assert found.row.tolist() == [0, 1]


def test_retrieve_route_that_scores_zero_all_over_proposes_nothing():
    # Its "best" two would be items 0 and 1, only because their index is low.
    found = retrieve_by([[0, 0, 0, -INF]], [[1, 2, 3, 4]], depth=2)

    assert found.item_index.tolist() == [2, 3]
    assert found.route_values[:, 2].tolist() == [3, 3]  # depth + 1: no rank from the silent route


def test_retrieve_route_whose_best_is_zero_proposes_where_it_has_scores_below():
    found = retrieve_by([[0, -1, -INF, -2], [0, 0, -INF, 0]], depth=2)

    assert found.offsets.tolist() == [0, 2, 2]  # the second query's scores are all alike
    np.testing.assert_array_equal(found.route_values, [[0, 0, 1], [-1, 0, 2]])  # no share of a best of 0


def test_retrieve_infinite_score_is_unknown_and_leaves_no_best_to_share():
    found = retrieve_by([[INF, 4, 2]], [[1, 2, 3]], depth=3)

    np.testing.assert_array_equal(found.route_values[:, 0], [np.nan, 4, 2])
    np.testing.assert_array_equal(found.route_values[:, 1], [0, 0, 0])
    np.testing.assert_array_equal(found.ranks, [[4, 3], [2, 2], [3, 1]])


def test_retrieve_everything_blocked_gives_no_candidate():
    found = retrieve_by([[1, 2]], blocked=[[True, True]])

    assert found.item_index.shape == (0,)
    assert found.route_values.shape == (0, 3)


def test_retrieve_negative_scores_share_is_of_the_best_ones_size():
    found = retrieve_by([[-2, -4]], depth=2)

    assert found.route_values[:, 1].tolist() == [-2 / 2, -4 / 2]


def brute_force(scores: np.ndarray, n: int) -> list[list[int]]:
    lists = []
    for row in scores:
        order = sorted(range(len(row)), key=lambda item: (-row[item], item))
        best = [item for item in order if np.isfinite(row[item])][:n]
        lists.append(best + [UNKNOWN_INDEX] * (n - len(best)))
    return lists


@given(
    scores=hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12),
        # Few values, so that ties are everywhere.
        elements=st.sampled_from([-INF, -1.0, 0.0, 0.5, 2.0]),
    ),
    n=st.integers(1, 15),
)
def test_top_items_equals_a_stable_sort(scores, n):
    lists = top_items(scores, n)

    assert lists.dtype == np.int32
    assert lists.tolist() == brute_force(scores, n)


@given(scores=hnp.arrays(np.float32, (3, 9), elements=st.integers(0, 4)), n=st.integers(1, 8))
def test_top_items_shorter_list_is_the_beginning_of_the_longer(scores, n):
    np.testing.assert_array_equal(top_items(scores, n), top_items(scores, 9)[:, :n])


def test_top_items_of_no_query_or_no_item_is_empty_or_padding():
    assert top_items(np.empty((0, 4), np.float32), 3).shape == (0, 3)
    assert top_items(np.empty((2, 0), np.float32), 3).tolist() == [[-1] * 3] * 2


@given(n_queries=st.integers(0, 50), n_items=st.integers(0, 2**23))
def test_query_blocks_cover_each_query_once_in_bounded_memory(n_queries, n_items):
    blocks = list(query_blocks(n_queries, n_items))

    assert [query for block in blocks for query in range(block.start, block.stop)] == list(range(n_queries))
    assert all((block.stop - block.start) * n_items <= max(BLOCK_CELLS, n_items) for block in blocks)
