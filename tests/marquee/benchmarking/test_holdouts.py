import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.benchmarking.holdouts import HoldoutConfig, hidden_share, holdouts, order_of, timeless
from marquee.data.literature_split import RandomSplit
from tests.factories import events


def _days(n_users=4, n_events=12):
    return events(
        *[(f"u{user}", f"i{(user + at) % 15:02}", at) for user in range(n_users) for at in range(n_events)]
    )


def _pairs(interactions):
    return set(zip(interactions.user_index.tolist(), interactions.item_index.tolist(), strict=True))


@given(share=st.sampled_from([0.1, 0.25, 0.5]), seed=st.integers(0, 20))
def test_random_holdouts_hide_each_event_at_most_once(share, seed):
    train = _days()

    found = list(holdouts(train, "random", share=share, config=HoldoutConfig(folds=4), seed=seed))

    hidden = [pair for each in found for pair in _pairs(each.hidden)]
    assert len(hidden) == len(set(hidden))
    assert len(found) == min(4, round(1 / share))


@given(order=st.sampled_from(["random", "time"]), seed=st.integers(0, 20))
def test_holdout_knows_nothing_that_it_hides(order, seed):
    for each in holdouts(_days(), order, share=0.25, config=HoldoutConfig(), seed=seed):
        assert not _pairs(each.known) & _pairs(each.hidden)
        assert each.known_share == len(each.known) / 48


def test_holdout_in_time_learns_from_no_later_event_of_its_user():
    train = _days()

    found = list(holdouts(train, "time", share=0.25, config=HoldoutConfig(folds=3), seed=1))

    # 12 events: 3 hidden at the end, then the 3 before, then the 3 before those.
    assert [sorted(set(each.hidden.timestamp_us // 10**6)) for each in found] == [
        [9, 10, 11],
        [6, 7, 8],
        [3, 4, 5],
    ]
    for each in found:
        assert each.known.timestamp_us.max() < each.hidden.timestamp_us.min()


def test_holdout_asks_nobody_without_a_known_event():
    train = events(("once", "a", 0), *[("often", item, at) for at, item in enumerate("abcd")])

    for each in holdouts(train, "random", share=0.5, config=HoldoutConfig(), seed=1):
        assert set(each.hidden.user_index) <= set(each.known.user_index)


def test_hidden_share_is_that_of_the_users_who_are_asked():
    train = events(*[("u", item, 0) for item in "abc"], *[("v", item, 0) for item in "abcde"], items=["z"])
    test = events(("u", "z", 0), users=["v"], items="abcde")

    assert hidden_share(RandomSplit(train, test)) == pytest.approx(1 / 4)


def test_order_is_time_only_where_the_test_comes_later():
    known = ("u", "a", 10), ("v", "a", 50)
    train = events(*known, items=["b"])
    later = events(("u", "b", 20), ("v", "b", 60), items=["a"])
    mixed = events(("u", "b", 5), ("v", "b", 60), items=["a"])

    assert order_of(RandomSplit(train, later)) == "time"
    assert order_of(RandomSplit(train, mixed)) == "random"
    assert order_of(RandomSplit(timeless(train), timeless(later))) == "random"


def test_timeless_events_are_all_peers():
    assert np.ptp(timeless(_days()).timestamp_us) == 0
