"""`marquee pipeline …` up to where a pipeline begins."""

from pathlib import Path

import pytest
import yaml

from marquee.errors import ConfigError
from marquee.run_values import RunValues
from pipelines.values import CONFIGS, changed, read_values
from tests.small_run import Place, run_process


@pytest.mark.parametrize("name", sorted(path.stem for path in CONFIGS.glob("*.yaml")))
def test_values_are_found_by_the_name_of_a_shipped_file(name: str):
    assert read_values(name) == RunValues.from_file(CONFIGS / f"{name}.yaml")


def test_values_are_found_by_a_path(tmp_path: Path):
    (tmp_path / "mine.yaml").write_text("training: {seed: 5}", encoding="utf-8")

    assert read_values(str(tmp_path / "mine.yaml")).training.seed == 5


def test_values_of_an_unknown_name_are_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"'nightly' is none of local, production, smoke"):
        read_values("nightly")


def test_command_line_changes_what_it_names_only():
    values = RunValues.from_values(
        {"dataset": "synthetic", "training": {"gate": {"min_queries": 7}, "seed": 1}}, where="the test"
    )

    found = changed(values, source="elsewhere", seed=5)

    assert (found.dataset, found.source, found.training.seed) == ("synthetic", "elsewhere", 5)
    assert found.training.gate.min_queries == 7
    assert changed(values) == values


def test_command_line_s_values_are_checked_as_those_of_a_file():
    with pytest.raises(ConfigError, match="dataset = 'ml-101k' is none of"):
        changed(RunValues(), dataset="ml-101k")


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"training": {"sede": 7}}, ("training.sede", "7")),
        ({"training": {"seed": "seven"}}, ("training.seed", "'seven'")),
    ],
)
def test_run_with_values_that_do_not_fit_stops_before_anything_happens(
    place: Place, values: dict[str, object], named: tuple[str, ...]
):
    path = place.root / "nightly.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")

    outcome = run_process(["pipeline", "run", "--values", path], at=place)

    outcome.require_error("nightly.yaml", *named)
    assert not place.runs.exists()


def test_graph_command_prints_a_flowchart(place: Place):
    outcome = run_process(["pipeline", "graph", "batch"], at=place)

    assert outcome.code == 0, outcome
    assert outcome.out.startswith("flowchart TD\n")
    assert "score-lists" in outcome.out


def test_graph_of_an_unknown_pipeline_is_refused(place: Place):
    run_process(["pipeline", "graph", "forecasting"], at=place).require_error("monitoring", "training")
