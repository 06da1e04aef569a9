"""From logs to decisions: experiments whose answer is known."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from marquee import schema
from marquee.errors import ConfigError, NotEnoughDataError
from marquee.experiment_report.analysis import ReportConfig, analyse
from marquee.experiment_report.outcomes import experiment_tables
from marquee.experiment_report.sources import EventLog, ExposureLog, read_events, read_exposure_log
from marquee.experiment_report.steps import find_steps
from marquee.experiments.decision import DecisionConfig
from marquee.experiments.guardrails import DEFAULTS
from marquee.monitoring.exposure_frame import assignments_frame, to_frame
from marquee.monitoring.request_frame import requests_frame
from tests.marquee.experiment_report.made_logs import NAME, START, MadeLog, events_of, request

END = START + timedelta(hours=96)
LATENCY = DEFAULTS[0].model_copy(
    update={"limit": 1.5, "quantile": 0.95}
)  # within reach of a few thousand requests
FROM_LOGS = DecisionConfig(guardrails=(LATENCY, *DEFAULTS[1:3]))
CONFIG = ReportConfig(n_looks=3, decision=FROM_LOGS)


def log_of(*exposures) -> ExposureLog:
    return ExposureLog(to_frame(exposures), requests_frame(exposures), assignments_frame(exposures), {}, 0)


def judged(folder: Path, config: ReportConfig = CONFIG, **made):
    MadeLog(**made).write(folder)
    events = read_events(folder / "events.parquet", now=END, first=START - timedelta(days=28), until=None)
    return analyse(NAME, read_exposure_log(folder), events, until=END, config=config)


def tables_of(exposures, events, **more):
    log = log_of(*exposures)
    own = find_steps(log.assignments).assignments
    given = {"until": END, "window": timedelta(hours=24), "covariate": timedelta(days=28)} | more
    return experiment_tables(log, EventLog(events, "here", "0"), own, **given)


def test_users_have_the_sums_of_what_is_credited_to_them():
    exposures = [
        request(1, "ann", "control", START),
        request(2, "ann", "control", START + timedelta(hours=1)),
        request(3, "bob", "fresh", START, items=()),
    ]
    events = events_of(
        ("ann", "i1", "view", START - timedelta(days=1), 0.9),
        ("ann", "i9", "click", START - timedelta(days=40)),
        ("ann", "i1", "click", START + timedelta(minutes=5)),
        ("ann", "i2", "view", START + timedelta(minutes=65), 0.5),
        ("ann", "i9", "click", START + timedelta(minutes=66)),
    )

    tables = tables_of(exposures, events)

    assert tables.users.drop("step").rows(named=True) == [
        {
            "user_id": "ann", "variant": "control", "shown": 4, "clicks": 1, "engaged": 2,
            "views": 1, "watched": 0.5, "events": 2, "past_events": 1,
        },
        {
            "user_id": "bob", "variant": "fresh", "shown": 0, "clicks": 0, "engaged": 0,
            "views": 0, "watched": 0, "events": 0, "past_events": 0,
        },
    ]  # fmt: skip
    assert tables.requests["is_empty"].to_list() == [False, True, False]


def test_overrides_strangers_and_users_of_two_variants_are_left_out():
    exposures = [
        request(1, "ann", "control", START),
        request(2, "tester", "fresh", START, is_override=True),
        request(3, None, "fresh", START),
        request(4, "eve", "control", START),
        request(5, "eve", "fresh", START + timedelta(hours=1)),
        request(6, "bob", "fresh", START),
    ]

    tables = tables_of(exposures, events_of())

    assert tables.users["user_id"].to_list() == ["ann", "bob"]
    assert tables.n_crossed == 1
    assert dict(tables.arrivals.select("user_id", "variant").iter_rows()) == {
        "ann": "control", "eve": "control", "bob": "fresh",
    }  # fmt: skip


def test_young_requests_wait_for_their_outcomes():
    exposures = [
        request(1, "ann", "control", START),
        request(2, "ann", "control", START + timedelta(hours=2)),
    ]

    tables = tables_of(exposures, events_of(), until=START + timedelta(hours=25))

    assert tables.users["shown"].to_list() == [2]
    assert len(tables.requests) == 2


def test_policy_violations_are_items_above_a_profiles_limit_or_of_unknown_age():
    log = log_of(request(1, "kid", "fresh", START), request(2, "ann", "control", START))
    users = pl.DataFrame(
        {"user_id": ["kid", "ann"], "maturity_limit": [12, None]},
        schema_overrides={"maturity_limit": pl.Int16},
    )
    movies = pl.DataFrame({"item_id": ["i1"], "min_age": [12]}, schema_overrides={"min_age": pl.Int16})
    events = EventLog(events_of(), "here", "0", users=users, movies=movies)

    tables = experiment_tables(
        log, events, find_steps(log.assignments).assignments,
        until=END, window=timedelta(hours=24), covariate=timedelta(days=1),
    )  # fmt: skip

    assert dict(tables.requests.select("user_id", "policy_violations").iter_rows()) == {"kid": 1, "ann": 0}


def test_better_treatment_is_shipped(tmp_path: Path):
    found = judged(tmp_path, click={"control": 0.3, "fresh": 0.4}, users={"control": 1_500, "fresh": 1_500})

    fresh = found.treatments["fresh"]
    ctr = fresh.comparisons["ctr"]
    assert (ctr.n_control, ctr.n_treatment) == (1_500, 1_500)
    assert ctr.control == pytest.approx(0.3, abs=0.02)
    assert fresh.looks["ctr"].verdict == "better"
    assert {each.metric: each.status for each in fresh.guardrails}["latency_ms"] == "kept"
    assert fresh.decision.action == "ship", fresh.decision
    assert [past.n_users for past in fresh.history] == sorted(past.n_users for past in fresh.history)
    assert fresh.history[-1].lift == ctr.lift


def test_equal_treatment_goes_on(tmp_path: Path):
    found = judged(tmp_path, click={"control": 0.3, "fresh": 0.3}, users={"control": 400, "fresh": 400})

    assert found.treatments["fresh"].decision.action == "continue"
    assert not found.ratio.is_mismatch


def test_slow_treatment_is_stopped_though_it_is_better(tmp_path: Path):
    users = {"control": 1_500, "fresh": 1_500}
    found = judged(tmp_path, click={"control": 0.3, "fresh": 0.4}, users=users, slow={"fresh": 2.0})

    decision = found.treatments["fresh"].decision
    assert decision.action == "stop"
    assert "latency_ms" in decision.reasons[0]


def test_lost_users_make_it_invalid(tmp_path: Path):
    found = judged(tmp_path, click={"control": 0.3, "fresh": 0.4}, users={"control": 1_200, "fresh": 1_000})

    assert found.ratio.is_mismatch
    assert found.treatments["fresh"].decision.action == "invalid"


def test_guardrail_that_the_logs_do_not_have_waits(tmp_path: Path):
    config = ReportConfig(n_looks=0)
    users = {"control": 1_200, "fresh": 1_200}

    found = judged(tmp_path, config, click={"control": 0.3, "fresh": 0.4}, users=users)

    assert found.treatments["fresh"].decision.action == "continue"
    assert "policy_violations was not measured" in found.treatments["fresh"].decision.reasons


def test_third_variant_shares_alpha(tmp_path: Path):
    users = {"control": 300, "fresh": 300, "wild": 300}
    MadeLog(click=dict.fromkeys(users, 0.3), users=users).write(tmp_path / "three")
    log = read_exposure_log(tmp_path / "three")
    thirds = log.assignments.with_columns(pl.lit(1 / 3).alias(schema.PROPENSITY))
    events = read_events(tmp_path / "three" / "events.parquet", now=END, first=START, until=None)
    log = ExposureLog(log.shown, log.requests, thirds, log.files, 0)

    found = analyse(NAME, log, events, until=END, config=CONFIG)
    one = analyse(NAME, log, events, until=END, config=ReportConfig(n_looks=0, decision=FROM_LOGS.model_copy(
        update={"sequential": FROM_LOGS.sequential.model_copy(update={"alpha": 0.025})})))  # fmt: skip

    assert sorted(found.treatments) == ["fresh", "wild"]
    width = {
        each: found.treatments[each].looks["ctr"].high - found.treatments[each].looks["ctr"].low
        for each in ("fresh", "wild")
    }
    single = one.treatments["fresh"].looks["ctr"]
    assert width["fresh"] < single.high - single.low  # .05 / 2 against .025 / 2


def test_ramp_is_compared_step_by_step():
    exposures, number = [], 0
    for start, share in ((0, 0.25), (24, 0.5)):
        for user in range(40):
            number += 1
            is_fresh = user < 40 * share
            variant = "fresh" if is_fresh else "control"
            exposures.append(
                request(
                    number, f"{start}-{user}", variant, START + timedelta(hours=start, minutes=user),
                    share=share if is_fresh else 1 - share,
                )
            )  # fmt: skip
    # Everybody clicks on day one, nobody on day two, whatever they see; day one has less of fresh.
    events = events_of(
        *((f"0-{user}", "i1", "click", START + timedelta(minutes=user + 1)) for user in range(0, 40, 2))
    )
    config = ReportConfig(n_looks=0, decision=FROM_LOGS)

    found = analyse(NAME, log_of(*exposures), EventLog(events, "here", "0"), until=END, config=config)

    assert len(found.steps) == 2
    assert found.treatments["fresh"].comparisons["ctr"].difference == pytest.approx(0)
    assert not found.ratio.is_mismatch
    assert any("2 steps" in note for note in found.notes)


@pytest.mark.parametrize(
    ("name", "config", "error", "word"),
    [
        ("unknown", CONFIG, NotEnoughDataError, "logged are: fresh-ranker"),
        (NAME, ReportConfig(control="nobody"), ConfigError, "control, fresh"),
        (NAME, ReportConfig(decision=DecisionConfig(success=("money",))), ConfigError, "money"),
    ],
)
def test_what_does_not_exist_is_named(name, config, error, word):
    log = log_of(request(1, "ann", "control", START), request(2, "bob", "fresh", START))

    with pytest.raises(error, match=word):
        analyse(name, log, EventLog(events_of(), "here", "0"), until=END, config=config)


def test_experiment_with_one_variant_is_no_experiment():
    log = log_of(request(1, "ann", "control", START))

    with pytest.raises(NotEnoughDataError, match="only the variant 'control'"):
        analyse(NAME, log, EventLog(events_of(), "here", "0"), until=END, config=CONFIG)
