from pathlib import Path

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from marquee.errors import ConfigError
from marquee.ranking.rankers import RankerConfig
from marquee.ranking.search_space import PRESETS, Choice, FloatRange, IntRange, SearchSpace, ranker_at

SMALL = {"boosters": ["xgboost"], "xgboost": {"max_depth": {"type": "int", "min": 2, "max": 5}}}


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.yaml")), ids=lambda path: path.stem)
def test_preset_is_read_and_its_points_are_rankers(path: Path):
    space = SearchSpace.read(path.stem)

    points = space.points_near(RankerConfig())

    assert [point["booster"] for point in points] == ["lightgbm", "xgboost"]
    for point in points:
        ranker = ranker_at(point, RankerConfig())
        assert ranker.booster == point["booster"]


def test_preset_brief_is_that_of_the_brief():
    space = SearchSpace.read("brief")

    for booster in ("lightgbm", "xgboost"):
        assert space.of(booster)["max_depth"].ends == (1, 3, 5, 7)
        assert space.of(booster)["n_estimators"].ends == (100, 200, 300)


def test_suggest_gives_the_ranker_of_the_trials_parameters():
    trial = optuna.trial.FixedTrial({"booster": "xgboost", "xgboost.max_depth": 3})
    start = RankerConfig.model_validate({"xgboost": {"subsample": 0.7}})

    ranker = SearchSpace.model_validate(SMALL).suggest(trial, start)

    assert ranker == RankerConfig.model_validate(
        {"booster": "xgboost", "xgboost": {"subsample": 0.7, "max_depth": 3}}
    )
    assert ranker_at(trial.params, start) == ranker


def test_points_near_begin_with_the_configured_booster():
    points = SearchSpace.read("brief").points_near(RankerConfig(booster="xgboost"))

    assert [point["booster"] for point in points] == ["xgboost", "lightgbm"]


def test_points_near_knob_without_limit_is_the_last_value():
    point = SearchSpace.read("brief").points_near(RankerConfig())[0]

    assert point["lightgbm.max_depth"] == 7  # None: as deep as it likes


@pytest.mark.parametrize(("value", "nearest"), [(0, 10), (12, 10), (13, 15), (99, 30)])
def test_nearest_is_a_step_within_the_range(value, nearest):
    assert IntRange(type="int", min=10, max=30, step=5).nearest(value) == nearest


@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 9), st.floats(-100, 200))
def test_nearest_is_always_allowed(low, width, step, value):
    whole = IntRange(type="int", min=low, max=low + width, step=step)
    real = FloatRange(type="float", min=low, max=low + width)
    choice = Choice(type="choice", values=(low, low + width))

    assert low <= whole.nearest(value) <= low + width
    assert low <= real.nearest(value) <= low + width
    assert choice.nearest(value) in choice.values


@pytest.mark.parametrize(
    ("knob", "message"),
    [
        ({"max_depth": {"type": "int", "min": 5, "max": 5}}, "min = 5 is not below max = 5"),
        ({"max_depth": {"type": "int", "min": 0, "max": 5}}, "xgboost.max_depth = 0"),
        ({"subsample": {"type": "float", "min": 0.5, "max": 1.5}}, "xgboost.subsample = 1.5"),
        ({"reg_lambda": {"type": "float", "min": 0, "max": 5, "scale": "log"}}, "no logarithm"),
        ({"max_depth": {"type": "int", "min": 1, "max": 5, "step": 2, "scale": "log"}}, "takes no step"),
        ({"num_leaves": {"type": "int", "min": 2, "max": 5}}, "xgboost.num_leaves is none of"),
        ({"max_depth": {"type": "choice", "values": []}}, "at least 1 item"),
        ({"max_depth": {"type": "normal", "min": 1, "max": 5}}, "normal"),
    ],
)
def test_space_that_does_not_fit_its_booster_is_refused(knob, message):
    with pytest.raises(ValidationError, match=message):
        SearchSpace.model_validate({"boosters": ["xgboost"], "xgboost": knob})


def test_read_file_of_ones_own(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("boosters: [xgboost]\nxgboost: {max_depth: {type: int, min: 2, max: 5}}\n")

    assert SearchSpace.read(str(path)) == SearchSpace.model_validate(SMALL)


def test_read_nothing_of_that_name_is_refused_with_the_presets():
    with pytest.raises(ConfigError, match="brief, default"):
        SearchSpace.read("nowhere")


@pytest.mark.parametrize(
    "text", ["", "boosters: [catboost]", "boosters: []", "[1, 2]", "boosters: [xgboost]\nlgbm: {}"]
)
def test_read_file_that_does_not_fit_names_the_file(tmp_path, text):
    path = tmp_path / "own.yaml"
    path.write_text(text)

    with pytest.raises(ConfigError, match=r"own\.yaml"):
        SearchSpace.read(str(path))
