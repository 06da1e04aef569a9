"""The decision: what comes first, and why."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.experiments.decision import DecisionConfig, decide
from marquee.experiments.guardrails import Guardrail, GuardrailLook
from marquee.experiments.sequential import Look
from marquee.experiments.srm import SampleRatio

LATENCY = Guardrail(metric="latency_ms", kind="quantile_ratio", limit=1.2)
CONFIG = DecisionConfig(success=("ctr", "watch_through"), guardrails=(LATENCY,), planned_users=1_000)
RIGHT = SampleRatio({"control": 50, "fresh": 50}, {"control": 50.0, "fresh": 50.0}, 0.0, 1, 1.0, False)
WRONG = SampleRatio({"control": 90, "fresh": 10}, {"control": 50.0, "fresh": 50.0}, 64.0, 1, 1e-15, True)


def seen(verdict: str) -> Look:
    return Look(0.1, 0.0, 0.2, 0.0, 0.02, 0.25, verdict)


def guard(status: str) -> GuardrailLook:
    return GuardrailLook("latency_ms", "quantile_ratio", 1.2, 100, 130, 1.3, 1.25, 1.35, status)


def decided(ctr="undecided", watch="undecided", latency="kept", *, ratio=RIGHT, n_users=500):
    looks = {"ctr": seen(ctr), "watch_through": seen(watch)}
    return decide(ratio, looks, [guard(latency)], config=CONFIG, n_users=n_users)


@pytest.mark.parametrize(
    ("situation", "action", "word"),
    [
        ({"ctr": "better", "ratio": WRONG}, "invalid", "control 90 instead of 50.0"),
        ({"ctr": "better", "latency": "broken"}, "stop", "latency_ms breaks its guardrail"),
        ({"ctr": "better", "watch": "worse"}, "stop", "watch_through is worse"),
        ({"ctr": "better"}, "ship", "all guardrails are kept: latency_ms"),
        ({"ctr": "better", "latency": "open"}, "continue", "not yet surely within its limit"),
        ({"ctr": "better", "latency": "too_early"}, "continue", "latency_ms is too early to judge"),
        ({"ctr": "too_early", "watch": "too_early"}, "continue", "too early"),
        ({}, "continue", "ctr is undecided"),
        ({"ctr": "harmless", "watch": "harmless", "n_users": 1_000}, "ship", "planned 1,000 users"),
        ({"ctr": "harmless", "watch": "harmless", "n_users": 999}, "continue", "harmless so far"),
        ({"ctr": "harmless", "watch": "undecided", "n_users": 1_000}, "continue", "undecided"),
        ({"ctr": "harmless", "watch": "harmless", "n_users": 1_000, "latency": "open"}, "continue", "surely"),
    ],
)
def test_decision_and_its_reason(situation, action, word):
    found = decided(**situation)

    assert found.action == action
    assert any(word in reason for reason in found.reasons)


def test_guardrail_that_was_not_measured_keeps_from_shipping():
    looks = {"ctr": seen("better"), "watch_through": seen("undecided")}

    found = decide(RIGHT, looks, [], config=CONFIG, n_users=500)

    assert (found.action, found.reasons[-1]) == ("continue", "latency_ms was not measured")


def test_success_metric_without_a_look_is_refused():
    with pytest.raises(ValueError, match="watch_through"):
        decide(RIGHT, {"ctr": seen("better")}, [], config=CONFIG, n_users=500)


verdicts = st.sampled_from(["too_early", "undecided", "better", "worse", "harmless"])


@given(verdicts, verdicts, st.sampled_from(["too_early", "broken", "kept", "open"]), st.booleans())
def test_nothing_is_shipped_with_harm_or_doubt(ctr, watch, latency, is_mismatch):
    found = decided(ctr, watch, latency, ratio=WRONG if is_mismatch else RIGHT, n_users=math.inf)

    assert found.reasons
    assert (found.action == "invalid") == is_mismatch
    if found.action == "ship":
        assert latency == "kept"
        assert "worse" not in {ctr, watch}
        assert "better" in {ctr, watch} or {ctr, watch} == {"harmless"}
