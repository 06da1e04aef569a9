import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.data.interactions import UNKNOWN_INDEX
from marquee.policy.eligibility import blocked_items, hidden_items
from marquee.policy.restrictions import Restrictions
from tests.factories import histories

NAN = np.nan
RATED = np.array([6, 12, 18, NAN], np.float32)


def test_blocked_items_of_the_history_are_seen():
    blocked = blocked_items(histories([(1, 0), (3, 5)], ()), min_age=RATED)

    assert blocked.tolist() == [[False, True, False, True], [False] * 4]


def test_blocked_excluded_items_are_per_query():
    unwanted = Restrictions(excluded=[np.array([0, 2]), np.array([], np.int64)])

    blocked = blocked_items(histories((), ()), min_age=RATED, restrictions=unwanted)

    assert blocked.tolist() == [[True, False, True, False], [False] * 4]


def test_blocked_excluded_unknown_item_blocks_no_other():
    unwanted = Restrictions(excluded=[np.array([UNKNOWN_INDEX])])

    blocked = blocked_items(histories(()), min_age=RATED, restrictions=unwanted)

    assert not blocked.any()


def test_blocked_limit_lets_through_up_to_its_age_and_fails_closed():
    limits = Restrictions(np.array([12, NAN, 0], np.float32))

    blocked = blocked_items(histories((), (), ()), min_age=RATED, restrictions=limits)

    assert blocked.tolist() == [
        [False, False, True, True],  # 6 and 12 pass; 18 and unrated don't
        [False, False, False, False],  # unlimited
        [True, True, True, True],
    ]


def test_hidden_items_do_not_depend_on_what_was_seen():
    restrictions = Restrictions(np.array([12], np.float32), [np.array([0])])

    hidden = hidden_items(1, min_age=RATED, restrictions=restrictions)
    blocked = blocked_items(histories([(1, 0)]), min_age=RATED, restrictions=restrictions)

    assert hidden.tolist() == [[True, False, True, True]]
    assert blocked.tolist() == [[True, True, True, True]]


@pytest.mark.parametrize(
    "too_few", [Restrictions(np.array([12], np.float32)), Restrictions(excluded=[np.array([0])])]
)
def test_hidden_items_with_restrictions_of_too_few_queries_are_refused(too_few):
    with pytest.raises(ValueError, match="of 1 queries for 2"):
        hidden_items(2, min_age=RATED, restrictions=too_few)


ages = st.one_of(st.just(NAN), st.integers(0, 21).map(float))


@given(limit=st.integers(0, 21), lower=st.integers(0, 21), min_age=st.lists(ages, min_size=1, max_size=8))
def test_blocked_lower_limit_never_shows_more(limit, lower, min_age):
    limits = Restrictions(np.array([limit, min(limit, lower)], np.float32))

    wide, narrow = blocked_items(
        histories((), ()), min_age=np.array(min_age, np.float32), restrictions=limits
    )

    assert not (wide & ~narrow).any()
    assert all(age <= limit for age, hidden in zip(min_age, wide, strict=True) if not hidden)
