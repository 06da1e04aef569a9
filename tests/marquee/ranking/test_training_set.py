import numpy as np
import pytest

from marquee.candidates.union import Candidates
from marquee.errors import NotEnoughDataError
from marquee.ranking.ranker import TrainingSet
from marquee.ranking.training_set import join_blocks, label_block
from tests.factories import labelled, queries

NAMES = ("item",)


def proposer(*lists):
    """Proposes the given items; the only feature is the item's index, plus 100 per query."""

    def propose(asked):
        sizes = [len(items) for items in lists]
        flat = np.array([item for items in lists for item in items], np.int32)
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        candidates = Candidates(offsets, flat, np.zeros((len(flat), 0), np.float32))
        feature = flat + 100.0 * candidates.row
        return candidates, feature[:, np.newaxis].astype(np.float32)

    return propose


def block(lists, targets, *, seed=0, **more):
    return label_block(
        labelled(queries(*([()] * len(lists))), *targets),
        proposer(*lists),
        feature_names=NAMES,
        rng=np.random.default_rng(seed),
        **more,
    )


def by_feature(training):
    return dict(zip(training.features[:, 0].tolist(), training.labels.tolist(), strict=True))


def test_label_block_marks_what_was_then_consumed():
    found = block([[1, 2, 5], [2, 3]], [[5, 9], [2]])

    # Item 9 was never proposed; item 2 is a hit of query 1 only.
    assert by_feature(found) == {1: 0, 2: 0, 5: 1, 102: 1, 103: 0}
    assert found.group_sizes.tolist() == [3, 2]
    assert found.labels.dtype == np.int8
    assert found.group_sizes.dtype == np.int32


def test_label_block_target_of_another_query_is_no_hit():
    # Indexes far apart: the pairs (0, 7) and (1, 0) must not be taken for one another.
    found = block([[0, 7], [0, 7]], [[7], [0]])

    assert by_feature(found) == {0: 0, 7: 1, 100: 1, 107: 0}


def test_label_block_query_without_hit_is_dropped():
    found = block([[1, 2], [3, 4, 5], [6]], [[1], [9], [6]])

    assert by_feature(found) == {1: 1, 2: 0, 206: 1}
    assert found.group_sizes.tolist() == [2, 1]


def test_label_block_query_without_candidate_is_dropped():
    found = block([[], [3]], [[1], [3]])

    assert found.group_sizes.tolist() == [1]


def test_label_block_rows_are_shuffled_within_their_query_only():
    lists = [list(range(30)), list(range(30))]
    found = block(lists, [[0], [1]])

    first, second = found.features[:30, 0], found.features[30:, 0]

    assert sorted(first) == list(range(30))
    assert sorted(second) == [100 + item for item in range(30)]
    assert list(first) != sorted(first)
    assert list(first) != list(second - 100)


def test_label_block_same_generator_gives_the_same_rows():
    one, again, other = (block([list(range(30))], [[0]], seed=seed) for seed in (1, 1, 2))

    np.testing.assert_array_equal(one.features, again.features)
    assert not np.array_equal(one.features, other.features)


def test_join_blocks_keeps_the_groups_in_order():
    one, two = block([[1, 2]], [[1]]), block([[3], [4, 5]], [[3], [5]])
    empty = block([[1]], [[2]])

    joined = join_blocks([one, empty, two])

    assert joined.group_sizes.tolist() == [2, 1, 2]
    np.testing.assert_array_equal(joined.features, np.concatenate([one.features, two.features]))
    assert int(joined.group_sizes.sum()) == len(joined.labels) == len(joined.features)
    assert joined.feature_names == NAMES


@pytest.mark.parametrize("blocks", [[], [block([[1]], [[2]])]])
def test_join_blocks_without_a_row_is_refused(blocks: list[TrainingSet]):
    with pytest.raises(NotEnoughDataError):
        join_blocks(blocks)


def test_label_block_keeps_all_hits_and_only_so_many_of_the_others():
    found = block([range(8), range(3), range(5)], [[1, 6], [2], [9]], max_passed_over=3)

    # 2 hits and 3 of 6 others; 1 hit and all of 2 others; the third query has no hit.
    assert found.group_sizes.tolist() == [5, 3]
    labels = by_feature(found)
    assert [labels[item] for item in (1, 6, 102)] == [1, 1, 1]
    assert sum(label == 0 for item, label in labels.items() if item < 100) == 3
    assert {item for item in labels if item >= 100} == {100, 101, 102}


def test_label_block_which_others_are_kept_is_chance():
    kept = {
        frozenset(by_feature(block([range(20)], [[0]], seed=seed, max_passed_over=4))) for seed in range(5)
    }

    assert len(kept) == 5


def test_label_block_limit_that_is_not_reached_changes_nothing():
    lists, targets = [[1, 2, 5], [2, 3]], [[5, 9], [2]]

    limited, whole = block(lists, targets, max_passed_over=3), block(lists, targets)

    np.testing.assert_array_equal(limited.features, whole.features)
    np.testing.assert_array_equal(limited.labels, whole.labels)
