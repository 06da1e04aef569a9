"""A drift decision and its data gate as gauges."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, get_args

from marquee import schema
from marquee.monitoring import drift_policy, gauges, quality
from marquee.monitoring.decision import Decision
from marquee.monitoring.gauges import Reading
from marquee.monitoring.quality import QualityReport

TIERS: Final = ("0", "A", "B", "C")
"""Of the policy."""
_UNREAD: Final = frozenset(schema.INTERACTIONS_SCHEMA) - {*schema.REQUIRED_COLUMNS, schema.VALUE}
"""Columns of events that a window does not read, so that they look null."""


def readings(decision: Decision, gate: QualityReport, *, now: datetime) -> Iterator[Reading]:
    """What the newest window showed and led to.

    Args:
        decision: of the window.
        gate: what the data gate saw of the same window.
        now: the present, with a zone.
    """
    outcome, state = decision.outcome, decision.state_after
    for name, z in decision.z.items():
        yield from gauges.DRIFT_Z.at(z, name)
    yield from gauges.DRIFT_THRESHOLD.at(decision.policy.threshold)
    yield from gauges.DRIFT_DECISION.one_of(outcome.tier, TIERS)
    yield from gauges.DRIFT_VERDICT.one_of(outcome.verdict, get_args(drift_policy.Verdict))
    yield from gauges.WINDOW_USERS.at(decision.window.users)
    yield from gauges.CALIBRATION_USERS.at(decision.window.pool)
    yield from gauges.COOLDOWN_UNTIL.at(state.cooldown_until_us / 1e6)
    yield from gauges.COOLDOWN_WINDOWS.at(state.cooldown_left)
    yield from gauges.RETRAINS.at(len(state.ordered_us))
    yield from gauges.DATA_GROWTH.at(decision.observation.growth)
    yield from gauges.REFRESH_GROWTH.at(decision.policy.refresh_growth)
    yield from _gate(gate)
    yield from gauges.LAST_SUCCESS.when(now, "drift")


def _gate(gate: QualityReport) -> Iterator[Reading]:
    yield from gauges.DATA_GATE.one_of(gate.verdict, get_args(quality.Verdict))
    for source, found in gate.profile.sources.items():
        yield from gauges.ROWS.at(found.rows, source)
        yield from gauges.FAILED_CHECKS.at(sum(each.source == source for each in gate.failed), source)
        if found.newest_us is not None:
            yield from gauges.NEWEST_ROW.when(datetime.fromtimestamp(found.newest_us / 1e6, UTC), source)
        for column, facts in found.columns.items():
            if source == schema.INTERACTIONS and column in _UNREAD:
                continue
            yield from gauges.NULL_SHARE.at(facts.null_share, source, column)
