"""When a replay trains."""

import pytest

from marquee.errors import ConfigError
from marquee.monitoring.drift_config import DriftPolicyConfig
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
        ("drift:alarms", 100, False, False),
        ("drift:alarms", 0, True, True),
        ("drift:20%+timer:2w", 14, False, True),
        ("drift:20%+timer:2w", 13, False, False),
        ("every-window", 0, False, True),
    ],
)
def test_policy_wants_a_training_when_it_says_so(name: str, days: int, drift: bool, expected: bool):
    assert Policy.of(name).wants(now_us=days * DAY_US, trained_us=0, drift=drift) is expected


@pytest.mark.parametrize(
    "text",
    [
        "timer",
        "timer:0d",
        "timer:7h",
        "drift+",
        "drift+never",
        "drift:",
        "drift:0%",
        "drift:20",
        "drift:20%+",
        "drift:alarms+drift",
        "always",
        "",
    ],
)
def test_policy_that_is_none_is_quoted(text: str):
    with pytest.raises(ConfigError) as caught:
        Policy.of(text)

    assert caught.value.problem == f"--policy = {text!r} is no policy."


@pytest.mark.parametrize(
    ("name", "growth"), [("drift", 0.3), ("drift:20%", 0.2), ("drift:alarms", None), ("drift:150%", 1.5)]
)
def test_policy_of_drift_refreshes_at_its_own_growth_or_at_the_configured(name: str, growth: float | None):
    configured = DriftPolicyConfig(refresh_growth=0.3, threshold=3.5)

    made = Policy.of(name).of_drift(configured)

    assert made == configured.model_copy(update={"refresh_growth": growth})


def test_policy_s_folder_needs_no_quotes():
    assert Policy.of("drift:20%+timer:2w").folder == "drift-20+timer-2w"


def test_policies_named_twice_are_refused():
    with pytest.raises(ConfigError, match="names one twice"):
        policies_of(("drift", "drift"))
