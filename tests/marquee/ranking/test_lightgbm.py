import numpy as np
import pytest
from lightgbm.basic import LightGBMError

from marquee.errors import BundleError
from marquee.ranking.lightgbm import LightGbmConfig, LightGbmRanker
from tests.conformance import BoostedConformance, separable, texts_on_threads

CONFIG = LightGbmConfig(n_estimators=15, min_data_in_leaf=5)


class TestLightGbm(BoostedConformance):
    n_rounds = 15

    def fit(self, training, seed, on_round=None):
        more = {} if on_round is None else {"on_round": on_round}
        return LightGbmRanker.fit(training, CONFIG, seed=seed, **more)


def test_fit_other_number_of_threads_gives_the_same_text():
    texts = texts_on_threads("lightgbm", "LightGbm")

    assert len(texts) == 1
    assert b"Tree=4" in texts.pop()


def test_fit_other_seed_gives_another_model():
    texts = {LightGbmRanker.fit(separable(), CONFIG, seed=seed).to_text() for seed in (1, 2)}

    assert len(texts) == 2


def test_fit_depth_one_asks_one_question_a_tree():
    ranker = LightGbmRanker.fit(separable(), CONFIG.model_copy(update={"max_depth": 1}), seed=1)

    assert {tree["num_leaves"] for tree in ranker.booster.dump_model()["tree_info"]} == {2}


def test_score_row_of_another_width_is_refused():
    ranker = LightGbmRanker.fit(separable(), CONFIG, seed=1)

    with pytest.raises(LightGBMError):
        ranker.score(np.zeros((1, 3), np.float32))


@pytest.mark.parametrize("text", ["", "no model", "tree\nversion=v4\nnum_class=1\n"])
def test_from_text_that_is_no_model_is_refused(text):
    with pytest.raises(BundleError):
        LightGbmRanker.from_text(text)
