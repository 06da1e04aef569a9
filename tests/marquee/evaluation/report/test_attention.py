import copy

import pytest

from marquee.evaluation.report.attention import Finding, findings
from marquee.evaluation.report.measured import Measured
from tests.marquee.evaluation.report.material import bounds, model_slice, run_metrics


def found(metrics: dict) -> list[Finding]:
    return findings(Measured.of(metrics))


@pytest.fixture
def metrics() -> dict:
    return copy.deepcopy(run_metrics())


def kinds(metrics: dict) -> list[tuple[str, str]]:
    return [(each.severity, each.kind) for each in found(metrics)]


def test_nothing_is_found_in_a_run_that_is_well(metrics):
    assert found(metrics) == []


def test_failed_check_of_the_gate_comes_first_with_its_reason(metrics):
    metrics["notes"] = ["publicity is hindsight"]
    metrics["gate"]["checks"].append({"name": "route", "passed": False, "reason": "It lost."})

    first, second = found(metrics)

    assert (first.severity, first.text, second.kind) == ("high", "It lost.", "hindsight")


@pytest.mark.parametrize(
    ("estimate", "expected"), [(-0.05, [("high", "worse")]), (0.01, [("moderate", "undecided")]), (0.05, [])]
)
def test_baseline_that_is_not_surely_beaten_is_found(metrics, estimate, expected):
    metrics["comparisons"]["two_stage"]["ease"]["ndcg@10"]["difference"] = bounds(estimate)

    assert kinds(metrics) == expected


@pytest.mark.parametrize(
    ("slicing", "popular", "expected"),
    [
        ("gender", 0.5, [("high", "slice")]),
        ("gender", 0.4, []),  # undecided is enough for a slice
        ("cold_users", 0.4, [("moderate", "newcomers")]),  # newcomers must gain
        ("new_items", 0.5, [("high", "slice")]),
        ("new_items", 0.3, []),
    ],
)
def test_slice_that_popular_serves_as_well_is_found(metrics, slicing, popular, expected):
    metrics["diagnosis"]["slices"] = [model_slice(slicing, "some", 50, 0.4, popular)]

    assert kinds(metrics) == expected


def test_higher_scores_that_are_chosen_less_are_found(metrics):
    metrics["diagnosis"]["ranker"]["reliability"].reverse()

    assert kinds(metrics) == [("moderate", "calibration")]


def test_few_queries_are_found(metrics):
    metrics["n_queries"] = 99

    assert kinds(metrics) == [("moderate", "few queries")]
