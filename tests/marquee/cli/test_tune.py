from pathlib import Path

from marquee.config import TrainingConfig
from tests.small_run import DATASET, Place, run_here, write_recipe

SPACE = """
boosters: [xgboost, lightgbm]
xgboost: {max_depth: {type: choice, values: [1, 2]}, n_estimators: {type: choice, values: [4, 8]}}
lightgbm: {n_estimators: {type: choice, values: [4, 8]}}
"""


def arguments(place: Place, *more: str) -> list[str]:
    (place.root / "small.yaml").write_text(SPACE, encoding="utf-8")
    return [
        "tune", DATASET, "--source", str(place.root / "source"), "--config", str(place.root / "recipe.yaml"),
        "--space", str(place.root / "small.yaml"), *more,
    ]  # fmt: skip


def test_tune_leaves_a_configuration_that_train_takes(place: Place):
    outcome = run_here(*arguments(place, "--trials", "3", "--seconds", "600", "--json"), at=place)

    assert outcome.code == 0, outcome
    found = outcome.json
    assert len(found["trials"]) == 3
    assert found["best"] == max(trial["value"] for trial in found["trials"] if not trial["pruned"])
    config = TrainingConfig.from_file(Path(found["config"]))
    assert config.ranker.model_dump(mode="json") == found["ranker"]
    assert config.union.depth == 40  # the recipe's own values are in it
    assert found["study"].startswith(str(place.settings.data))


def test_tune_called_again_goes_on(place: Place):
    run_here(*arguments(place, "--trials", "2", "--seconds", "600", "--json"), at=place)

    outcome = run_here(*arguments(place, "--trials", "3", "--seconds", "600"), at=place)

    assert outcome.code == 0, outcome
    assert "3, " in outcome.out.split("trials")[1].splitlines()[0]
    assert "marquee train" in outcome.out


def test_tune_without_budget_is_one_clear_error(place: Place):
    run_here(*arguments(place, "--trials", "0"), at=place).require_error("--trials = 0")


def test_tune_unknown_space_names_the_presets(place: Place):
    run_here("tune", DATASET, "--space", "huge", at=place).require_error("huge", "brief, default")


def test_tune_study_of_another_recipe_is_one_clear_error(place: Place):
    study = ["--study", str(place.root / "study"), "--trials", "1"]
    run_here(*arguments(place, *study), at=place)

    run_here(*arguments(place, *study, "--seed", "8"), at=place).require_error("study.db", "seed")


def test_tune_another_recipe_begins_a_search_of_its_own(place: Place):
    once = ["--trials", "1", "--seconds", "600", "--json"]
    first = run_here(*arguments(place, *once), at=place).json
    write_recipe(place.root / "recipe.yaml", union={"depth": 30})

    second = run_here(*arguments(place, *once), at=place).json

    assert second["study"] != first["study"]
    assert Path(second["study"]).parent.parent == Path(first["study"]).parent.parent
    assert len(second["trials"]) == 1


def test_tune_into_a_folder_of_ones_own_says_how_a_page_shows_it(place: Place):
    outcome = run_here(*arguments(place, "--study", str(place.root / "mine"), "--trials", "1"), at=place)

    assert f"marquee report --study {place.root / 'mine'}" in outcome.out


def test_tune_table_shows_trials_and_values_whole(place: Place):
    outcome = run_here(*arguments(place, "--trials", "2", "--seconds", "600"), at=place)

    table = outcome.out[outcome.out.index("Best trials") : outcome.out.index("Next")]
    assert "…" not in table
    assert [line.split()[0] for line in table.splitlines()[2:4]] in (["0", "1"], ["1", "0"])
