from dataclasses import replace

import numpy as np
import pytest

from marquee.errors import BundleError
from marquee.ranking.averaged import AveragedRanker
from marquee.ranking.one_route import OneRouteRanker
from marquee.ranking.rankers import RANKER_TYPES, RankerConfig, fit_ranker, read_ranker
from marquee.ranking.route_blend import RouteBlend, RouteBlendConfig
from tests.conformance import separable

QUICK = {"lightgbm": {"n_estimators": 3, "min_data_in_leaf": 5}, "xgboost": {"n_estimators": 4}}


def config(booster: str) -> RankerConfig:
    return RankerConfig.model_validate({"booster": booster, **QUICK})


@pytest.mark.parametrize("booster", ["lightgbm", "xgboost"])
def test_fit_ranker_fits_the_chosen_booster(booster):
    ranker = fit_ranker(separable(), config(booster), seed=1)

    assert ranker.name == booster
    assert type(ranker) is RANKER_TYPES[booster]


@pytest.mark.parametrize(("booster", "rounds"), [("lightgbm", 3), ("xgboost", 4)])
def test_n_rounds_are_those_that_are_heard(booster, rounds):
    heard: list[int] = []

    fit_ranker(separable(), config(booster), seed=1, on_round=lambda done, _: heard.append(done))

    assert heard == list(range(1, rounds + 1))
    assert config(booster).n_rounds == rounds


@pytest.mark.parametrize("booster", ["lightgbm", "xgboost"])
def test_read_ranker_finds_the_class_by_name(booster):
    text = fit_ranker(separable(), config(booster), seed=1).to_text()

    assert type(read_ranker({booster: text})) is RANKER_TYPES[booster]


def test_read_ranker_finds_every_type_by_name():
    training = replace(separable(), feature_names=("good_score", "noise_score"))
    blend = RouteBlend.fit(training, RouteBlendConfig())
    trees = fit_ranker(training, config("xgboost"), seed=1)
    both = AveragedRanker.of((blend, trees), training)

    for ranker in (blend, OneRouteRanker("good", training.feature_names), both):
        read = read_ranker({ranker.name: ranker.to_text()})

        assert type(read) is type(ranker)
        np.testing.assert_array_equal(read.score(training.features), ranker.score(training.features))


@pytest.mark.parametrize("texts", [{}, {"catboost": "x"}, {"lightgbm": "x", "xgboost": "y"}])
def test_read_ranker_none_unknown_or_several_is_refused(texts):
    with pytest.raises(BundleError, match="the bundle's ranker is"):
        read_ranker(texts)
