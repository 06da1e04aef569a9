"""The folder that a local pipeline works in, and the materialization pipeline through it."""

import json
import os
import re
import time
from pathlib import Path

import pytest

from pipelines import run_local as subject
from pipelines.run_local import LocalRun, code_version
from tests.pipelines.local_pipelines import (
    DATA_STEPS,
    Tried,
    run_local_pipeline,
    tried_once,
    work_folders,
)
from tests.small_run import Place


@pytest.fixture(scope="module")
def materialized(tmp_path_factory: pytest.TempPathFactory) -> Tried:
    """The state of the small data set, brought online without a training."""

    def run(root: Path) -> Tried:
        outcome = run_local_pipeline(Place.made(root), "materialization")
        return Tried(str(root), outcome.code, outcome.out, outcome.err, "", 0, 0, None)

    return tried_once(tmp_path_factory, "materialized", run)


def test_materialization_pipeline_brings_the_state_online(materialized: Tried):
    assert materialized.code == 0, materialized
    returned = json.loads(materialized.out.splitlines()[-1])

    assert list(returned) == [*DATA_STEPS, "materialize-features", "notify"]
    place = materialized.place
    matrix = place.settings.item_matrix(place.storage)
    assert any(returned["materialize-features"] in path.name for path in matrix.iterdir())
    assert "SUCCEEDED" in returned["notify"]


def test_pipeline_that_succeeded_leaves_no_work_folder(materialized: Tried):
    assert work_folders(materialized.place) == []


def test_work_of_the_same_code_and_parameters_goes_on_in_the_same_folder(tmp_path: Path):
    with subject._work_folder(tmp_path, "batch", {"n": 5, "run_id": "a", "reason": ""}, "v1") as first:
        pass
    with subject._work_folder(tmp_path, "batch", {"n": 5, "run_id": "b", "reason": "drift"}, "v1") as again:
        pass

    assert again == first
    assert first.is_dir()


@pytest.mark.parametrize(
    ("name", "parameters", "version"),
    [("batch", {"n": 6}, "v1"), ("batch", {"n": 5}, "v2"), ("training", {"n": 5}, "v1")],
)
def test_other_work_has_another_folder(tmp_path: Path, name: str, parameters: dict[str, int], version: str):
    with subject._work_folder(tmp_path, "batch", {"n": 5}, "v1") as first:
        pass
    with subject._work_folder(tmp_path, name, parameters, version) as other:
        pass

    assert other != first


def test_same_work_at_the_same_time_has_a_folder_of_its_own(tmp_path: Path):
    with (
        subject._work_folder(tmp_path, "batch", {"n": 5}, "v1") as first,
        subject._work_folder(tmp_path, "batch", {"n": 5}, "v1") as second,
    ):
        assert first != second


def test_work_that_nobody_went_on_with_for_a_week_is_forgotten(tmp_path: Path):
    eight_days_ago = time.time() - 8 * 24 * 3600
    with subject._work_folder(tmp_path, "training", {"seed": 1}, "v1") as old:
        pass
    with subject._work_folder(tmp_path, "training", {"seed": 2}, "v1") as newer:
        pass
    os.utime(old.with_name(f".{old.name}.lock"), (eight_days_ago, eight_days_ago))

    with subject._work_folder(tmp_path, "training", {"seed": 3}, "v1") as work:
        assert sorted(path.name for path in work.parent.iterdir() if path.is_dir()) == sorted(
            [newer.name, work.name]
        )


def test_code_version_changes_with_the_code_that_steps_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "marquee" / "__pycache__").mkdir(parents=True)
    module = tmp_path / "marquee" / "a.py"
    module.write_text("x = 1\n", encoding="utf-8")
    monkeypatch.setattr(subject, "ROOT", tmp_path)
    before = code_version()

    (tmp_path / "marquee" / "__pycache__" / "a.pyc").write_bytes(b"compiled")
    compiled = code_version()
    module.write_text("x = 2\n", encoding="utf-8")
    edited = code_version()
    module.rename(tmp_path / "marquee" / "b.py")

    assert compiled == before
    assert len({before, edited, code_version()}) == 3


