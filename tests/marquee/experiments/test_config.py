from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from marquee.errors import ConfigError
from marquee.experiments.config import Experiment, ExperimentsConfig, read_experiments

PAIR = [{"name": "a"}, {"name": "b"}]


def experiment(name: str = "one", **values: Any) -> dict[str, Any]:
    return {"name": name, "variants": PAIR} | values


def with_bundle(name: str, **values: Any) -> dict[str, Any]:
    return experiment(name, variants=[{"name": "a"}, {"name": "b", "bundle": "challenger"}], **values)


def file_of(folder: Path, text: str) -> Path:
    path = folder / "experiments.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_read_experiments_gives_what_the_file_says_and_defaults_for_the_rest(tmp_path: Path):
    path = file_of(
        tmp_path,
        """
        experiments:
          - name: fresh-ranker
            traffic: 0.2
            variants: [{name: control}, {name: fresh, bundle: challenger, weight: 3}]
          - name: tiles
            layer: page
            is_on: off
            surfaces: [home, similar]
            variants: [{name: s}, {name: l}]
        """,
    )

    fresh, tiles = read_experiments(path).experiments

    assert (fresh.first, fresh.end, fresh.layer, fresh.is_on, fresh.surfaces) == (
        0, 0.2, "model", True, ("home",),
    )  # fmt: skip
    assert fresh.shares == {"control": 1 / 4, "fresh": 3 / 4}
    assert [variant.bundle for variant in fresh.variants] == [None, "challenger"]
    assert (tiles.layer, tiles.is_on, tiles.surfaces) == ("page", False, ("home", "similar"))


def test_read_experiments_on_an_empty_file_gives_none(tmp_path: Path):
    assert read_experiments(file_of(tmp_path, "")) == ExperimentsConfig()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- a\n", "(top level) = ['a']"),
        ("experiments: {name: x}\n", "experiments = {'name': 'x'}"),
        ("on: true\n", "the key True is no text"),  # YAML 1.1 reads `on` as a truth
        ("enabled: true\n", "enabled = True: Extra inputs are not permitted"),
        ("experiments: [{name: x}]\n", "experiments.0.variants is missing"),
        ("experiments: [{name: x, variants: [{name: a}]}]\n", "experiments.0.variants = [{'name': 'a'}]"),
        ("experiments: [{name: Über, variants: []}]\n", "experiments.0.name = 'Über'"),
        ("experiments: [{name: x, variants: [{name: a}, {name: a}]}]\n", "experiments.0: variants: 'a' "),
    ],
)  # fmt: skip
def test_read_experiments_on_a_wrong_file_names_file_key_and_value(tmp_path: Path, text: str, problem: str):
    path = file_of(tmp_path, text)

    with pytest.raises(ConfigError) as caught:
        read_experiments(path)

    assert str(path) in caught.value.problem
    assert problem in caught.value.problem


@pytest.mark.parametrize("text", ["experiments: [", "experiments: !!python/object:os.system {}"])
def test_read_experiments_on_no_plain_yaml_is_a_config_error(tmp_path: Path, text: str):
    with pytest.raises(ConfigError, match="is not valid YAML"):
        read_experiments(file_of(tmp_path, text))


def test_read_experiments_on_a_missing_file_names_the_option(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml can't be read.*Check --experiments\."):
        read_experiments(tmp_path / "nowhere.yaml", option="--experiments")


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 64}, "name"),
        ({"name": "-x"}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": "a\n"}, "name"),
        ({"name": 7}, "name"),
        ({"layer": "Model"}, "layer"),
        ({"traffic": 0}, "traffic"),
        ({"traffic": 1.01}, "traffic"),
        ({"traffic": float("nan")}, "traffic"),
        ({"first": 1}, "first"),
        ({"first": -0.1}, "first"),
        ({"first": float("nan")}, "first"),
        ({"surfaces": []}, "surfaces"),
        ({"surfaces": ["house"]}, "surfaces.0"),
        ({"variants": [{"name": "a"}, {"name": "b", "weight": 0}]}, "variants.1.weight"),
        ({"variants": [{"name": "a"}, {"name": "b", "weight": float("inf")}]}, "variants.1.weight"),
        ({"variants": [{"name": "a"}, {"name": "b", "weight": float("nan")}]}, "variants.1.weight"),
        ({"variants": [{"name": "a"}, {"name": "b", "bundle": "../b"}]}, "variants.1.bundle"),
        ({"variants": [{"name": "a"}, {"name": "b", "share": 1}]}, "variants.1.share"),
    ],
)
def test_experiment_on_a_wrong_value_names_its_key(values: dict[str, Any], key: str):
    with pytest.raises(ValidationError) as caught:
        Experiment.model_validate(experiment() | values)

    assert ".".join(map(str, caught.value.errors()[0]["loc"])) == key


@pytest.mark.parametrize(
    ("experiments", "problem"),
    [
        ([experiment(first=0.7, traffic=0.4)], "first = 0.7 and traffic = 0.4 end at 1.1, above 1"),
        ([experiment(surfaces=["home", "home"])], "surfaces: 'home' stands there twice"),
        ([experiment(traffic=0.1), experiment(first=0.5, traffic=0.1)], "the name 'one' stands there twice"),
        (
            [experiment("one", traffic=0.1), experiment("two", first=0.5, traffic=0.1, salt="one")],
            "two draw by the salt 'one'",
        ),
        (
            [experiment("late", first=0.5, traffic=0.5), experiment("early", traffic=0.6)],
            "layer 'model': 'early' takes 0.0 to 0.6 and 'late' 0.5 to 1.0: they overlap",
        ),
        (
            [with_bundle("one"), with_bundle("two", layer="page")],
            "layers ['model', 'page'] all name bundles",
        ),
    ],
)
def test_experiments_that_contradict_are_refused_by_name(experiments: list[Any], problem: str):
    with pytest.raises(ValidationError) as caught:
        ExperimentsConfig.model_validate({"experiments": experiments})

    assert problem in str(caught.value)


def test_experiment_that_is_off_keeps_its_range_reserved():
    with pytest.raises(ValidationError, match="overlap"):
        ExperimentsConfig.model_validate({"experiments": [experiment("one"), experiment("two", is_on=False)]})


def test_experiments_of_two_layers_may_overlap():
    config = ExperimentsConfig.model_validate({"experiments": [experiment("a"), experiment("b", layer="x")]})

    assert len(config.experiments) == 2


@given(st.lists(st.integers(1, 999), min_size=2, max_size=6, unique=True).map(sorted))
def test_ranges_that_touch_as_decimals_do_not_overlap(cuts: list[int]):
    # 0.1 + 0.2 is 0.30000000000000004 in binary, beyond a neighbour that begins at 0.3
    ends = [0, *cuts, 1000]
    experiments = [
        experiment(f"e{start}", first=start / 1000, traffic=(end - start) / 1000)
        for start, end in pairwise(ends)
    ]

    config = ExperimentsConfig.model_validate({"experiments": experiments})

    assert [each.end for each in config.experiments] == [end / 1000 for end in ends[1:]]


def test_bundles_are_each_slot_once_as_first_named():
    config = ExperimentsConfig.model_validate(
        {
            "experiments": [
                with_bundle("one", traffic=0.5),
                with_bundle("two", first=0.5, traffic=0.5),
                experiment("marks", layer="page"),
            ]
        }
    )

    assert config.bundles == ("challenger",)
