"""The steps of a ramp, from the shares that were logged."""

import polars as pl
import pytest

from marquee import schema
from marquee.experiment_report.steps import find_steps


def logged(*rows: tuple[int, str, float]) -> pl.DataFrame:
    """Assignments of (second, variant, share), one request each."""
    plain = [
        (f"r{n}", second * 1_000_000, f"u{n}", "e", variant, share, False)
        for n, (second, variant, share) in enumerate(rows)
    ]
    raw = schema.ASSIGNMENTS_SCHEMA | {schema.TIMESTAMP: pl.Int64()}
    return pl.DataFrame(plain, schema=raw, orient="row").cast({schema.TIMESTAMP: schema.TIME_DTYPE})


def steps_of(ramp) -> list[int]:
    return ramp.assignments.sort("request_id")["step"].to_list()


def test_constant_shares_are_one_step():
    ramp = find_steps(logged((1, "a", 0.9), (2, "b", 0.1), (3, "a", 0.9)))

    assert ramp.steps == ({"a": 0.9, "b": 0.1},)
    assert steps_of(ramp) == [0, 0, 0]


def test_changed_shares_are_a_step_and_former_shares_the_former_one():
    ramp = find_steps(
        logged((1, "a", 0.9), (2, "b", 0.1), (3, "a", 0.5), (4, "b", 0.5), (5, "a", 0.9), (6, "b", 0.1))
    )

    assert ramp.steps == ({"a": 0.9, "b": 0.1}, {"a": 0.5, "b": 0.5})
    assert steps_of(ramp) == [0, 0, 1, 1, 0, 0]


def test_servers_that_learn_of_it_later_make_no_step():
    ramp = find_steps(
        logged(
            (1, "a", 0.9),
            (2, "b", 0.1),
            (3, "a", 0.5),
            (4, "b", 0.1),
            (5, "b", 0.5),
            (6, "a", 0.9),
            (7, "a", 0.5),
        )
    )

    assert len(ramp.steps) == 2
    assert steps_of(ramp) == [0, 0, 1, 0, 1, 0, 1]


def test_share_that_stays_while_others_change_belongs_to_its_time():
    ramp = find_steps(
        logged(
            (1, "a", 0.5), (2, "b", 0.25), (3, "c", 0.25),
            (4, "a", 0.4), (5, "b", 0.35), (6, "c", 0.25),
        )
    )  # fmt: skip

    assert ramp.steps == ({"a": 0.5, "b": 0.25, "c": 0.25}, {"a": 0.4, "b": 0.35, "c": 0.25})
    assert steps_of(ramp) == [0, 0, 0, 1, 1, 1]


def test_variant_that_nobody_met_takes_the_configured_shares():
    ramp = find_steps(logged((1, "a", 0.9), (2, "a", 0.9)), configured={"a": 0.9, "b": 0.1})

    assert ramp.steps == ({"a": 0.9, "b": 0.1},)
    assert steps_of(ramp) == [0, 0]


def test_log_without_the_missing_variant_and_without_a_file_has_what_it_shows():
    assert find_steps(logged((1, "a", 0.9))).steps == ({"a": pytest.approx(1.0)},)
