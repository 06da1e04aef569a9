import numpy as np
import pytest

from marquee.benchmarking.measure import (
    TWO_STAGE,
    UNION,
    Measured,
    Question,
    SeedResult,
    measure_models,
    summarise,
)
from marquee.benchmarking.stage import SplitStage
from marquee.candidates.routes import RoutesConfig
from marquee.candidates.union import UnionConfig
from marquee.evaluation.per_query import PerQuery
from marquee.evaluation.significance import BootstrapConfig
from tests.factories import events

# Popularity: a 3, b 2, c 1, d 0.
KNOWN = events(
    *[(user, item, 0) for user, items in {"u": "a", "v": "ab", "w": "abc"}.items() for item in items],
    items=["d"],
)
HIDDEN = events(("u", "c", 0), ("v", "d", 0), users=["w"], items="abcd")
QUICK = BootstrapConfig(resamples=100)


@pytest.fixture(scope="module")
def asked():
    stage = SplitStage.of(KNOWN, routes=RoutesConfig(enabled=("popular",)), union=UnionConfig(), seed=1)
    labelled = stage.ask(KNOWN, HIDDEN, users=np.array([0, 1], np.int32))
    return stage.fit(KNOWN), labelled


def _measure(asked, candidates=None, names=("popular", UNION)):
    recommender, labelled = asked
    return measure_models(
        recommender,
        recommender.routes,
        Question(labelled, candidates),
        ks=(1, 2),
        names=names,
        fit_seconds={},
    )


def test_route_lists_leave_out_what_trains(asked):
    values = _measure(asked)["popular"].per_query.values

    # u has a, so the list is b, c: the wanted c is second. v has a, b: c, d, and d is wanted.
    assert values["hit_rate@1"].tolist() == [0, 0]
    assert values["mrr@2"].tolist() == [0.5, 0.5]


@pytest.mark.parametrize("model", ["popular", UNION])
def test_only_given_candidates_are_ranked(asked, model):
    candidates = (np.array([2, 3], np.int32), np.array([2], np.int32))

    values = _measure(asked, candidates)[model].per_query.values

    # Without b the wanted c is u's first; the d that v wants is no candidate.
    assert values["hit_rate@1"].tolist() == [1, 0]


def test_map_by_relevant_divides_by_all_that_were_wanted():
    known = events(("u", "a", 0), ("v", "b", 0), items="cd")
    hidden = events(*[("u", item, 0) for item in "bcd"], users=["v"], items="a")
    stage = SplitStage.of(known, routes=RoutesConfig(enabled=("popular",)), union=UnionConfig(), seed=1)
    labelled = stage.ask(known, hidden, users=np.array([0], np.int32))
    model = stage.fit(known)

    found = measure_models(
        model, model.routes, Question(labelled), ks=(1,), names=("popular",), fit_seconds={"popular": 2.5}
    )["popular"]

    assert found.per_query.values["map@1"].tolist() == [1]
    assert found.per_query.values["map_by_relevant@1"].tolist() == pytest.approx([1 / 3])
    assert found.fit_seconds == 2.5


def _seed(seed, **models):
    keys = np.array(models.pop("users"), np.int64)
    return SeedResult(
        seed,
        {
            name: Measured(PerQuery(name, keys, {"ndcg@10": np.array(values, float)}), 1.0, 0.5)
            for name, values in models.items()
        },
    )


def test_summary_compares_two_stages_with_the_best_route_by_user():
    results = [
        _seed(7, users=[1, 2], two_stage=[0.6, 0.8], ease=[0.5, 0.7], popular=[0.1, 0.1]),
        _seed(11, users=[2, 3], two_stage=[0.4, 0.9], ease=[0.3, 0.8], popular=[0.1, 0.1]),
    ]

    found = summarise(results, ks=(10,), bootstrap=QUICK, seed=1)

    assert found["best_route"] == "ease"
    assert found["models"][TWO_STAGE]["metrics"]["ndcg@10"] == pytest.approx((0.7 + 0.65) / 2)
    # User 2 counts once, with the mean of both seeds; each is .1 above.
    difference = found["against_best_route"]["ndcg@10"]
    assert [difference[name] for name in ("estimate", "low", "high")] == pytest.approx([0.1] * 3)


def test_summary_without_two_stages_compares_nothing():
    found = summarise([_seed(7, users=[1], ease=[0.5])], ks=(10,), bootstrap=QUICK, seed=1)

    assert found["against_best_route"] == {}
