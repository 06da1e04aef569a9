from pathlib import Path

import pytest
from pydantic import ValidationError

from marquee.config import TrainingConfig
from marquee.errors import ConfigError
from marquee.settings import Settings


def read(tmp_path, text: str) -> TrainingConfig:
    file = tmp_path / "run.yaml"
    file.write_text(text, encoding="utf-8")
    return TrainingConfig.from_file(file)


def test_from_file_keeps_the_defaults_of_what_it_does_not_name(tmp_path):
    config = read(tmp_path, "seed: 11\nroutes:\n  ease: {regularization: 250}\n")

    assert config.seed == 11
    assert config.routes.ease.regularization == 250
    assert config == TrainingConfig.model_validate({"seed": 11, "routes": {"ease": {"regularization": 250}}})
    assert config.union == TrainingConfig().union


def test_from_file_that_is_empty_is_the_defaults(tmp_path):
    assert read(tmp_path, "") == TrainingConfig()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("sead: 1", "sead"),
        ("routes: {ease: {lambda: 1}}", "routes.ease.lambda"),
        ("routes: {ease: {regularization: -3}}", "-3"),
        ("routes: {enabled: [ease, nonsense]}", "nonsense"),
        ("union: {depth: many}", "many"),
        ("features: {views_off: [weather]}", "weather"),
        ("policy: {diversity: {relevance: 1.5}}", "policy.diversity.relevance"),
        ("policy: {limit_without_profile: 22}", "22"),
        ("evaluation: {ks: [5]}", "ks"),
        ("gate: {k: 3, cuts: [{k: 3, tolerance: 0}]}", "3"),
        ("- a\n- list", "top level"),
        ("seed: [", "run.yaml"),
        ("seed: 2020-13-45", "month must be in"),
        ("ranker: {lightgbm: {learning_rate: .inf}}", "ranker.lightgbm.learning_rate = inf is not finite"),
        ("routes: {ease: {half_life_events: .inf}}", "routes.ease.half_life_events = inf is not finite"),
        ("seed: !!python/object/apply:os.getcwd []", "run.yaml"),
    ],
)
def test_from_file_that_does_not_fit_names_file_and_fault(tmp_path, text, named):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)

    assert named in caught.value.problem
    assert "run.yaml" in caught.value.problem


def test_from_file_that_is_missing_or_binary_is_refused(tmp_path):
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")

    for name in ("binary.yaml", "missing.yaml"):
        with pytest.raises(ConfigError, match=name):
            TrainingConfig.from_file(tmp_path / name)


def test_config_survives_its_own_json():
    config = TrainingConfig(seed=3)

    assert TrainingConfig.model_validate_json(config.model_dump_json()) == config
    assert TrainingConfig.model_validate(config.model_dump(mode="json")) == config


def test_config_cannot_be_changed():
    with pytest.raises(ValidationError):
        TrainingConfig().seed = 3


def test_settings_come_from_the_environment_and_strangers_are_left_alone():
    settings = Settings.from_environment({"MARQUEE_DATA": "elsewhere", "MARQUEE_OTHER": "x", "HOME": "y"})

    assert settings.data == Path("elsewhere")
    assert settings.runs == Settings().runs


def test_settings_empty_variable_is_as_good_as_none():
    assert Settings.from_environment({"MARQUEE_RUNS": ""}) == Settings()


def test_what_watches_feeds_and_lists_is_no_part_of_a_bundle():
    patient = TrainingConfig.from_values({"drift": {"policy": {"threshold": 6.0}}}, where="the test")

    assert patient != TrainingConfig()
    assert patient.as_trained == TrainingConfig().as_trained
    assert TrainingConfig.from_values(patient.as_trained, where="a bundle") == TrainingConfig()
