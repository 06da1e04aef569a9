import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from marquee.data.interactions import UNKNOWN_INDEX
from marquee.policy.eligibility import blocked_items
from tests.factories import histories

NAN = np.nan
RATED = np.array([6, 12, 18, NAN], np.float32)


def test_blocked_items_of_the_history_are_seen():
    blocked = blocked_items(histories([(1, 0), (3, 5)], ()), min_age=RATED)

    assert blocked.tolist() == [[False, True, False, True], [False] * 4]


def test_blocked_excluded_items_are_per_query():
    blocked = blocked_items(
        histories((), ()), min_age=RATED, excluded=[np.array([0, 2]), np.array([], np.int64)]
    )

    assert blocked.tolist() == [[True, False, True, False], [False] * 4]


def test_blocked_excluded_unknown_item_blocks_no_other():
    blocked = blocked_items(histories(()), min_age=RATED, excluded=[np.array([UNKNOWN_INDEX])])

    assert not blocked.any()


def test_blocked_limit_lets_through_up_to_its_age_and_fails_closed():
    limits = np.array([12, NAN, 0], np.float32)

    blocked = blocked_items(histories((), (), ()), min_age=RATED, maturity_limits=limits)

    assert blocked.tolist() == [
        [False, False, True, True],  # 6 and 12 pass; 18 and unrated don't
        [False, False, False, False],  # unlimited
        [True, True, True, True],
    ]


ages = st.one_of(st.just(NAN), st.integers(0, 21).map(float))


@given(limit=st.integers(0, 21), lower=st.integers(0, 21), min_age=st.lists(ages, min_size=1, max_size=8))
def test_blocked_lower_limit_never_shows_more(limit, lower, min_age):
    limits = np.array([limit, min(limit, lower)], np.float32)

    wide, narrow = blocked_items(
        histories((), ()), min_age=np.array(min_age, np.float32), maturity_limits=limits
    )

    assert not (wide & ~narrow).any()
    assert all(age <= limit for age, hidden in zip(min_age, wide, strict=True) if not hidden)
