"""A rollout as gauges."""

from collections.abc import Iterator
from datetime import datetime
from typing import get_args

from marquee.monitoring import gauges
from marquee.monitoring.canary_state import CanaryState, Phase
from marquee.monitoring.gauges import Reading


def readings(state: CanaryState, deployment: str, *, now: datetime) -> Iterator[Reading]:
    """Where the newest rollout of a deployment stands.

    Args:
        state: of the rollout.
        deployment: its name in the record.
        now: the present, with a zone.
    """
    # The new bundle is the only one after a promotion, and has nothing where it was taken back.
    percent = {"promoted": 100, "rolled_back": 0, "rolling_back": 0}.get(state.phase, state.current.percent)
    yield from gauges.CANARY_WEIGHT.at(percent / 100, deployment)
    yield from gauges.CANARY_PHASE.one_of(state.phase, get_args(Phase), deployment)
    yield from gauges.CANARY_FAILED.at(state.failed_checks, deployment)
    yield from gauges.CANARY_BLIND.at(state.missing_since is not None, deployment)
    yield from gauges.CANARY_STARTED.when(state.started_at, deployment)
    yield from gauges.CANARY_LAST_GOOD.when(state.last_good_at, deployment)
    yield from gauges.LAST_SUCCESS.when(now, f"canary:{deployment}")
