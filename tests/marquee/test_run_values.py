import json
import os
from pathlib import Path
from typing import Any

import pytest

from marquee.errors import ConfigError
from marquee.run_values import MAX_PARAMETER_BYTES, RunValues, fingerprint
from marquee.steps.knobs import config_text, read_config

CONFIGS = Path(__file__).parents[2] / "pipelines" / "configs"


def values(**given: Any) -> RunValues:
    return RunValues.from_values(given, where="the test")


@pytest.mark.parametrize("name", ["smoke", "local", "production"])
def test_shipped_values_fit(name: str):
    found = RunValues.from_file(CONFIGS / f"{name}.yaml")

    assert found.parameters(run_id="run-1", reason="manual")["dataset"] == found.dataset


def test_values_of_an_empty_file_are_the_defaults(tmp_path: Path):
    (tmp_path / "values.yaml").write_text("# nothing\n", encoding="utf-8")

    assert RunValues.from_file(tmp_path / "values.yaml") == RunValues()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("dataset: ml-100k\ntraining: {sede: 7}", ("training.sede", "7")),
        ("training: {routes: {ease: {regularization: -1}}}", ("training.routes.ease.regularization", "-1")),
        ("tuning: {seconds: soon}", ("tuning.seconds", "'soon'")),
        ("tuning: {trials: 0}", ("tuning.trials", "0")),
        ("dataset: ml-101k", ("dataset", "'ml-101k'", "ml-100k")),
        ("monitoring: {}", ("monitoring",)),
        ("training: {evaluation: {ks: [5]}}", ("training: ", "evaluation.ks = (5,)", "headline")),
        ("[1, 2]", ("[1, 2]",)),
        ("{", ()),
    ],
)
def test_values_that_do_not_fit_are_refused_by_file_key_and_value(
    tmp_path: Path, text: str, named: tuple[str, ...]
):
    path = tmp_path / "nightly.yaml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError) as caught:
        RunValues.from_file(path)

    for part in ("nightly.yaml", *named):
        assert part in caught.value.problem
    assert caught.value.remedy


def test_values_that_are_not_there_are_named(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"absent\.yaml can't be read"):
        RunValues.from_file(tmp_path / "absent.yaml")


def test_parameters_carry_the_whole_configuration_to_the_steps():
    wanted = values(training={"seed": 11, "routes": {"ease": {"regularization": 250}}}, tuning={"trials": 3})

    given = wanted.parameters(run_id="run-1", reason="drift")

    assert read_config(given["config"]) == wanted.training
    assert (given["run_id"], given["reason"], given["tuning_trials"]) == ("run-1", "drift", 3)
    assert json.loads(given["config"]) == {"routes": {"ease": {"regularization": 250}}, "seed": 11}


def test_parameters_of_equal_values_are_equal_whatever_the_order_of_their_keys():
    one = values(training={"seed": 11, "routes": {"ease": {"regularization": 250}}})
    other = values(training={"routes": {"ease": {"regularization": 250}}, "seed": 11})

    assert one.parameters(run_id="a", reason="") == other.parameters(run_id="a", reason="")


def test_configuration_as_steps_hand_it_on_is_read_back_whole():
    training = values(training={"seed": 11}).training

    assert read_config(config_text(training)) == training


@pytest.mark.parametrize(("text", "named"), [("{", "no JSON"), ('{"sede": 1}', "sede"), ("[]", "config")])
def test_configuration_that_a_step_can_not_read_is_refused(text: str, named: str):
    with pytest.raises(ConfigError, match=named):
        read_config(text)


def test_configuration_longer_than_a_command_line_is_refused():
    numbers = [*range(1, 101), *range(1_000, 1_000 + MAX_PARAMETER_BYTES // 5)]

    with pytest.raises(ConfigError, match="more than a step can be given"):
        values(training={"evaluation": {"ks": numbers}}).parameters(run_id="run-1", reason="")


def test_fingerprint_changes_with_the_content_of_a_folder(tmp_path: Path):
    (tmp_path / "a.csv").write_text("1", encoding="utf-8")
    before = fingerprint(str(tmp_path))

    (tmp_path / "a.csv").write_text("22", encoding="utf-8")
    longer = fingerprint(str(tmp_path))
    (tmp_path / "b.csv").write_text("", encoding="utf-8")
    more = fingerprint(str(tmp_path))

    assert len({before, longer, more, ""}) == 4


def test_fingerprint_changes_with_the_time_of_a_file_of_equal_size(tmp_path: Path):
    file = tmp_path / "a.zip"
    file.write_text("one", encoding="utf-8")
    before = fingerprint(str(file))

    file.write_text("two", encoding="utf-8")
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1_000_000_000))

    assert fingerprint(str(file)) != before


def test_fingerprint_of_the_same_content_is_the_same(tmp_path: Path):
    (tmp_path / "a.csv").write_text("1", encoding="utf-8")

    assert fingerprint(str(tmp_path)) == fingerprint(str(tmp_path))


@pytest.mark.parametrize("source", ["", "https://example.org/ml.zip", "absent"])
def test_fingerprint_of_what_is_no_file_here_is_empty(source: str):
    assert fingerprint(source) == ""


def test_values_in_a_file_that_is_no_text_are_a_clear_error(tmp_path: Path):
    (tmp_path / "values.yaml").write_bytes(b"dataset: \xff")

    with pytest.raises(ConfigError, match=r"values\.yaml is no YAML"):
        RunValues.from_file(tmp_path / "values.yaml")
