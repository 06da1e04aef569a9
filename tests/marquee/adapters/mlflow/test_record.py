import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from marquee.adapters.mlflow import Tracking, TrackingError, record_run
from tests.marquee.adapters.mlflow.finished_run import CREATED_MS, SNAPSHOT, FinishedRun, write_run

ROOT = Path(__file__).parents[4]


@pytest.fixture
def finished(runs: Path) -> FinishedRun:
    return write_run(runs)


def record(run: FinishedRun, tracking: Tracking, *, study: Path | None = None) -> str:
    return record_run(run.folder, run.measured, bundle=run.bundle, tracking=tracking, study=study)


def all_runs(tracking: Tracking) -> list[Run]:
    with tracking.connected() as client:
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        return list(client.search_runs(experiments))


def artifacts_of(tracking: Tracking, run_id: str, folder: str | None = None) -> list[str]:
    with tracking.connected() as client:
        return [file.path for file in client.list_artifacts(run_id, folder)]


def begun_run(tracking: Tracking) -> str:
    """A run that somebody else began, as Kubeflow does for a task."""
    with tracking.connected() as client:
        experiment = client.create_experiment("theirs", tracking.artifact_location("theirs"))
        return str(client.create_run(experiment).info.run_id)


def test_record_run_leaves_what_a_reader_looks_for(runs: Path, finished: FinishedRun):
    tracking = Tracking.of(runs, {})

    run_id = record(finished, tracking)

    [run] = all_runs(tracking)
    assert (run.info.run_id, run.info.run_name, run.info.status) == (run_id, "run-1", "FINISHED")
    assert (run.info.start_time, run.info.end_time) == (CREATED_MS, CREATED_MS + 3_500)
    assert run.data.metrics["two_stage/ndcg_at_10_low"] == 0.375
    assert run.data.params["routes.enabled"] == '["als","ease"]'
    assert len(run.data.params["text"]) == 6000
    assert run.data.tags["marquee.bundle_id"] == finished.bundle_id
    [data] = run.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("ml-100k", SNAPSHOT[:36])
    assert artifacts_of(tracking, run_id) == ["config.yaml", "metrics.json", "report.html"]
    assert list((runs / "mlflow" / "marquee-ml-100k").rglob("report.html"))


def test_record_run_with_a_search_keeps_it(runs: Path, finished: FinishedRun, tmp_path: Path):
    study = tmp_path / "study"
    study.mkdir()
    for name in ("study.db", "best.yaml", "study.html", "lock"):
        (study / name).touch()
    tracking = Tracking.of(runs, {})

    run_id = record(finished, tracking, study=study)

    assert artifacts_of(tracking, run_id, "study") == [
        "study/best.yaml",
        "study/study.db",
        "study/study.html",
    ]


def test_record_run_twice_makes_no_second_one(runs: Path, finished: FinishedRun):
    tracking = Tracking.of(runs, {})

    assert record(finished, tracking) == record(finished, tracking)
    assert len(all_runs(tracking)) == 1


def test_record_run_of_two_runs_makes_two_in_one_experiment(runs: Path, finished: FinishedRun):
    tracking = Tracking.of(runs, {})

    ids = {record(finished, tracking), record(write_run(runs, "run-2"), tracking)}

    assert {run.info.run_id for run in all_runs(tracking)} == ids
    assert len({run.info.experiment_id for run in all_runs(tracking)}) == 1


def test_record_run_leaves_the_working_folder_alone(
    runs: Path, finished: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)

    record(finished, Tracking.of(runs, {}))

    assert [path.name for path in tmp_path.iterdir()] == ["my runs"]


def test_record_run_after_a_failure_midway_completes_the_same_run(
    runs: Path, finished: FinishedRun, monkeypatch: pytest.MonkeyPatch
):
    tracking = Tracking.of(runs, {})

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_artifact", full_disk)
        with pytest.raises(TrackingError, match="No space left"):
            record(finished, tracking)
    [half] = all_runs(tracking)
    assert half.info.status == "RUNNING"

    assert record(finished, tracking) == half.info.run_id
    [run] = all_runs(tracking)
    assert run.info.status == "FINISHED"
    with tracking.connected() as client:
        assert len(client.get_metric_history(run.info.run_id, "two_stage/ndcg_at_10")) == 1


def test_record_run_into_the_run_that_kubeflow_began_uses_it_and_leaves_it_running(
    runs: Path, finished: FinishedRun
):
    given = begun_run(Tracking.of(runs, {}))
    tracking = Tracking.of(runs, {"MLFLOW_RUN_ID": given})

    assert record(finished, tracking) == given
    assert record(finished, tracking) == given

    [run] = all_runs(tracking)
    assert run.info.status == "RUNNING"
    assert run.data.metrics["two_stage/ndcg_at_10"] == 0.5


def test_record_run_into_a_run_that_holds_another_training_nests_it(runs: Path, finished: FinishedRun):
    given = begun_run(Tracking.of(runs, {}))
    tracking = Tracking.of(runs, {"MLFLOW_RUN_ID": given})
    record(finished, tracking)
    second = write_run(runs, "run-2")

    nested = record(second, tracking)

    assert record(second, tracking) == nested
    by_id = {run.info.run_id: run for run in all_runs(tracking)}
    assert by_id.keys() == {given, nested}
    assert by_id[nested].data.tags["mlflow.parentRunId"] == given
    assert by_id[nested].info.experiment_id == by_id[given].info.experiment_id
    assert by_id[nested].info.status == "FINISHED"


def test_record_run_honours_the_experiment_of_the_environment(runs: Path, finished: FinishedRun):
    record(finished, Tracking.of(runs, {"MLFLOW_EXPERIMENT_NAME": "quality"}))
    with Tracking.of(runs, {}).connected() as client:
        experiment = client.get_experiment_by_name("quality")
    second = Tracking.of(runs, {"MLFLOW_EXPERIMENT_ID": experiment.experiment_id})
    record(write_run(runs, "run-2"), second)

    assert [run.info.experiment_id for run in all_runs(second)] == [experiment.experiment_id] * 2


def test_record_run_in_a_deleted_experiment_says_how_to_restore_it(runs: Path, finished: FinishedRun):
    tracking = Tracking.of(runs, {})
    record(finished, tracking)
    with tracking.connected() as client:
        experiment = client.get_experiment_by_name("marquee-ml-100k")
        client.delete_experiment(experiment.experiment_id)

    with pytest.raises(TrackingError, match=f"restore -x {experiment.experiment_id}"):
        record(write_run(runs, "run-2"), tracking)


PROGRAM = """
import sys
from pathlib import Path
from marquee.adapters.mlflow import Tracking, record_run
from tests.marquee.adapters.mlflow.finished_run import write_run
run = write_run(Path(sys.argv[1]))
record_run(run.folder, run.measured, bundle=run.bundle, tracking=Tracking.of(Path(sys.argv[1]), {}))
from mlflow.telemetry import get_telemetry_client
print(get_telemetry_client())
"""


def test_record_run_for_the_first_time_is_silent_and_sends_nothing_home(tmp_path: Path):
    # None of the variables by which MLflow sees that it is being tested, or that its user is not asked.
    environment = {"PATH": "", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "runs")]

    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=tmp_path)

    assert (done.stdout, done.stderr) == ("None\n", "")
