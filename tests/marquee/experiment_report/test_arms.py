"""Tables as arms: mixes of steps made equal, and what can't be measured."""

from datetime import timedelta

import polars as pl
import pytest

from marquee.errors import ConfigError
from marquee.experiment_report.analysis import ReportConfig, analyse
from marquee.experiment_report.arms import compare_metric, compare_share, durations
from marquee.experiment_report.sources import EventLog, ExposureLog
from marquee.experiments.decision import DecisionConfig
from marquee.experiments.guardrails import Guardrail
from marquee.monitoring.exposure_frame import assignments_frame, to_frame
from marquee.monitoring.request_frame import requests_frame
from tests.marquee.experiment_report.made_logs import NAME, START, events_of, request


def test_durations_of_the_control_weigh_as_the_treatments_steps():
    control = pl.DataFrame(
        {"latency_ms": [1.0, 1.0, 1.0, 9.0, 5.0], "user": [1, 2, 3, 4, 5], "step": [0, 0, 0, 1, 2]}
    )
    treatment = pl.DataFrame({"latency_ms": [1.0, 9.0, 9.0], "user": [6, 7, 8], "step": [0, 1, 1]})

    own, other = durations([control, treatment], "latency_ms")

    assert own.value.tolist() == [1, 1, 1, 9]  # step 2 has no treatment to compare with
    assert own.weight is not None
    assert own.weight.tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 2])
    assert other.value.tolist() == [1, 9, 9]


def users(*rows: tuple[str, int, str, float, float]) -> pl.DataFrame:
    """Rows of (user, step, variant, clicks, shown); no past."""
    names = ["user_id", "step", "variant", "clicks", "shown"]
    return pl.DataFrame(rows, schema=names, orient="row").with_columns(past_events=0.0)


def test_metric_is_compared_in_steps_that_have_both_arms():
    table = users(
        ("a", 0, "control", 1, 2), ("b", 0, "control", 0, 2),
        ("c", 0, "fresh", 2, 2), ("d", 0, "fresh", 1, 2),
        ("e", 1, "control", 9, 9), ("f", 1, "control", 9, 9), ("g", 1, "fresh", 0, 9),
    )  # fmt: skip

    found = compare_metric(table, "ctr", ("control", "fresh"))

    assert found is not None
    assert (found.control, found.treatment, found.n_steps) == (1 / 4, 3 / 4, 1)


def test_metric_without_anything_to_divide_by_is_none():
    nothing = users(*((name, 0, arm, 0, 0) for name, arm in (("a", "x"), ("b", "x"), ("c", "y"), ("d", "y"))))

    assert compare_metric(nothing, "ctr", ("x", "y")) is None
    assert compare_metric(nothing[:2], "ctr", ("x", "y")) is None


def test_share_of_requests_has_the_user_as_its_unit():
    rows = pl.DataFrame(
        {
            "user": [1, 1, 2, 3, 4], "step": 0, "variant": ["x", "x", "x", "y", "y"],
            "is_degraded": [True, True, False, False, True],
        }
    )  # fmt: skip

    found = compare_share(rows, "is_degraded", ("x", "y"))

    assert found is not None
    assert (found.control, found.treatment) == (2 / 3, 1 / 2)
    assert (found.n_control, found.n_treatment) == (2, 2)


def analysed(config: ReportConfig):
    exposures = [
        request(n, f"u{n}", "control" if n % 2 else "fresh", START + timedelta(minutes=n)) for n in range(8)
    ]
    log = ExposureLog(to_frame(exposures), requests_frame(exposures), assignments_frame(exposures), {}, 0)
    until = START + timedelta(hours=1)
    return analyse(NAME, log, EventLog(events_of(), "here", "0"), until=until, config=config)


def test_experiment_without_mature_requests_is_too_early_and_has_guardrails():
    found = analysed(ReportConfig()).treatments["fresh"]

    assert found.comparisons == {}
    assert {each.metric: each.status for each in found.guardrails} == {
        "latency_ms": "too_early", "degraded": "too_early", "empty": "too_early",
    }  # fmt: skip
    assert (found.decision.action, found.history) == ("continue", ())


def test_guardrail_that_no_log_measures_is_refused():
    taste = Guardrail(metric="good_taste", kind="increase", limit=0.1)

    with pytest.raises(ConfigError, match="good_taste"):
        analysed(ReportConfig(decision=DecisionConfig(guardrails=(taste,))))
