from pathlib import Path

import pytest

from marquee.experiments.assignment import assign
from marquee.experiments.config import read_experiments
from tests.small_run import Place, run_here

EXPERIMENTS = """
experiments:
  - name: fresh-ranker
    traffic: 0.2
    variants: [{name: control}, {name: fresh, bundle: challenger, weight: 3}]
  - name: tiles
    layer: page
    is_on: false
    surfaces: [home, similar]
    variants: [{name: small}, {name: large}]
  - {name: words, layer: text, variants: [{name: plain}, {name: warm}]}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "experiments.yaml"
    path.write_text(EXPERIMENTS, encoding="utf-8")
    return path


@pytest.fixture
def here(tmp_path: Path) -> Place:
    return Place(tmp_path)


def line_with(word: str, text: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if word in line]
    return line.split()


def test_check_shows_users_shares_and_bundle_slots(here: Place, file: Path):
    shown = run_here("experiment", "check", file, at=here).out

    assert line_with("fresh-ranker", shown) == (
        ["fresh-ranker", "on", "home", "model", "0–0.2", "control:", "25.00%,", "default"]
    )
    assert line_with("fresh:", shown) == ["fresh:", "75.00%,", "challenger"]
    assert line_with("tiles", shown)[1:5] == ["off", "home,", "similar", "page"]
    assert "Bundle slots beside the default one: challenger." in shown


def test_check_json_is_the_file_with_what_follows_from_it(here: Place, file: Path):
    shown = run_here("experiment", "check", file, "--json", at=here).json

    assert (shown["path"], shown["is_on"], shown["bundles"]) == (str(file), True, ["challenger"])
    fresh = shown["experiments"][0]
    assert (fresh["salt"], fresh["first"], fresh["end"]) == ("fresh-ranker", 0, 0.2)
    assert [variant["share"] for variant in fresh["variants"]] == [0.25, 0.75]


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "The file holds no experiment."), (f"is_on: false\n{EXPERIMENTS}", "All are off")],
)
def test_check_says_when_nothing_runs(here: Place, file: Path, text: str, said: str):
    file.write_text(text, encoding="utf-8")

    assert said in run_here("experiment", "check", file, at=here).out


def test_check_of_a_wrong_file_is_an_error_with_key_and_value(here: Place, file: Path):
    file.write_text(EXPERIMENTS.replace("traffic: 0.2", "traffic: 20"), encoding="utf-8")

    outcome = run_here("experiment", "check", file, at=here)

    outcome.require_error(str(file), "experiments.0.traffic = 20", "less than or equal to 1")


def test_assign_json_is_what_the_library_says(here: Place, file: Path):
    config = read_experiments(file)
    for user in ("1", "2", "3", "4"):
        shown = run_here("experiment", "assign", user, "--config", file, "--json", at=here).json

        expected = [each._asdict() for each in assign(user, config)]
        assert shown == {"user_id": user, "surface": "home", "assignments": expected}


def test_assign_shows_an_override_as_one(here: Place, file: Path):
    arguments = ["experiment", "assign", "1", "--config", file]

    drawn = run_here(*arguments, at=here).out
    forced = run_here(*arguments, "--override", "fresh-ranker=fresh", at=here).out

    assert line_with("words", drawn)[2:4] == ["default", "drawn"]
    assert line_with("fresh-ranker", forced)[1:5] == ["fresh", "challenger", "override", "0.7500"]


def test_assign_of_a_user_in_nothing_says_so(here: Place, file: Path):
    shown = run_here("experiment", "assign", "[bold]", "--config", file, "--surface", "similar", at=here).out

    assert shown == "[bold] is in no experiment on similar.\n"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--surface", "house"], ["surface = 'house'", "home, similar, trending, popular"]),
        (["--override", "fresh-ranker=new"], ["'fresh-ranker' = 'new'", "control, fresh"]),
        (["--override", "fresh-ranker"], ["--override = 'fresh-ranker'", "EXPERIMENT=VARIANT"]),
    ],
)
def test_assign_on_what_is_unknown_is_an_error_that_lists_the_known(
    here: Place, file: Path, arguments: list[str], named: list[str]
):
    outcome = run_here("experiment", "assign", "1", "--config", file, *arguments, at=here)

    outcome.require_error(*named)


def test_assign_without_a_file_names_the_option(here: Place):
    outcome = run_here("experiment", "assign", "1", "--config", here.root / "none.yaml", at=here)

    outcome.require_error("none.yaml can't be read", "--config")
