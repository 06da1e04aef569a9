"""`marquee pipeline run` from the compiled YAML, through kfp's own local runner."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from marquee.observing import SilentObserver
from marquee.run_values import RunValues
from pipelines import train_here as subject
from pipelines.narrator import Step
from pipelines.run_local import LocalRun
from tests.pipelines.local_pipelines import (
    AFTER_THE_GATE,
    DATA_STEPS,
    TRAINING_STEPS,
    Tried,
    alias_document,
    begun,
    executed,
    run_local_pipeline,
    tried_once,
    values_of,
    work_folders,
    write_values,
)
from tests.small_run import NOW, UNREACHABLE_GATE, Place

FINISHED = ["bundle", "bundle.txt", "config.yaml", "evaluated", "metrics.json", "pipeline.log", "report.html"]


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory) -> Tried:
    """A run whose challenger the gate lets pass."""

    def run(root: Path) -> Tried:
        place = Place.made(root)
        write_values(place)
        return Tried.at(place)

    return tried_once(tmp_path_factory, "passed", run)


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Tried:
    """A run whose evaluation can't read who is champion: somebody spoilt the document."""

    def run(root: Path) -> Tried:
        place = Place.made(root)
        write_values(place, gate=UNREACHABLE_GATE)
        alias_document(place).parent.mkdir(parents=True)
        alias_document(place).write_text('{"moves": [], "kept_by": "hand"}', encoding="utf-8")
        return Tried.at(place)

    return tried_once(tmp_path_factory, "broken", run)


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory, broken: Tried) -> Tried:
    """The same run again, mended; the gate refuses its challenger."""

    def run(_: Path) -> Tried:
        alias_document(broken.place).unlink()
        return Tried.at(broken.place)

    return tried_once(tmp_path_factory, "refused", run)


def test_run_whose_challenger_passes_runs_all_steps_and_notifies_last(passed: Tried):
    ran = executed(passed.log)

    assert passed.code == 0, passed
    assert sorted(ran) == sorted(
        [*DATA_STEPS, *TRAINING_STEPS, "evaluate-model", "gate-model", *AFTER_THE_GATE, "notify"]
    )
    assert tuple(ran[-4:]) == (*AFTER_THE_GATE, "notify")


def test_run_whose_challenger_passes_makes_it_champion(passed: Tried):
    metrics = json.loads((passed.place.latest / "metrics.json").read_text(encoding="utf-8"))

    assert metrics["gate"]["passed"]
    assert passed.n_versions == 1
    assert passed.champion == passed.place.bundle_id() == metrics["bundle_id"]
    assert passed.place.bundle_id(f"champion-{passed.place.storage}") == metrics["bundle_id"]


def test_run_leaves_the_folder_that_marquee_train_leaves_and_its_log(passed: Tried, trained: Place):
    left = sorted(path.name for path in passed.place.latest.iterdir())

    assert left == FINISHED
    assert set(left) - {"pipeline.log"} == {path.name for path in trained.latest.iterdir()}
    assert passed.n_runs == 1
    assert passed.place.partial_runs() == []
    assert (passed.place.latest / "bundle.txt").read_text(encoding="utf-8").strip() == str(
        (passed.place.latest / "bundle").resolve()
    )


def test_run_gives_the_bundles_and_numbers_of_marquee_train(passed: Tried, trained: Place):
    here, there = (
        json.loads((place.latest / "metrics.json").read_text(encoding="utf-8"))
        for place in (passed.place, trained)
    )

    assert passed.place.bundle_id() == trained.bundle_id()
    assert _evaluated_id(passed.place) == _evaluated_id(trained)
    for part in ("models", "intervals", "gate", "second_stage", "data", "snapshot", "cut_us", "seed"):
        assert here[part] == there[part], part


def _evaluated_id(place: Place) -> str:
    manifest = place.latest / "evaluated" / "manifest.json"
    return str(json.loads(manifest.read_text(encoding="utf-8"))["bundle_id"])


def test_run_that_succeeded_leaves_no_work_folder(passed: Tried):
    assert work_folders(passed.place) == []


def test_run_tells_people_the_verdict_and_where_things_lie_without_the_runner_s_noise(passed: Tried):
    shown = passed.out + passed.err

    assert "Gate: passed" in shown
    assert passed.place.bundle_id() in shown
    assert "KFP Executor" not in shown
    assert "Warning" not in shown


@pytest.fixture(scope="module")
def batched(tmp_path_factory: pytest.TempPathFactory, passed: Tried) -> Tried:
    """The champion's lists for everybody, after the run."""

    def run(_: Path) -> Tried:
        outcome = run_local_pipeline(passed.place, "batch", n=5)
        return replace(passed, code=outcome.code, out=outcome.out, err=outcome.err)

    return tried_once(tmp_path_factory, "batched", run)


@pytest.mark.slow
def test_batch_pipeline_keeps_a_row_per_user_and_place(batched: Tried):
    assert batched.code == 0, batched
    (file,) = (batched.place.runs / "models" / "lists").rglob("*.parquet")
    lists = pl.read_parquet(file)

    assert lists.columns == ["user_id", "rank", "item_id", "score", "bundle_id"]
    assert lists.height == 75 * 5
    assert lists["bundle_id"].unique().to_list() == [batched.champion]
    assert lists.select("user_id", "item_id").is_unique().all()
    ranks = lists.group_by("user_id").agg(pl.col("rank").sort())
    assert ranks["rank"].to_list() == [[1, 2, 3, 4, 5]] * 75


@pytest.mark.slow
def test_batch_pipeline_recommends_nothing_that_a_user_saw(batched: Tried):
    (file,) = (batched.place.runs / "models" / "lists").rglob("*.parquet")
    seen = pl.read_csv(batched.place.root / "source" / "events.csv").select("user_id", "item_id")

    again = pl.read_parquet(file).join(seen, on=["user_id", "item_id"], how="semi")

    assert again.height == 0


