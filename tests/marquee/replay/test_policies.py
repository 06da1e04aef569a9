"""When a replay trains."""

import pytest

from marquee.errors import ConfigError
from marquee.replay.policies import Policy, policies_of
from tests.marquee.replay.weeks import DAY_US


@pytest.mark.parametrize(
    ("name", "days", "drift", "expected"),
    [
        ("never", 100, True, False),
        ("timer:7d", 6, True, False),
        ("timer:7d", 7, False, True),
        ("timer:2w", 13, False, False),
        ("timer:2w", 14, False, True),
        ("drift", 100, False, False),
        ("drift", 0, True, True),
        ("drift+timer:2w", 13, False, False),
        ("drift+timer:2w", 14, False, True),
        ("drift+timer:2w", 1, True, True),
        ("every-window", 0, False, True),
    ],
)
def test_policy_wants_a_training_when_it_says_so(name: str, days: int, drift: bool, expected: bool):
    assert Policy.of(name).wants(now_us=days * DAY_US, trained_us=0, drift=drift) is expected


@pytest.mark.parametrize("text", ["timer", "timer:0d", "timer:7h", "drift+", "drift+never", "always", ""])
def test_policy_that_is_none_is_quoted(text: str):
    with pytest.raises(ConfigError) as caught:
        Policy.of(text)

    assert caught.value.problem == f"--policy = {text!r} is no policy."


def test_policies_named_twice_are_refused():
    with pytest.raises(ConfigError, match="names one twice"):
        policies_of(("drift", "drift"))
