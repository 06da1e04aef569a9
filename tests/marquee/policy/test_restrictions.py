import numpy as np
import pytest

from marquee.policy.restrictions import Restrictions, strictest


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ((), None),
        ((None, None), None),
        ((float("nan"), None), None),
        ((12, None), 12),
        ((None, 7), 7),
        ((12, 7.0), 7),
        ((0, 18), 0),
        ((float("nan"), 18), 18),
    ],
)
def test_strictest_is_the_lowest_limit_that_is_known(limits, expected):
    assert strictest(*limits) == expected


@pytest.mark.parametrize(
    ("of_profile", "of_request", "expected"),
    [(12.0, None, 12), (None, 7, 7), (12.0, 7, 7), (7.0, 12, 7)],
)
def test_restrictions_of_a_request_take_the_stricter_limit(of_profile, of_request, expected):
    made = Restrictions.of_request({"user_maturity_limit": of_profile}, maturity_limit=of_request)

    assert made.maturity_limits is not None
    assert made.maturity_limits.tolist() == [expected]


def test_restrictions_of_a_request_without_any_limit_have_none():
    made = Restrictions.of_request({}, maturity_limit=None, excluded=np.array([3]))

    assert made.maturity_limits is None
    assert made.excluded is not None
    assert [items.tolist() for items in made.excluded] == [[3]]


def test_restrictions_of_a_block_are_those_of_its_queries():
    whole = Restrictions(np.array([7, 12, 18], np.float32), [np.array([0]), np.array([1]), np.array([2])])

    block = whole.block(slice(1, 3))

    assert block.maturity_limits is not None
    assert block.maturity_limits.tolist() == [12, 18]
    assert block.excluded is not None
    assert [items.tolist() for items in block.excluded] == [[1], [2]]