@pytest.mark.parametrize("room", ["marquee", "components", "pipelines", "feature_repo", "requirements"])
def test_code_version_knows_every_room_that_a_run_is_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: str
):
    monkeypatch.setattr(subject, "ROOT", tmp_path)
    before = code_version()
    (tmp_path / room).mkdir()
    (tmp_path / room / "a.py").write_text("x = 1\n", encoding="utf-8")

    assert code_version() != before


def test_graph_is_kept_for_the_same_code_and_made_anew_for_other_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made: list[str] = []

    def compile_pipeline(name: str, path: Path, *, retries: int) -> Path:
        made.append(name)
        path.write_text(f"{name} {len(made)}", encoding="utf-8")
        return path

    monkeypatch.setattr("pipelines.compile.compile_pipeline", compile_pipeline)
    monkeypatch.setenv("MARQUEE_IMAGE", "marquee-python:test")
    work = tmp_path / "work"
    work.mkdir()

    texts = [subject._compiled("batch", work, version).read_text() for version in ("v1", "v1", "v2")]

    assert texts == ["batch 1", "batch 1", "batch 2"]


def test_code_version_of_this_tree_is_the_same_each_time():
    assert re.fullmatch("[0-9a-f]{16}", code_version())
    assert code_version() == code_version()


def outputs(root: Path, try_: str, step: str, *, value: object, uri: str) -> None:
    """What kfp's executor leaves of a step."""
    folder = root / try_ / step
    folder.mkdir(parents=True)
    artifacts = {"model": {"artifacts": [{"uri": uri}]}}
    (folder / "executor_output.json").write_text(
        json.dumps({"parameterValues": {"Output": value}, "artifacts": artifacts}), encoding="utf-8"
    )


def test_outputs_of_a_step_are_those_of_its_newest_try(tmp_path: Path):
    outputs(tmp_path, "marquee-training-2026-01-01", "evaluate-model", value="old", uri="/old")
    outputs(tmp_path, "marquee-training-2026-01-02", "evaluate-model", value="new", uri="/new")

    done = LocalRun(tmp_path, ())

    assert (done.value("evaluate-model"), done.folder("evaluate-model", "model")) == ("new", Path("/new"))


def test_outputs_of_a_step_that_only_an_earlier_try_ran_are_found(tmp_path: Path):
    outputs(tmp_path, "marquee-training-2026-01-01", "train-ranker", value="trees", uri="/old")
    outputs(tmp_path, "marquee-training-2026-01-02", "evaluate-model", value="new", uri="/new")

    assert LocalRun(tmp_path, ()).value("train-ranker") == "trees"


def test_outputs_of_a_step_that_did_not_run_are_none(tmp_path: Path):
    done = LocalRun(tmp_path, ())

    assert (done.value("register-model"), done.folder("register-model", "card")) == (None, None)


@pytest.mark.slow
@pytest.mark.parametrize(("gate", "is_promoted"), [({}, True), ({"min_queries": 1_000}, False)])
def test_python_pipeline_takes_the_gate_s_branch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, gate: dict[str, int], is_promoted: bool
):
    from kfp import local

    from pipelines.training import training_pipeline
    from tests.pipelines.local_pipelines import AFTER_THE_GATE, champion, parameters_of
    from tests.small_run import RECIPE

    place = Place.made(tmp_path / "place")
    monkeypatch.setenv("MARQUEE_DATA", str(place.settings.data))
    monkeypatch.setenv("MARQUEE_RUNS", str(place.runs))
    monkeypatch.setattr(local.config.LocalExecutionConfig, "instance", None)
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "root"))

    with pytest.warns():  # limits and secrets have no effect here
        training_pipeline(retries=0)(**parameters_of(place, gate=RECIPE["gate"] | gate))

    ran = {path.parent.name for path in (tmp_path / "root").rglob("executor_output.json")}
    assert set(AFTER_THE_GATE) & ran == (set(AFTER_THE_GATE) if is_promoted else set())
    assert "notify" in ran
    assert (champion(place) is not None) is is_promoted
