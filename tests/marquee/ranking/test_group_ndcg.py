import numpy as np
import pytest

from marquee.ranking.group_ndcg import GroupNdcg

LABELS = np.array([0, 1, 1, 0, 1, 0], np.int8)
SIZES = np.array([4, 2], np.int32)


def test_per_group_is_the_discounted_gain_over_the_ideal():
    metric = GroupNdcg.of(LABELS, SIZES, 2)

    found = metric.per_group(np.array([4.0, 3, 2, 1, 5, 6]))

    # First group: hits at place 2 of 2, two wanted. Second: one wanted, at place 2.
    second = 1 / np.log2(3)
    np.testing.assert_allclose(found, [second / (1 + second), second])
    assert metric(np.array([4.0, 3, 2, 1, 5, 6])) == pytest.approx(found.mean())


def test_per_group_of_the_labels_themselves_is_one():
    assert GroupNdcg.of(LABELS, SIZES, 10).per_group(LABELS.astype(float)).tolist() == [1, 1]


def test_per_group_nothing_wanted_in_the_cut_is_zero():
    assert GroupNdcg.of(LABELS, SIZES, 1).per_group(-LABELS.astype(float)).tolist() == [0, 0]
