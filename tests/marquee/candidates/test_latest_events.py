import numpy as np

from marquee.candidates.latest_events import latest_of_each_user, latest_users
from tests.factories import events

BOARD = events(("a", "x", 1), ("b", "x", 2), ("a", "y", 3), ("a", "z", 5), ("c", "x", 4))


def named(interactions, mask):
    kept = interactions.take(mask)
    users, items = interactions.users.decode(kept.user_index), interactions.items.decode(kept.item_index)
    return {user + item for user, item in zip(users, items, strict=True)}


def test_latest_of_each_user_keeps_the_newest_of_each():
    assert named(BOARD, latest_of_each_user(BOARD, 2)) == {"ay", "az", "bx", "cx"}


def test_latest_of_each_user_tie_at_the_boundary_keeps_lower_items():
    board = events(("a", "z", 1), ("a", "y", 1), ("a", "x", 2))

    assert named(board, latest_of_each_user(board, 2)) == {"ax", "ay"}


def test_latest_of_each_user_more_than_there_are_keeps_all():
    assert latest_of_each_user(BOARD, 9).all()


def test_latest_users_are_those_active_last():
    assert latest_users(BOARD, 2).tolist() == [True, False, True]


def test_latest_of_no_event_is_nothing():
    empty = BOARD.take(np.zeros(len(BOARD), bool))

    assert latest_of_each_user(empty, 2).tolist() == []
