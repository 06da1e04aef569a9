"""A rollout as gauges."""

import pytest

from marquee.monitoring.canary_readings import readings
from marquee.monitoring.canary_state import CanaryState
from tests.marquee.monitoring.canary_factory import NOW, at_step, minutes


def of(state: CanaryState) -> dict[tuple[str, ...], float]:
    found = readings(state, "movies", now=NOW + minutes(5))
    return {(each.gauge.name, *each.labels): each.value for each in found}


@pytest.mark.parametrize(
    ("phase", "weight"),
    [("stepping", 0.05), ("promoting", 0.05), ("promoted", 1.0), ("rolling_back", 0.0), ("rolled_back", 0.0)],
)
def test_weight_and_phase_are_those_of_the_rollout(phase: str, weight: float):
    state = at_step(2, phase=phase, failed_checks=1)
    assert state.current.percent == 5

    drawn = of(state)

    assert drawn["marquee_canary_weight", "movies"] == weight
    assert [name[2] for name, value in drawn.items() if name[0] == "marquee_canary_phase" and value] == [
        phase
    ]
    assert drawn["marquee_canary_failed_checks", "movies"] == 1.0
    assert drawn["marquee_last_success_timestamp_seconds", "canary:movies"] == (NOW + minutes(5)).timestamp()


def test_missing_metrics_and_good_looks_are_moments():
    good, blind = of(at_step(1, last_good_at=NOW)), of(at_step(1, missing_since=NOW))

    assert good["marquee_canary_last_good_timestamp_seconds", "movies"] == NOW.timestamp()
    assert ("marquee_canary_last_good_timestamp_seconds", "movies") not in blind
    assert [each["marquee_canary_metrics_missing", "movies"] for each in (good, blind)] == [0.0, 1.0]
