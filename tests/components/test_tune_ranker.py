from pathlib import Path

from kfp import dsl

from components.tune_ranker import tune_ranker
from tests.components.artifacts import artifact


def test_search_without_a_budget_hands_the_configuration_on_unread(tmp_path: Path):
    absent = artifact(dsl.Dataset, tmp_path / "absent")
    study = artifact(dsl.HTML, tmp_path / "study.html")

    handed_on = tune_ranker.python_func(
        data=absent, features=absent, config='{"seed": 7}', space="none", seconds=0.0, trials=0, study=study
    )

    assert handed_on == '{"seed": 7}'
    assert "No search" in Path(study.path).read_text(encoding="utf-8")
