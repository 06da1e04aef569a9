import numpy as np
import pytest

from marquee.errors import NotEnoughDataError
from marquee.ranking.averaged import AveragedRanker
from marquee.ranking.lightgbm import LightGbmConfig, LightGbmRanker
from marquee.ranking.ranker import TrainingSet
from marquee.ranking.rankers import RankerConfig
from marquee.ranking.route_blend import RouteBlend
from marquee.ranking.second_stage import BLEND, BOTH, TREES, choose, fit_second_stage

NAMES = ("route_score", "user_events")
TREES_CONFIG = LightGbmConfig(
    n_estimators=20, min_data_in_leaf=10, num_leaves=7, feature_fraction=1.0, bagging_fraction=1.0
)


def config(**values):
    return RankerConfig(lightgbm=TREES_CONFIG, **{"min_judging": 20, **values})


def window(n_queries, seed, *, is_flipped):
    """Ten candidates a query, of which the best two by the route are wanted.

    Where `is_flipped`, users with events want the worst two instead: trees, which read how many events
    there are, can tell; a blend of routes can't.
    """
    rng = np.random.default_rng(seed)
    route = rng.permuted(np.tile(np.linspace(0.1, 1, 10), (n_queries, 1)), axis=1)
    has_events = np.repeat(rng.random(n_queries) < 0.5, 10).reshape(route.shape) & is_flipped
    wanted = np.where(has_events, route < 0.25, route > 0.85)
    features = np.column_stack([route.ravel(), has_events.ravel()]).astype(np.float32)
    return TrainingSet(features, wanted.ravel().astype(np.int8), np.full(n_queries, 10, np.int32), NAMES)


def windows(*, is_flipped, sizes=(30, 40, 40)):
    return [window(n, seed, is_flipped=is_flipped) for seed, n in enumerate(sizes)]


def test_fit_second_stage_trees_where_only_they_can_tell():
    choice = fit_second_stage(windows(is_flipped=True), config(), seed=1)

    assert choice.chosen == TREES
    assert isinstance(choice.ranker, LightGbmRanker)
    assert choice.ndcg[TREES] > choice.ndcg[BLEND] + 0.2


def test_fit_second_stage_blend_where_trees_learn_too_roughly():
    rough = config().model_copy(update={"lightgbm": LightGbmConfig(min_data_in_leaf=10_000)})

    choice = fit_second_stage(windows(is_flipped=False), rough, seed=1)

    assert choice.chosen == BLEND
    assert isinstance(choice.ranker, RouteBlend)
    assert choice.ndcg[BLEND] == pytest.approx(1)


def test_fit_second_stage_equal_ones_leave_the_trees():
    choice = fit_second_stage(windows(is_flipped=False), config(), seed=1)

    assert choice.ndcg[TREES] == pytest.approx(choice.ndcg[BLEND])
    assert choice.chosen == TREES


@pytest.mark.parametrize(
    ("sizes", "n_judging"),
    [((30, 40, 40), 70), ((40, 30, 30), 40), ((30, 70), 30), ((29, 71), 0)],
    ids=["two windows", "one of three", "just enough", "nothing is left"],
)
def test_fit_second_stage_newest_windows_judge_and_the_others_teach(sizes, n_judging):
    choice = fit_second_stage(windows(is_flipped=True, sizes=sizes), config(judged_share=0.3), seed=1)

    assert choice.n_queries == n_judging
    assert bool(choice.ndcg) is bool(n_judging)


def test_fit_second_stage_too_few_to_judge_leave_the_trees():
    assert fit_second_stage(windows(is_flipped=False), config(min_judging=70), seed=1).n_queries == 70
    assert fit_second_stage(windows(is_flipped=False), config(min_judging=71), seed=1).n_queries == 0


@pytest.mark.parametrize(
    ("kind", "expected"), [(TREES, LightGbmRanker), (BLEND, RouteBlend), (BOTH, AveragedRanker)]
)
def test_fit_second_stage_named_is_fitted_unasked(kind, expected):
    choice = fit_second_stage(windows(is_flipped=True), config(second_stage=kind), seed=1)

    assert isinstance(choice.ranker, expected)
    assert choice.to_dict() == {"chosen": kind, "ndcg": {}, "n_queries": 0}


def test_fit_second_stage_learns_from_all_windows_in_the_end():
    all_windows = windows(is_flipped=True)
    chosen = fit_second_stage(all_windows, config(), seed=1)
    named = fit_second_stage(all_windows, config(second_stage=TREES), seed=1)

    assert chosen.ranker.to_text() == named.ranker.to_text()


def test_fit_second_stage_without_rows_is_refused():
    with pytest.raises(NotEnoughDataError, match="no past query"):
        fit_second_stage([], config(), seed=1)


def test_choose_needs_a_gain_beyond_chance():
    trees = np.array([0.5, 0.5, 0.5, 0.5])
    noisy = trees + np.array([0.4, -0.3, 0.1, 0.0])
    steady = trees + np.array([0.02, 0.01, 0.02, 0.01])

    assert choose({TREES: trees, BLEND: noisy}, min_standard_errors=1) == TREES  # .05, error .15
    assert choose({TREES: trees, BLEND: noisy}, min_standard_errors=0) == BLEND
    assert choose({TREES: trees, BLEND: noisy, BOTH: steady}, min_standard_errors=1) == BOTH
    assert choose({TREES: trees, BLEND: trees - 0.1}, min_standard_errors=0) == TREES
