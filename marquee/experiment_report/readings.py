"""An experiment as gauges."""

from collections.abc import Iterator
from datetime import datetime
from math import isfinite
from typing import get_args

from marquee.experiment_report.analysis import ExperimentResult
from marquee.experiments.decision import Action
from marquee.monitoring import gauges
from marquee.monitoring.gauges import Reading


def readings(result: ExperimentResult, *, now: datetime) -> Iterator[Reading]:
    """Users, lifts with their always-valid intervals, and what is to be done.

    A lift or a bound that is not known yet is left out.

    Args:
        result: of the newest look.
        now: the present, with a zone.
    """
    name = result.name
    yield from gauges.SRM_P.at(result.ratio.p_value, name)
    for variant, users in result.ratio.observed.items():
        yield from gauges.EXPERIMENT_USERS.at(users, name, variant)
    for variant, found in result.treatments.items():
        yield from gauges.EXPERIMENT_ACTION.one_of(found.decision.action, get_args(Action), name, variant)
        for metric, comparison in found.comparisons.items():
            seen = found.looks[metric]
            for gauge, value in (
                (gauges.EXPERIMENT_LIFT, comparison.lift),
                (gauges.EXPERIMENT_LOW, seen.lift_low),
                (gauges.EXPERIMENT_HIGH, seen.lift_high),
            ):
                yield from gauge.at(value if isfinite(value) else None, name, metric, variant)
    yield from gauges.LAST_SUCCESS.when(now, f"experiment:{name}")
