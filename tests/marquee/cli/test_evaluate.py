import json
from pathlib import Path

from tests.small_run import Place, Shell, run_here, write_recipe


def metrics(place: Place) -> dict[str, object]:
    return dict(json.loads((place.latest / "metrics.json").read_text(encoding="utf-8")))


def test_evaluate_repeats_every_number_of_the_run(shell: Shell, trained: Place):
    again = shell("evaluate", "--json").json

    run = metrics(trained)
    assert again["models"] == run["models"]
    for key in ("intervals", "comparisons", "slices", "recall_ceiling", "gate"):
        assert again[key] == run[key]


def test_evaluate_json_names_the_bundle_that_it_measured(shell: Shell, trained: Place):
    manifest = json.loads((trained.latest / "evaluated" / "manifest.json").read_text(encoding="utf-8"))

    again = shell("evaluate", "--json").json

    assert again["bundle_id"] == manifest["bundle_id"] != trained.bundle_id()
    assert again["dataset"] == "folder"


def test_evaluate_of_the_served_bundle_is_refused(shell: Shell, trained: Place):
    shell("evaluate", "--bundle", trained.latest / "bundle").require_error("knows the answers", "evaluated/")


def test_evaluate_of_a_run_folder_measures_its_evaluated_bundle(shell: Shell, trained: Place):
    given = shell("evaluate", "--bundle", trained.latest.resolve(), "--json").json

    assert given["models"] == metrics(trained)["models"]


def test_evaluate_without_a_warehouse_says_so(trained: Place, tmp_path: Path):
    run_here("evaluate", "--runs", trained.runs, at=Place(tmp_path)).require_error("warehouse")


def test_evaluate_with_another_configuration_measures_by_it(shell: Shell, trained: Place, tmp_path: Path):
    strict = write_recipe(tmp_path / "strict.yaml", temporal={"min_events": 8})

    fewer = shell("evaluate", "--config", strict, "--json").json

    assert fewer["n_queries"] < metrics(trained)["n_queries"]  # type: ignore[operator]