@pytest.mark.slow
def test_batch_pipeline_scores_fall_along_each_list(batched: Tried):
    (file,) = (batched.place.runs / "models" / "lists").rglob("*.parquet")

    falls = (
        pl.read_parquet(file)
        .sort("user_id", "rank")
        .select((pl.col("score").diff().over("user_id").fill_null(0) <= 0).all())
    )

    assert falls.item()


def test_step_that_fails_midway_stops_what_depends_on_it_and_notifies_of_the_failure(broken: Tried):
    ran = executed(broken.log)

    assert sorted(ran) == sorted([*DATA_STEPS, *TRAINING_STEPS, "evaluate-model", "notify"])
    assert ran[-1] == "notify"
    assert "FAILED (started by manual)" in broken.log


def test_step_that_fails_midway_registers_nothing_and_leaves_no_run(broken: Tried):
    assert (broken.n_runs, broken.n_versions) == (0, 0)
    assert broken.place.partial_runs() == []


def test_step_that_fails_midway_is_named_with_its_traceback_and_the_log(broken: Tried):
    outcome = broken

    assert outcome.code not in {0, 1}, outcome
    assert "step evaluate-model failed" in outcome.err
    assert "Traceback (most recent call last):" in outcome.err
    assert "in the alias store is none of our documents" in outcome.err
    assert "pipeline.log" in outcome.err.replace("\n", "")
    assert outcome.out == ""


def test_run_after_mending_takes_finished_steps_from_the_cache(refused: Tried):
    again = refused.log.rpartition("Running pipeline")[2]

    assert sorted(executed(again)) == ["evaluate-model", "gate-model", "notify"]


def test_run_after_mending_says_what_it_reused(refused: Tried):
    line = next(line for line in refused.out.splitlines() if line.startswith("reused"))

    assert "build-features" in line
    assert "evaluate-model" not in line


def test_run_after_mending_is_whole_and_leaves_no_work_folder(refused: Tried):
    metrics = json.loads((refused.place.latest / "metrics.json").read_text(encoding="utf-8"))

    assert sorted(path.name for path in refused.place.latest.iterdir()) == FINISHED
    assert (refused.n_runs, work_folders(refused.place)) == (1, [])
    of_first_try = {"fetch and ingest", "feature state", "training set", "ranker", "candidates"}
    assert of_first_try | {"evaluate", "write bundle"} <= set(metrics["seconds"])


def test_run_whose_challenger_is_refused_registers_nothing_and_exits_with_1(refused: Tried):
    ran = begun(refused.log)

    assert refused.code == 1, refused
    assert "Gate: refused" in refused.out + refused.err
    assert not set(ran) & set(AFTER_THE_GATE)
    assert (refused.n_versions, refused.champion) == (0, None)
    assert not (refused.place.runs / "models" / "bundles").exists()
    assert not list(refused.place.runs.glob("champion-*"))


def test_run_that_is_refused_is_no_champion_though_an_earlier_try_registered_it(
    trained: Place, place: Place, monkeypatch: pytest.MonkeyPatch
):
    root = place.root / "work" / "root"
    _left(root / "marquee-training-1" / "register-model", uri="", value="80009c9787dddc9b")
    model = _left(root / "marquee-training-2" / "evaluate-model", uri="model", value="80009c9787dddc9b")
    shutil.copytree(trained.latest, model, ignore=shutil.ignore_patterns("bundle.txt"))
    (root.parent / "pipeline.log").write_text("", encoding="utf-8")
    steps = tuple(Step(name, 0.0, status="SUCCESS") for name in ("evaluate-model", "gate-model", "notify"))

    @contextmanager
    def ran(*_: object, **__: object) -> Iterator[LocalRun]:
        yield LocalRun(root, steps)

    monkeypatch.setattr(subject, "run_local", ran)
    values = RunValues.from_values(values_of(place), where="the test")
    done = subject.train_here(values, place.settings, reason="manual", now=NOW, observer=SilentObserver())

    assert not done.is_registered
    assert not list(place.runs.glob("champion-*"))


def _left(step: Path, *, uri: str, value: str) -> Path:
    """What kfp's executor leaves of a step; returns the artifact's folder."""
    step.mkdir(parents=True)
    artifacts = {"model": {"artifacts": [{"uri": str(step / uri)}]}}
    (step / "executor_output.json").write_text(
        json.dumps({"parameterValues": {"Output": value}, "artifacts": artifacts}), encoding="utf-8"
    )
    return step / uri


@pytest.mark.slow
def test_registration_that_fails_registers_nothing_and_succeeds_after_mending(tmp_path: Path):
    place = Place.made(tmp_path / "place")
    write_values(place)
    store = place.runs / "models" / "bundles"
    store.parent.mkdir(parents=True)
    store.write_text("a file where a folder must go", encoding="utf-8")

    failed = Tried.at(place)
    store.unlink()
    again = Tried.at(place, "trigger", "--reason", "decline")

    assert "step register-model failed" in failed.err, failed
    assert executed(failed.log)[-2:] == ["register-model", "notify"]
    assert (failed.n_runs, failed.n_versions, failed.champion) == (0, 0, None)
    assert again.code == 0, again
    assert not set(executed(again.log.rpartition("Running pipeline")[2])) & {*DATA_STEPS, *TRAINING_STEPS}
    assert again.champion == place.bundle_id()
    of_gate = json.loads((place.latest / "metrics.json").read_text(encoding="utf-8"))["gate"]
    assert any("got worse" in note for note in of_gate["notes"])
    assert "SUCCEEDED (started by decline)" in again.log
