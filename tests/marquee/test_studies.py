import json
import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from marquee.config import TrainingConfig
from marquee.errors import ConfigError
from marquee.ranking.rankers import RankerConfig
from marquee.ranking.search import SearchResult, read_study
from marquee.studies import BEST, STUDY, StudyOfRun, copy_study, find_study, study_folder, subject
from tests.marquee.ranking.test_search import SEARCH

SNAPSHOT = "0123456789abcdef"
CONFIG = TrainingConfig()


def searched(
    studies: Path, space: str = "default", *, config: TrainingConfig = CONFIG, age_s: int = 0, trials: int = 2
) -> SearchResult:
    """A real search's file, where `marquee tune` has it; it ended so many seconds ago."""
    path = study_folder(studies, space, snapshot=SNAPSHOT, config=config) / STUDY
    budget = SEARCH.config.model_copy(update={"trials": trials})
    search = replace(SEARCH, config=budget, seed=config.seed)
    found = search.run(path, identity=subject(SNAPSHOT, config), on_trial=lambda _n, _s: None)
    os.utime(path, (1e9 - age_s, 1e9 - age_s))
    return found


def changed(**values: object) -> TrainingConfig:
    return TrainingConfig.from_values(values, where="the test")


def found_in(studies: Path, config: TrainingConfig = CONFIG, snapshot: str = SNAPSHOT) -> StudyOfRun:
    return find_study(studies, snapshot=snapshot, config=config)


def test_folder_tells_snapshots_and_recipes_apart_but_not_rankers(tmp_path):
    def folder(config: TrainingConfig, snapshot: str = SNAPSHOT) -> Path:
        return study_folder(tmp_path, "my/wide.yaml", snapshot=snapshot, config=config)

    usual = folder(CONFIG)

    assert usual.parent == tmp_path
    assert usual.name.startswith("wide-seed7-01234567-")
    assert folder(changed(ranker={"booster": "xgboost"})) == usual
    assert folder(changed(gate={"max_relative_loss": 0.5})) == usual  # judges, and makes nothing
    others = [folder(changed(union={"depth": 90})), folder(changed(seed=8)), folder(CONFIG, "f" * 16)]
    assert len({usual, *others}) == 4


def test_study_nowhere_says_nothing(tmp_path):
    assert found_in(tmp_path / "none") == StudyOfRun(None, "")


def test_study_of_the_runs_recipe_is_found_whatever_the_ranker(tmp_path):
    searched(tmp_path)

    found = found_in(tmp_path, changed(ranker={"booster": "xgboost"}))

    assert found.path == study_folder(tmp_path, "default", snapshot=SNAPSHOT, config=CONFIG) / STUDY
    assert found.note.startswith("2 trials of default-seed7-01234567-")
    assert "not the best of them" in found.note


def test_study_whose_best_is_not_the_runs_says_where_the_best_is(tmp_path):
    searched(tmp_path)
    best = study_folder(tmp_path, "default", snapshot=SNAPSHOT, config=CONFIG) / BEST
    best.write_text("{}", encoding="utf-8")

    assert found_in(tmp_path).note.endswith(f"see {best}")


def test_study_that_found_the_runs_ranker_goes_before_a_newer_one(tmp_path):
    older = searched(tmp_path, "default", age_s=100)
    searched(tmp_path, "brief", trials=4)
    tuned = CONFIG.model_copy(update={"ranker": older.best})
    assert older.best != SEARCH.start

    found = found_in(tmp_path, tuned)

    assert found.path is not None
    assert found.path.parent.name.startswith("default-")
    assert found.note.endswith("this run's ranker is the best of them")


def test_study_of_two_that_match_is_the_newer(tmp_path):
    searched(tmp_path, "default", age_s=100)
    searched(tmp_path, "brief", age_s=50)

    path = found_in(tmp_path).path

    assert path is not None
    assert path.parent.name.startswith("brief-")


def test_study_of_another_snapshot_is_counted_and_not_opened(tmp_path):
    searched(tmp_path)
    path = next(tmp_path.glob(f"*/{STUDY}"))
    path.write_bytes(b"no database")  # whoever opens it notices

    found = found_in(tmp_path, snapshot="f" * 16)

    assert found == StudyOfRun(None, f"none of this snapshot, 1 of others in {tmp_path}")


def test_study_of_another_recipe_names_what_is_different(tmp_path):
    searched(tmp_path)

    found = found_in(tmp_path, changed(union={"depth": 90}))

    assert found.path is None
    assert "is of another recipe: union.depth" in found.note


def test_study_of_a_very_different_recipe_names_three_keys(tmp_path):
    searched(tmp_path)

    found = found_in(tmp_path, changed(seed=8, union={"depth": 90}, ratings={"factors": 3, "tastes": 4}))

    assert found.note.endswith("is of another recipe: seed, union.depth, ratings.factors and 1 more")


def test_study_by_its_folder_the_runs_but_not_by_its_content_is_not_shown(tmp_path):
    other = changed(union={"depth": 90})
    searched(tmp_path, config=other)
    lying = study_folder(tmp_path, "default", snapshot=SNAPSHOT, config=CONFIG)
    study_folder(tmp_path, "default", snapshot=SNAPSHOT, config=other).rename(lying)

    found = found_in(tmp_path)

    assert found.path is None
    assert "union.depth" in found.note


@pytest.mark.parametrize("content", [b"", b"no database"])
def test_study_that_is_torn_is_a_note_and_no_error(tmp_path, content):
    folder = study_folder(tmp_path, "default", snapshot=SNAPSHOT, config=CONFIG)
    folder.mkdir()
    (folder / STUDY).write_bytes(content)

    found = found_in(tmp_path)

    assert found.path is None
    assert "is no study of `marquee tune`" in found.note


def test_study_that_is_torn_does_not_hide_a_whole_one(tmp_path):
    searched(tmp_path, age_s=100)
    folder = study_folder(tmp_path, "brief", snapshot=SNAPSHOT, config=CONFIG)
    folder.mkdir()
    (folder / STUDY).write_bytes(b"no database")

    assert found_in(tmp_path).path is not None


def test_copy_is_whole_while_another_process_has_begun_to_write(tmp_path):
    made = searched(tmp_path)
    path, to = next(tmp_path.glob(f"*/{STUDY}")), tmp_path / "odd #1% name.db"

    with sqlite3.connect(path) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM trials")
        copy_study(path, to)
        writer.rollback()
    writer.close()

    assert read_study(to)[0].best == made.best
    assert [each.name for each in tmp_path.glob("*.tmp")] == []


def test_copy_of_no_database_is_one_clear_error(tmp_path):
    (tmp_path / STUDY).write_bytes(b"no database, whatever its name says")

    with pytest.raises(ConfigError, match="can't be copied"):
        copy_study(tmp_path / STUDY, tmp_path / "copy.db")

    assert [each.name for each in tmp_path.iterdir()] == [STUDY]


def test_subject_is_what_json_gives_back():
    assert json.loads(json.dumps(subject(SNAPSHOT, CONFIG))).keys() == subject(SNAPSHOT, CONFIG).keys()
    assert "ranker" not in subject(SNAPSHOT, changed(ranker=RankerConfig().model_dump()))
