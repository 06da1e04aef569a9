"""Records a finished run in MLflow: once, however often it is asked to."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from marquee.adapters.mlflow import run_facts
from marquee.adapters.mlflow.faults import TrackingError
from marquee.adapters.mlflow.tracking import Tracking
from marquee.bundle import Manifest, read_manifest

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

COMPLETE: Final = "marquee.recorded"
"""The tag that is written last: a run without it was left half recorded."""
PARENT: Final = "mlflow.parentRunId"
"""MLflow's own tag of a nested run."""
DOCUMENTS: Final = (".html", ".json", ".md", ".yaml")
"""Endings of a run folder's files that become artifacts."""
_METRICS_A_CALL: Final = 1000
_PARAMS_A_CALL: Final = 100
_T = TypeVar("_T")


def record_run(
    folder: Path,
    measured: Mapping[str, Any],
    *,
    bundle: Path,
    tracking: Tracking,
    study: Path | None = None,
) -> str:
    """Record a finished run: configuration, metrics with intervals, report, search, and where it came from.

    A run that was recorded already is left alone; one that was left half recorded is completed. Where
    Kubeflow named a run, that one is used; if it holds another training already, a run nested in it is.

    Args:
        folder: the run folder; the documents at its top become artifacts.
        measured: the content of its metrics.json.
        bundle: the bundle to serve, whose manifest names configuration, run, data and commit.
        tracking: where to.
        study: the folder or file of the search that the configuration came from.

    Returns:
        MLflow's id of the run.

    Raises:
        BundleError: the manifest can't be read.
        TrackingError: the store is down, broken, or refuses something.
    """
    manifest = read_manifest(bundle)
    with tracking.connected() as client:
        run = _find_or_begin(client, tracking, manifest)
        run_id = str(run.info.run_id)
        if COMPLETE in run.data.tags:
            return run_id
        _log(client, run_id, measured, manifest)
        for document in sorted(path for path in folder.iterdir() if path.suffix in DOCUMENTS):
            client.log_artifact(run_id, str(document))
        if study is not None:
            for file in _files_of(study):
                client.log_artifact(run_id, str(file), "study")
        client.set_tag(run_id, COMPLETE, "yes")
        if run_id != tracking.run_id:  # a run of Kubeflow's is ended by Kubeflow
            client.set_terminated(run_id, end_time=_ended_ms(measured, manifest))
    return run_id


def _find_or_begin(client: "MlflowClient", tracking: Tracking, manifest: Manifest) -> "Run":
    ours = str(manifest.provenance["run_id"])
    tags = {run_facts.RUN: ours}
    if tracking.run_id is not None:
        given = client.get_run(tracking.run_id)
        if given.data.tags.get(run_facts.RUN, ours) == ours:
            client.set_tag(tracking.run_id, run_facts.RUN, ours)
            return given
        tags[PARENT] = tracking.run_id
        experiment = str(given.info.experiment_id)
    else:
        experiment = _experiment(client, tracking, manifest)
    wanted = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
    found = client.search_runs([experiment], wanted, order_by=["attributes.start_time ASC"], max_results=1)
    if found:
        return found[0]
    return client.create_run(experiment, start_time=_began_ms(manifest), tags=tags, run_name=ours)


def _experiment(client: "MlflowClient", tracking: Tracking, manifest: Manifest) -> str:
    """The id of the experiment to record in; one of the data set's name by default."""
    if tracking.experiment_id is not None:
        return tracking.experiment_id
    name = tracking.experiment_name or f"marquee-{manifest.content['dataset']}"
    found = client.get_experiment_by_name(name)
    if found is None:
        return client.create_experiment(name, artifact_location=tracking.artifact_location(name))
    if found.lifecycle_stage == "deleted":
        raise TrackingError(
            f"the experiment {name} was deleted in MLflow.",
            remedy=f"Restore it with `mlflow experiments restore -x {found.experiment_id}`, "
            "or set MLFLOW_EXPERIMENT_NAME.",
        )
    return str(found.experiment_id)


def _log(client: "MlflowClient", run_id: str, measured: Mapping[str, Any], manifest: Manifest) -> None:
    from mlflow.entities import Dataset, DatasetInput, Metric, Param, RunTag  # noqa: PLC0415

    # The same moment each time: a metric that is logged again is then the same point, not a second one.
    moment = _ended_ms(measured, manifest)
    metrics = [Metric(name, value, moment, 0) for name, value in run_facts.metrics_of(measured).items()]
    params = [Param(key, value) for key, value in run_facts.params_of(manifest.content["config"]).items()]
    tags = [RunTag(key, value) for key, value in run_facts.tags_of(measured, manifest).items()]
    for some_metrics in _parts(metrics, _METRICS_A_CALL):
        client.log_batch(run_id, metrics=some_metrics)
    for some_params in _parts(params, _PARAMS_A_CALL):
        client.log_batch(run_id, params=some_params)
    client.log_batch(run_id, tags=tags)
    data = Dataset(measured["dataset"], measured["snapshot"][:36], "marquee", measured.get("source") or "")
    client.log_inputs(run_id, datasets=[DatasetInput(data)])


def _parts(values: Sequence[_T], n: int) -> list[Sequence[_T]]:
    return [values[start : start + n] for start in range(0, len(values), n)]


def _files_of(study: Path) -> list[Path]:
    """A search's files: the study itself, its pictures, the best configuration."""
    if study.is_file():
        return [study]
    return sorted(path for path in study.iterdir() if path.suffix in {".db", *DOCUMENTS})


def _began_ms(manifest: Manifest) -> int:
    return int(datetime.fromisoformat(manifest.provenance["created_at"]).timestamp() * 1000)


def _ended_ms(measured: Mapping[str, Any], manifest: Manifest) -> int:
    return _began_ms(manifest) + int(sum(measured.get("seconds", {}).values()) * 1000)
