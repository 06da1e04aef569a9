"""A part of the configuration is what the whole says of it, and brings nothing that it does not need."""

import json

import pytest

from marquee.config import TrainingConfig
from marquee.errors import ConfigError
from marquee.ranking.rankers import RankerConfig
from marquee.steps.knobs import ConfigPart, read_config, read_part
from tests.test_import_time import modules_after


class RankerPart(ConfigPart):
    ranker: RankerConfig = RankerConfig()


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"seed": 11},
        {"ranker": {"booster": "xgboost"}},
        {"seed": 11, "ranker": {"lightgbm": {"num_leaves": 5}}, "union": {"depth": 40}},
    ],
)
def test_part_is_equal_to_the_same_part_of_the_whole(values: dict[str, object]):
    text = json.dumps(values)

    part, whole = read_part(text, RankerPart), read_config(text)

    assert (part.seed, part.ranker) == (whole.seed, whole.ranker)


def test_part_of_an_empty_text_has_the_defaults_of_the_whole():
    assert read_part("", RankerPart).seed == TrainingConfig().seed


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('{"sede": 7}', "sede = 7"),
        ('{"seed": -1}', "seed = -1"),
        ('{"ranker": {"booster": "catboost"}}', "ranker.booster = 'catboost'"),
        ('{"union": {"depth": 0}}', "union.depth = 0"),
        ("[1]", "top level"),
        ("{", "no JSON"),
    ],
)
def test_part_of_a_text_that_does_not_fit_is_refused_wherever_the_fault_is(text: str, named: str):
    with pytest.raises(ConfigError, match=named):
        read_part(text, RankerPart)


def test_part_is_read_without_the_rooms_that_it_does_not_name():
    loaded = modules_after(
        "from marquee.steps.knobs import ConfigPart, read_part; read_part('{\"seed\": 5}', ConfigPart)"
    )

    assert loaded.isdisjoint({"marquee.config", "numpy", "polars", "scipy"})
