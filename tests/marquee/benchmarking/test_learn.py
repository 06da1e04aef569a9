import numpy as np
import pytest

from marquee.benchmarking.holdouts import HoldoutConfig, holdouts, timeless
from marquee.benchmarking.learn import AVERAGED, BLEND, TREES, LearnConfig, learn
from marquee.benchmarking.route_search import (
    FACTUAL_ROUTES,
    TIMED_ROUTES,
    Exam,
    search_routes,
    start_routes,
    usable_routes,
)
from marquee.benchmarking.stage import SplitStage
from marquee.candidates.routes import ROUTE_TYPES
from marquee.candidates.union import UnionConfig
from marquee.data.splits import consumed
from marquee.errors import NotEnoughDataError
from marquee.ranking.lightgbm import LightGbmConfig
from tests.factories import events, taste_groups

QUICK = LearnConfig(
    holdout=HoldoutConfig(folds=2),
    trees=LightGbmConfig(n_estimators=5, min_data_in_leaf=5),
    search_max_events=0,
)
ROUTES = ("ease", "als", "popular")


@pytest.fixture(scope="module")
def tastes():
    return timeless(consumed(taste_groups().interactions))


def _stage(train, routes=ROUTES):
    return SplitStage.of(train, routes=start_routes(routes, "random"), union=UnionConfig(depth=20), seed=3)


@pytest.fixture(scope="module")
def learned(tastes):
    return learn(tastes, _stage(tastes), order="random", share=0.25, k=5, config=QUICK)


def test_choices_are_every_second_stage_and_every_route(learned):
    assert set(learned.choices) == {BLEND, AVERAGED, TREES, *ROUTES}


def test_chosen_is_the_best_of_the_choices(learned):
    assert learned.choices[learned.chosen] == max(learned.choices.values())


def test_learned_first_stage_knows_every_training_event(learned, tastes):
    counts = learned.recommender.routes["popular"].counts

    assert counts.tolist() == np.bincount(tastes.item_index, minlength=len(tastes.items)).tolist()


def test_learning_twice_gives_the_same_model(learned, tastes):
    again = learn(tastes, _stage(tastes), order="random", share=0.25, k=5, config=QUICK)

    assert again.recommender.ranker.to_text() == learned.recommender.ranker.to_text()
    assert again.choices == learned.choices


def test_a_single_route_is_the_second_stage_of_itself(tastes):
    learned = learn(tastes, _stage(tastes, ("popular",)), order="random", share=0.25, k=5, config=QUICK)
    asked = _stage(tastes).ask(tastes, tastes, users=np.arange(4, dtype=np.int32)).queries

    lists = learned.recommender.recommend(asked, 5).item_index

    # Whatever was chosen, it is at least as good on the hold-out as the only route that there is.
    assert learned.choices[learned.chosen] >= learned.choices["popular"]
    assert lists.shape == (4, 5)


def test_nothing_to_hide_is_refused():
    lonely = events(("u", "a", 0), ("v", "b", 0))

    with pytest.raises(NotEnoughDataError, match="no user of the 2"):
        learn(lonely, _stage(lonely, ("popular",)), order="random", share=0.25, k=5, config=QUICK)


def test_routes_without_order_and_facts_need_neither():
    assert set(usable_routes("random", has_facts=False)) == set(ROUTE_TYPES) - TIMED_ROUTES - FACTUAL_ROUTES
    assert set(usable_routes("time", has_facts=True)) == set(ROUTE_TYPES)


def test_start_without_order_remembers_the_whole_history():
    routes = start_routes(ROUTES, "random")

    assert routes.ease.half_life_events is None
    assert routes.als.half_life_events is None
    assert start_routes(ROUTES, "time").ease.half_life_events is not None


def test_search_never_makes_a_route_worse_on_its_holdout(tastes):
    fold = next(holdouts(tastes, "random", share=0.25, config=HoldoutConfig(), seed=1))
    stage = _stage(tastes, ("ease",))
    users = np.unique(fold.hidden.user_index)
    asked = stage.ask(fold.known, fold.hidden, users=users)

    found = search_routes([Exam(fold, asked)], stage, order="random", k=5)

    def ndcg(each):
        from marquee.benchmarking.route_search import ndcg_of

        model = each.fit(fold.known)
        return ndcg_of(model.route_lists(model.routes["ease"], asked.queries, 5), asked, 5)

    assert ndcg(found) >= ndcg(stage)
