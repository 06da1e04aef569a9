"""A drift decision as gauges."""

from datetime import UTC, datetime, timedelta

import polars as pl

from marquee.monitoring.decision import Decision, QualityFacts, WindowFacts, decide_on
from marquee.monitoring.drift_policy import DriftState
from marquee.monitoring.drift_readings import readings
from marquee.monitoring.omnibus import OMNIBUS
from marquee.monitoring.quality import QualityReport
from marquee.monitoring.signals import QUALITY, SIGNALS
from tests.marquee.monitoring.test_decision import made
from tests.marquee.monitoring.test_quality import BEGIN, events, look, users

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def of(decision: Decision, gate: QualityReport) -> dict[tuple[str, ...], float]:
    return {(each.gauge.name, *each.labels): each.value for each in readings(decision, gate, now=NOW)}


def test_window_is_drawn_with_its_signals_and_verdict():
    week_us = 6 * 24 * 3_600_000_000
    state = DriftState(
        bundle_id="b1", ordered_us=(10**15 - week_us,), cooldown_until_us=10**15, cooldown_left=3,
        quality_alarm=True,
    )  # fmt: skip
    drawn = of(made(quality_t=2.25, state=state), look({"users": users(), "interactions": events()}))

    assert {name[1] for name in drawn if name[0] == "marquee_drift_z"} == {*SIGNALS, OMNIBUS}
    assert drawn["marquee_drift_z", QUALITY] == 2.25 / 0.5
    assert [drawn["marquee_drift_decision", tier] for tier in "0ABC"] == [0.0, 1.0, 0.0, 0.0]
    assert drawn["marquee_drift_verdict", "report"] == 1.0  # the cooldown holds the training back
    assert sum(value for name, value in drawn.items() if name[0] == "marquee_drift_verdict") == 1.0
    assert (drawn["marquee_window_users",], drawn["marquee_calibration_users",]) == (80.0, 450.0)
    assert drawn["marquee_cooldown_until_timestamp_seconds",] == 1e9
    assert drawn["marquee_cooldown_windows",] == 2.0
    assert drawn["marquee_drift_retrains_of_week",] == 1.0
    assert drawn["marquee_drift_refresh_growth",] == 0.11
    assert ("marquee_data_growth",) not in drawn  # nobody knows what the model learned from
    assert drawn["marquee_last_success_timestamp_seconds", "drift"] == NOW.timestamp()


def test_growth_is_drawn_where_it_is_known():
    window = WindowFacts(
        window_id="w", ended_at_us=1, bundle_id="b", users=0, users_in_window=0, reference_users=0, pool=0,
        learned_events=400, known_events=500,
    )  # fmt: skip
    decision = decide_on(window, raw=None, null=None, state=DriftState())

    drawn = of(decision, look({"users": users(), "interactions": events()}))

    assert drawn["marquee_data_growth",] == 0.25
    assert drawn["marquee_drift_verdict", "refresh"] == 1.0


def test_gate_is_drawn_by_source():
    gone = users(age=pl.when(pl.int_range(pl.len()) < 25).then(None).otherwise(pl.col("age")))
    gate = look({"users": gone, "interactions": events(hours=1)}, {"users": users()})
    blocked = decide_on(
        WindowFacts(
            window_id="w", ended_at_us=1, bundle_id="", users=0, users_in_window=0, reference_users=0, pool=0
        ),
        raw=None, null=None, state=DriftState(), quality=QualityFacts(verdict=gate.verdict),
    )  # fmt: skip

    drawn = of(blocked, gate)

    assert [drawn["marquee_data_gate", each] for each in ("pass", "warn", "block")] == [0.0, 0.0, 1.0]
    assert drawn["marquee_null_share", "users", "age"] == 25 / 100
    assert drawn["marquee_data_gate_failed_checks", "users"] == 1.0
    assert drawn["marquee_window_rows", "interactions"] == 400.0
    newest = BEGIN + timedelta(hours=399)
    assert drawn["marquee_newest_row_timestamp_seconds", "interactions"] == newest.timestamp()
    assert drawn["marquee_drift_decision", "0"] == 1.0
    assert not [name for name in drawn if name[0] == "marquee_drift_z"]  # nothing was measured
    assert ("marquee_null_share", "interactions", "device") not in drawn  # a window does not read it
