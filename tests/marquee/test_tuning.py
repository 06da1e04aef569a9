from dataclasses import replace

import numpy as np
import pytest

from marquee.data.interactions import Ragged, Vocabulary
from marquee.data.splits import consumed, temporal_split
from marquee.errors import ConfigError, NotEnoughDataError
from marquee.evaluation.evaluate import EvaluationConfig, evaluate_lists
from marquee.observing import SilentObserver, StageClock
from marquee.ranking.rankers import fit_ranker
from marquee.ranking.search import SearchConfig
from marquee.ranking.search_space import SearchSpace
from marquee.training import collect_training_set
from marquee.tuning import ValidationConfig, WholeLists, tune
from tests.factories import (
    first_stage,
    labelled,
    queries,
    quick_config,
    stage_of,
    state_of,
    taste_groups,
    with_events,
)

SPACE = SearchSpace.model_validate(
    {
        "boosters": ["lightgbm", "xgboost"],
        "lightgbm": {"n_estimators": {"type": "choice", "values": [5, 25]}},
        "xgboost": {"n_estimators": {"type": "choice", "values": [5, 10]}},
    }
)
BUDGET = SearchConfig(trials=3, seconds=600)
ASKED = ValidationConfig(min_events=3)
CONFIG = quick_config()


@pytest.fixture(scope="module")
def tastes():
    return taste_groups()


def search(dataset, path, *, config=CONFIG, validation=ASKED):
    return tune(
        dataset, config, state_of(dataset), space=SPACE, search=BUDGET, study=path / "study.db",
        clock=StageClock(SilentObserver()), validation=validation,
    )  # fmt: skip


@pytest.fixture(scope="module")
def found(tastes, tmp_path_factory):
    return search(tastes, tmp_path_factory.mktemp("study"))


def test_tune_finds_a_ranker_that_is_no_worse_than_the_configured(found):
    assert len(found.trials) == 3
    assert found.best_trial.value >= found.start_trial.value > 0.1
    assert found.best.lightgbm.min_data_in_leaf == CONFIG.ranker.lightgbm.min_data_in_leaf


def test_tune_does_not_see_the_events_after_the_cut(tastes, tmp_path):
    spares = [f"spare{number:02}" for number in range(40)]
    events = replace(tastes.interactions, items=Vocabulary.of([*tastes.interactions.items.ids, *spares]))
    cut_us = temporal_split(events, CONFIG.temporal, seed=CONFIG.seed).cut_us
    # After the cut everybody chooses movies that nobody had chosen, one after the other.
    later = events.timestamp_us > cut_us
    changed = events.item_index.copy()
    for user in range(len(events.users)):
        rows = np.flatnonzero(later & (events.user_index == user))
        changed[rows] = events.items.encode(spares)[: len(rows)]
    (tmp_path / "other").mkdir()

    before = search(with_events(tastes, events), tmp_path)
    after = search(with_events(tastes, replace(events, item_index=changed)), tmp_path / "other")

    assert later.sum() > 300
    assert [trial.value for trial in after.trials] == [trial.value for trial in before.trials]


def test_tune_other_recipe_in_the_same_study_is_refused(tastes, tmp_path):
    search(tastes, tmp_path)

    with pytest.raises(ConfigError, match="union"):
        search(tastes, tmp_path, config=quick_config(union={"depth": 30}))


def test_tune_without_questions_is_refused(tastes, tmp_path):
    with pytest.raises(NotEnoughDataError, match="no user has 500 events"):
        search(tastes, tmp_path, validation=ValidationConfig(min_events=500))


def test_whole_lists_value_is_that_of_the_recommenders_lists(tastes):
    stage = stage_of(tastes, CONFIG)
    split = temporal_split(consumed(tastes.interactions), CONFIG.temporal, seed=7)
    ranker = fit_ranker(collect_training_set(split.train, stage), CONFIG.ranker, seed=7)
    recommender, asked = stage.ask(
        stage.fit(split.train, until_us=split.cut_us), split.test, consumed(tastes.interactions)
    )
    lists, features = WholeLists.of(recommender, asked)

    value = lists(ranker.score(features))

    made = recommender.with_ranker(ranker).recommend(asked.queries, 12).item_index
    measured = evaluate_lists({"": made}, asked.targets, config=EvaluationConfig(), seed=1)
    assert value == pytest.approx(measured.means[""]["ndcg@10"], abs=1e-12)


def test_whole_lists_answer_that_was_not_proposed_counts_as_missed(tastes):
    recommender = first_stage(tastes)
    asked = queries([(0, 0), (3, 1)])
    candidates = recommender.candidates(asked).item_index
    absent = np.setdiff1d(np.arange(len(recommender.items)), candidates)[:1]
    known = candidates[:1]
    lists, _ = WholeLists.of(recommender, labelled(asked, [*known, *absent]))
    scores = np.zeros(len(candidates))
    scores[0] = 1

    value = lists(scores)

    # One hit at rank 1 of an ideal two: 1 / (1 + 1 / log2 3).
    assert value == pytest.approx(1 / (1 + 1 / np.log2(3)))
    assert replace(lists, targets=Ragged.of([known]))(scores) == 1
