import dataclasses
import json
import re

import numpy as np
import pytest
from pydantic import ValidationError

from marquee.evaluation.gate import CutConfig, GateConfig, GateDecision, choose_best_route, decide
from marquee.evaluation.per_query import PerQuery
from marquee.evaluation.significance import BootstrapConfig
from marquee.evaluation.slices import Slicing

N = 200
CONFIG = GateConfig(
    cuts=(CutConfig(k=1, tolerance=0.05), CutConfig(k=12, tolerance=0.01)),
    max_relative_loss=0.1,
    min_slice_queries=50,
    min_queries=20,
    bootstrap=BootstrapConfig(resamples=300),
)


def result(model: str, at_1: float | np.ndarray, at_12: float | np.ndarray, n: int = N) -> PerQuery:
    """A model whose queries all have the given NDCG."""
    values = {
        "ndcg@1": np.broadcast_to(at_1, n).astype(float),
        "ndcg@12": np.broadcast_to(at_12, n).astype(float),
    }
    return PerQuery(model, np.arange(n), values)


def halves(first: str = "F", second: str = "M", n: int = N, n_first: int = N // 2) -> Slicing:
    return Slicing("gender", (first, second), (np.arange(n) >= n_first).astype(np.int64))


def run(
    challenger=None, champion="default", best_route="default", slicings=(), config=CONFIG, **circumstances
) -> GateDecision:
    """Decide; by default a challenger that is better everywhere."""
    return decide(
        result("two_stage", 0.5, 0.5) if challenger is None else challenger,
        result("champion", 0.4, 0.4) if champion == "default" else champion,
        best_route=result("ease", 0.4, 0.4) if best_route == "default" else best_route,
        slicings=slicings,
        config=config,
        seed=0,
        **circumstances,
    )


def failed(decision: GateDecision) -> list[str]:
    return [check.name for check in decision.failures]


def test_gate_challenger_better_everywhere_passes():
    decision = run(slicings=[halves()])

    assert decision.passed
    assert [check.name for check in decision.checks] == [
        "inputs",
        "champion lower bound",
        "guardrail gender=F",
        "guardrail gender=M",
        "route ndcg@1 mean difference",
        "route ndcg@1 lower bound",
        "route ndcg@12 mean difference",
        "route ndcg@12 lower bound",
    ]


def test_gate_challenger_clearly_worse_than_champion_fails():
    decision = run(champion=result("champion", 0.5, 0.52))

    assert failed(decision) == ["champion lower bound"]
    assert decision.failures[0].observed == pytest.approx(0.5 - 0.52)
    assert decision.failures[0].threshold == -0.01


def test_gate_challenger_as_good_as_champion_within_tolerance_passes():
    assert run(champion=result("champion", 0.5, 0.505)).passed


def test_gate_without_tolerance_an_equal_challenger_is_not_better():
    exact = CONFIG.model_copy(update={"cuts": (CutConfig(k=1, tolerance=0), CutConfig(k=12, tolerance=0))})

    decision = run(champion=result("champion", 0.5, 0.5), config=exact)

    assert failed(decision) == ["champion lower bound"]


def test_gate_mean_gain_over_champion_that_may_be_an_accident_fails():
    noisy = np.where(np.arange(N) % 2 == 0, 0.0, 0.82)  # mean 0.41, but far up and down

    decision = run(result("two_stage", 0.5, noisy), best_route=result("ease", 0.4, 0.2))

    assert failed(decision) == ["champion lower bound"]


def test_gate_first_model_needs_no_champion_but_a_better_route_still_stops_it():
    assert run(champion=None).passed
    assert "no champion yet" in run(champion=None).notes[0]
    assert not run(champion=None, best_route=result("ease", 0.6, 0.6)).passed


def test_gate_reranker_that_loses_at_rank_one_fails_though_it_wins_at_twelve():
    decision = run(best_route=result("ease", 0.6, 0.4))

    assert failed(decision) == ["route ndcg@1 mean difference", "route ndcg@1 lower bound"]


def test_gate_challenger_equal_to_the_best_route_fails_on_the_mean():
    decision = run(best_route=result("ease", 0.5, 0.5))

    assert failed(decision) == ["route ndcg@1 mean difference", "route ndcg@12 mean difference"]


def test_gate_where_the_champion_fails_as_good_as_the_best_route_is_enough():
    route = result("ease", 0.52, 0.505)  # within .05 at rank 1 and .01 at 12

    usual, urgent = (run(best_route=route, champion_fails=fails) for fails in (False, True))

    assert failed(usual) == ["route ndcg@1 mean difference", "route ndcg@12 mean difference"]
    assert urgent.passed
    assert [check.name for check in urgent.checks if "route" in check.name] == [
        "route ndcg@1 lower bound",
        "route ndcg@12 lower bound",
    ]
    assert any("got worse" in note for note in urgent.notes)
    assert not any("got worse" in note for note in usual.notes)


def test_gate_where_the_champion_fails_a_worse_challenger_is_refused_all_the_same():
    of_route = run(best_route=result("ease", 0.5, 0.52), champion_fails=True)
    of_champion = run(champion=result("champion", 0.5, 0.52), champion_fails=True)

    assert failed(of_route) == ["route ndcg@12 lower bound"]
    assert failed(of_champion) == ["champion lower bound"]


def test_gate_gain_over_the_route_that_may_be_an_accident_fails_on_the_bound():
    noisy = np.where(np.arange(N) % 2 == 0, 0.0, 0.82)

    decision = run(result("two_stage", 0.5, noisy), champion=None)

    assert failed(decision) == ["route ndcg@12 lower bound"]


def test_gate_slice_that_loses_more_than_allowed_fails_though_the_whole_gains():
    at_12 = np.where(np.arange(N) < N // 2, 0.35, 0.9)  # F falls from 0.4 to 0.35

    decision = run(result("two_stage", 0.5, at_12), slicings=[halves()])

    assert failed(decision) == ["guardrail gender=F"]
    assert decision.failures[0].observed == pytest.approx((0.4 - 0.35) / 0.4)
    assert decision.failures[0].threshold == 0.1


def test_gate_slice_that_loses_as_much_as_allowed_passes():
    at_12 = np.where(np.arange(N) < N // 2, 0.375, 0.9)
    eighth = CONFIG.model_copy(update={"max_relative_loss": 0.07})

    assert run(result("two_stage", 0.5, at_12), slicings=[halves()]).passed  # a loss of 1/16
    assert run(result("two_stage", 0.5, at_12), slicings=[halves()], config=eighth).passed
    strict = CONFIG.model_copy(update={"max_relative_loss": 0.06})
    assert not run(result("two_stage", 0.5, at_12), slicings=[halves()], config=strict).passed


@pytest.mark.parametrize(("n_first", "passes"), [(49, True), (50, False)])
def test_gate_slice_counts_from_enough_queries(n_first, passes):
    at_12 = np.where(np.arange(N) < n_first, 0.0, 0.9)

    decision = run(result("two_stage", 0.5, at_12), slicings=[halves(n_first=n_first)])

    assert decision.passed is passes
    assert any("gender F is no guardrail: 49 queries" in note for note in decision.notes) is passes


def test_gate_slice_in_which_the_champion_has_nothing_cannot_be_lost():
    before = np.where(np.arange(N) < N // 2, 0.0, 0.4)
    at_12 = np.where(np.arange(N) < N // 2, 0.0, 0.9)

    decision = run(result("two_stage", 0.5, at_12), result("champion", 0.4, before), slicings=[halves()])

    assert "guardrail gender=F" not in failed(decision)


def faulty(**changes) -> PerQuery:
    return dataclasses.replace(result("two_stage", 0.5, 0.5), **changes)


GOOD = result("two_stage", 0.5, 0.5).values
ONE_NAN = np.where(np.arange(N) == 3, np.nan, 0.5)


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        (
            {"challenger": faulty(values={**GOOD, "ndcg@12": ONE_NAN})},
            "two_stage is NaN or infinite in 1 queries",
        ),
        ({"champion": result("champion", 0.4, ONE_NAN)}, "champion is NaN"),
        ({"best_route": result("ease", ONE_NAN, 0.4)}, "ndcg@1 of ease is NaN"),
        ({"challenger": faulty(values={"ndcg@12": GOOD["ndcg@12"]})}, "two_stage lacks ndcg@1"),
        ({"challenger": faulty(values={**GOOD, "ndcg@1": np.full(N, 1.5)})}, r"leaves \[0, 1\]"),
        ({"challenger": faulty(values={**GOOD, "ndcg@1": np.full(N - 1, 0.5)})}, r"\(199,\) for 200"),
        ({"challenger": faulty(values={**GOOD, "ndcg@1": np.full(N, None)})}, "is object"),
        ({"challenger": faulty(query_keys=np.zeros(N, dtype=int))}, "query key twice"),
        ({"champion": result("champion", 0.4, 0.4, n=N - 1)}, "champion was not measured on the queries"),
        (
            {"best_route": dataclasses.replace(result("ease", 0.4, 0.4), query_keys=np.arange(N)[::-1])},
            "same order",
        ),
        ({"best_route": None}, "no single route"),
        ({"slicings": [halves(n=N - 1)]}, "gender covers 199 queries of 200"),
        ({"slicings": [Slicing("gender", ("F",), np.arange(N) % 2)]}, "code outside its 1 labels"),
        ({"slicings": [Slicing("gender", ("F",), np.full(N, np.nan))]}, "code outside its 1 labels"),
        (
            {"challenger": result("a", 1, 1, n=0), "champion": None, "best_route": result("b", 0, 0, n=0)},
            "0 queries are too few",
        ),
        (
            {"challenger": result("a", 1, 1, n=19), "champion": None, "best_route": result("b", 0, 0, n=19)},
            "19 queries are too few to decide: 20 needed",
        ),
    ],
)
def test_gate_faulty_inputs_fail_closed_with_the_reason(inputs, reason):
    decision = run(**inputs)

    assert not decision.passed
    assert {check.name for check in decision.checks} == {"inputs"}
    assert re.search(reason, " ".join(check.reason for check in decision.failures))


def test_gate_names_all_faults_at_once():
    decision = run(faulty(values={}), best_route=None)

    assert len(decision.failures) == 3  # no route, two metrics missing


def test_gate_same_seed_same_decision():
    rng = np.random.default_rng(0)
    noisy = result("two_stage", rng.random(N), rng.random(N))

    assert run(noisy).to_dict() == run(noisy).to_dict()


def test_gate_decision_is_json_ready():
    plain = json.loads(json.dumps(run(slicings=[halves()]).to_dict(), allow_nan=False))

    assert plain["passed"] is True
    assert set(plain["checks"][0]) == {"name", "passed", "observed", "threshold", "reason"}


def test_best_route_is_the_highest_mean_at_the_gates_k():
    routes = [result("popular", 0.9, 0.2), result("ease", 0.3, 0.4), result("als", 0.3, 0.3)]

    best = choose_best_route(routes, CONFIG)

    assert best is not None
    assert best.model == "ease"


def test_best_route_of_equals_is_the_first_by_name_in_any_order():
    routes = [result("ease", 0.3, 0.4), result("als", 0.3, 0.4)]

    chosen = {choose_best_route(order, CONFIG).model for order in (routes, routes[::-1])}

    assert chosen == {"als"}


@pytest.mark.parametrize(
    "broken",
    [result("als", 0.3, np.nan), PerQuery("als", np.arange(N), {}), result("als", 0.1, 0.1, n=0)],
)
def test_best_route_broken_one_is_chosen_so_that_the_gate_refuses_it(broken):
    best = choose_best_route([result("ease", 0.4, 0.4), broken], CONFIG)

    decision = run(best_route=best)

    assert not decision.passed
    assert "als" in decision.failures[0].reason


def test_best_route_of_none_is_none():
    assert choose_best_route([], CONFIG) is None


@pytest.mark.parametrize(
    "fault",
    [
        {"metric": "rmse"},
        {"k": 10},  # not one of the cuts
        {"cuts": ({"k": 12, "tolerance": 0}, {"k": 12, "tolerance": 0.1})},
        {"cuts": ({"k": 12, "tolerance": -0.1},)},
        {"max_relative_loss": 1.0},
        {"tolerence": 0.1},
    ],
)
def test_gate_config_that_cannot_be_meant_is_refused(fault):
    with pytest.raises(ValidationError):
        GateConfig.model_validate(fault)
