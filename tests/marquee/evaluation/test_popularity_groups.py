import numpy as np
import pytest

from marquee.evaluation.popularity_groups import N_GROUPS, group_shares, popularity_groups


def test_deciles_of_twenty_unequal_items_hold_two_each():
    counts = np.arange(20)[::-1]

    groups = popularity_groups(counts)

    assert groups.tolist() == [9, 9, 8, 8, 7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0]


def test_items_of_equal_popularity_share_the_decile_of_their_middle():
    groups = popularity_groups(np.array([0] * 8 + [5, 9]))

    assert groups.tolist() == [4] * 8 + [8, 9]  # middles at 4/10, 8.5/10, 9.5/10


def test_shares_count_places_and_leave_padding_out():
    groups = np.array([0, 9, 9])

    shares = group_shares(np.array([[0, 1], [2, -1]]), groups)

    assert (shares[0], shares[9]) == (pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert shares.sum() == pytest.approx(1)


def test_shares_of_nothing_are_undefined():
    assert np.isnan(group_shares(np.array([-1]), np.array([0]))).tolist() == [True] * N_GROUPS
