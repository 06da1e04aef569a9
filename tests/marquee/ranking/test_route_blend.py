from dataclasses import replace

import numpy as np
import pytest

from marquee.errors import BundleError
from marquee.ranking.averaged import AveragedRanker, fit_pointwise
from marquee.ranking.lightgbm import LightGbmConfig
from marquee.ranking.one_route import OneRouteRanker
from marquee.ranking.ranker import TrainingSet
from marquee.ranking.route_blend import RouteBlend, RouteBlendConfig
from tests.conformance import RankerConformance

NAMES = ("good_score", "noise_score")
QUICK = LightGbmConfig(n_estimators=5, min_data_in_leaf=5)


def _named(training):
    return replace(training, feature_names=NAMES)


class _BlendConformance(RankerConformance):
    def test_importance_names_the_telling_feature(self, ranker):
        importance = ranker.importance()

        assert set(importance) == set(NAMES)
        assert importance["good_score"] > importance["noise_score"]


class TestRouteBlend(_BlendConformance):
    def fit(self, training, seed):
        return RouteBlend.fit(_named(training), RouteBlendConfig())


def _averaged(training, seed):
    blend, trees = RouteBlend.fit(training, RouteBlendConfig()), fit_pointwise(training, QUICK, seed=seed)
    return AveragedRanker.of((blend, trees), training)


class TestAveragedRanker(_BlendConformance):
    def fit(self, training, seed):
        return _averaged(_named(training), seed)


class TestPointwiseTrees(_BlendConformance):
    def fit(self, training, seed):
        return fit_pointwise(_named(training), QUICK, seed=seed)


class TestOneRouteRanker(_BlendConformance):
    def fit(self, training, seed):
        return OneRouteRanker("good", NAMES)


def _two_halves(n_queries=40):
    """Each route knows half of what is wanted; only their sum brings the wanted row of three to the top."""
    left, right = np.array([1.0, 1.2, 0.0]), np.array([1.0, 0.0, 1.2])
    features = np.tile(np.column_stack([left, right]), (n_queries, 1)).astype(np.float32)
    labels = np.tile(np.array([1, 0, 0], np.int8), n_queries)
    return TrainingSet(features, labels, np.full(n_queries, 3, np.int32), ("left_score", "right_score"))


def test_blend_of_two_halves_beats_either():
    training = _two_halves()

    blend = RouteBlend.fit(training, RouteBlendConfig(k=1))

    assert blend.score(training.features).reshape(-1, 3).argmax(axis=1).tolist() == [0] * 40
    assert set(blend.route_weights()) == {"left", "right"}


def test_blend_of_a_good_route_and_noise_is_the_good_route():
    rng = np.random.default_rng(3)
    wanted = (np.arange(2_000) % 10 == 0).astype(np.int8)
    features = np.column_stack([wanted + rng.random(2_000) * 0.1, rng.random(2_000)]).astype(np.float32)
    training = TrainingSet(features, wanted, np.full(200, 10, np.int32), NAMES)

    blend = RouteBlend.fit(training, RouteBlendConfig())

    assert set(blend.route_weights()) == {"good"}


def test_blend_unknown_score_counts_as_the_lowest_seen():
    training = _two_halves()
    blend = RouteBlend.fit(training, RouteBlendConfig(k=1))

    unknown, lowest = blend.score(np.array([[np.nan, 1.0], [0.0, 1.0]], np.float32))

    assert unknown == lowest


@pytest.mark.parametrize("kind", ["blend", "averaged"])
def test_contributions_sum_to_the_score(kind):
    training = _two_halves()
    blend = RouteBlend.fit(training, RouteBlendConfig(k=1))
    ranker = blend if kind == "blend" else _averaged(training, 1)

    parts = ranker.contributions(training.features[:6])

    assert parts.shape == (6, 3)
    np.testing.assert_allclose(parts.sum(axis=1), ranker.score(training.features[:6]), rtol=1e-5)


def test_average_counts_both_in_units_of_their_spread():
    training = _two_halves()
    ranker = _averaged(training, 1)

    scores = ranker.score(training.features)

    both = [each.score(training.features) for each in ranker.parts]
    np.testing.assert_allclose(scores, sum(each / (each.std() or 1) for each in both))


@pytest.mark.parametrize("kind", [RouteBlend, AveragedRanker, OneRouteRanker])
@pytest.mark.parametrize("text", ["", "{}", "[1]", "tree"])
def test_text_of_another_thing_is_refused(kind, text):
    with pytest.raises(BundleError):
        kind.from_text(text)


def test_one_route_contributions_are_its_score():
    ranker = OneRouteRanker("noise", NAMES)

    parts = ranker.contributions(np.array([[1, 2], [3, np.nan]], np.float32))

    assert parts[:, 0].tolist() == [0, 0]
    assert parts[0].tolist() == [0, 2, 0]
    assert parts[1, 1] == np.finfo(np.float32).min
