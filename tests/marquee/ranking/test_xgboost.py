import json

import numpy as np
import pytest

from marquee.errors import BundleError
from marquee.ranking.xgboost import XgBoostConfig, XgBoostRanker
from tests.conformance import BoostedConformance, separable, texts_on_threads

CONFIG = XgBoostConfig(n_estimators=15)


class TestXgBoost(BoostedConformance):
    n_rounds = 15

    def fit(self, training, seed, on_round=None):
        more = {} if on_round is None else {"on_round": on_round}
        return XgBoostRanker.fit(training, CONFIG, seed=seed, **more)


def test_fit_other_number_of_threads_gives_the_same_text():
    texts = texts_on_threads("xgboost", "XgBoost")

    assert len(texts) == 1
    assert len(json.loads(texts.pop())["learner"]["gradient_booster"]["model"]["trees"]) == 5


def test_fit_other_seed_gives_another_model():
    texts = {XgBoostRanker.fit(separable(), CONFIG, seed=seed).to_text() for seed in (1, 2)}

    assert len(texts) == 2


def test_fit_depth_one_asks_one_question_a_tree():
    ranker = XgBoostRanker.fit(separable(), CONFIG.model_copy(update={"max_depth": 1}), seed=1)

    trees = json.loads(ranker.to_text())["learner"]["gradient_booster"]["model"]["trees"]
    assert {len(tree["split_indices"]) for tree in trees} == {3}  # a root and two leaves


def test_importance_of_a_feature_that_no_tree_asks_is_zero():
    rows = separable()
    rows.features[:, 1] = 0

    assert XgBoostRanker.fit(rows, CONFIG, seed=1).importance()["noise"] == 0


@pytest.mark.parametrize("text", ["", "no model", "{}", '{"learner": {}, "version": [3, 2, 0]}', "[1]"])
def test_from_text_that_is_no_model_is_refused(text):
    with pytest.raises(BundleError):
        XgBoostRanker.from_text(text)


def test_from_text_torn_is_refused():
    text = XgBoostRanker.fit(separable(), CONFIG, seed=1).to_text()

    with pytest.raises(BundleError, match="no XGBoost model"):
        XgBoostRanker.from_text(text[: len(text) // 2])


def test_score_row_of_another_width_is_refused():
    ranker = XgBoostRanker.fit(separable(), CONFIG, seed=1)

    with pytest.raises(ValueError, match="shape"):
        ranker.score(np.zeros((1, 3), np.float32))
