import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.marquee.cli.test_tune import arguments
from tests.small_run import Outcome, Place, run_here, run_process, write_recipe

HEADING = "The search for the ranker"


def tuned(place: Place) -> dict[str, Any]:
    outcome = run_here(*arguments(place, "--trials", "3", "--seconds", "600", "--json"), at=place)
    assert outcome.code == 0, outcome
    return dict(outcome.json)


def trained(place: Place, *more: str | Path) -> Outcome:
    outcome = run_here(*place.train_arguments, *more, at=place)
    assert outcome.code == 0, outcome
    return outcome


def page(place: Place) -> str:
    return (place.latest / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place in which `marquee tune` ran, and `marquee train` after it with what that found."""
    place = Place.made(tmp_path_factory.mktemp("searched"))
    found = tuned(place)
    outcome = trained(place, "--config", found["config"])
    (place.root / "train.out").write_text(outcome.out, encoding="utf-8")
    return place


def test_train_after_tune_shows_the_search_on_the_page(searched: Place):
    assert HEADING in page(searched)
    assert "3 trials" in page(searched)
    assert "This run&#39;s ranker is the best of these trials." in page(searched)


def test_train_after_tune_says_so_in_one_line(searched: Place):
    printed = (searched.root / "train.out").read_text(encoding="utf-8")
    told = [line for line in printed.splitlines() if line.startswith("search ")]

    assert len(told) == 1
    assert "3 trials of small-seed7-" in told[0]


def test_train_leaves_the_search_in_the_run_for_another_place(searched: Place, tmp_path: Path):
    run = tmp_path / "runs" / searched.latest.resolve().name
    shutil.copytree(searched.latest.resolve(), run)

    assert run_here("report", run.name, at=Place(tmp_path)).code == 0

    assert (run / "report.html").read_text(encoding="utf-8") == page(searched)


def test_train_with_another_ranker_shows_the_search_and_says_that(place: Place):
    found = tuned(place)

    # Three rounds: not in the search's space, so that no trial can be this ranker.
    write_recipe(place.root / "recipe.yaml", ranker={"lightgbm": {"n_estimators": 3}})
    outcome = trained(place, "--json")

    assert outcome.json["study"] == found["study"]
    assert "This run&#39;s ranker is not the best of these trials." in page(place)


def test_train_with_another_recipe_says_why_the_search_is_not_shown(place: Place):
    tuned(place)

    write_recipe(place.root / "recipe.yaml", union={"depth": 30})
    outcome = trained(place)

    assert "is of another recipe: union.depth" in " ".join(outcome.out.split())
    assert HEADING not in page(place)
    assert not (place.latest / "study.db").exists()


def test_train_on_newer_events_says_that_the_search_is_of_another_snapshot(place: Place):
    tuned(place)

    events = place.root / "source" / "events.csv"
    lines = events.read_text(encoding="utf-8").splitlines()
    events.write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
    shutil.rmtree(place.settings.data / "warehouse")
    shutil.rmtree(place.settings.data / "features")
    outcome = trained(place)

    assert "none of this snapshot, 1 of others in" in " ".join(outcome.out.split())
    assert HEADING not in page(place)


def test_train_without_a_search_is_silent_and_imports_no_optuna(place: Place):
    outcome = run_process(
        [*place.train_arguments, "--json"], at=place, environment={"PYTHONPROFILEIMPORTTIME": "1"}
    )

    assert outcome.code == 0
    assert json.loads(outcome.out)["study"] is None
    assert re.search(r"\| +lightgbm$", outcome.err, re.MULTILINE)  # imports are listed
    assert "optuna" not in outcome.err


def test_train_with_a_torn_search_trains_and_says_so(place: Place):
    found = tuned(place)
    Path(found["study"]).write_bytes(b"no database")

    outcome = trained(place)

    assert "is no study of `marquee tune`" in " ".join(outcome.out.split())
    assert HEADING not in page(place)


def test_report_after_a_later_search_finds_it(place: Place):
    trained(place)
    assert HEADING not in page(place)
    found = tuned(place)

    outcome = run_here("report", at=place)

    assert outcome.code == 0, outcome
    assert HEADING in page(place)
    assert f"search: 3 trials of {Path(found['study']).parent.name}" in outcome.out
