"""Records a finished run in MLflow: once, however often it is asked to."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from marquee.adapters.mlflow import run_facts
from marquee.adapters.mlflow.batches import log_in_parts
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
        experiment = tracking.experiment(client, f"marquee-{manifest.content['dataset']}")
    wanted = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
    found = client.search_runs([experiment], wanted, order_by=["attributes.start_time ASC"], max_results=1)
    if found:
        return found[0]
    return client.create_run(experiment, start_time=_began_ms(manifest), tags=tags, run_name=ours)


def _log(client: "MlflowClient", run_id: str, measured: Mapping[str, Any], manifest: Manifest) -> None:
    from mlflow.entities import Dataset, DatasetInput, Metric, Param, RunTag  # noqa: PLC0415

    # The same moment each time: a metric that is logged again is then the same point, not a second one.
    moment = _ended_ms(measured, manifest)
    metrics = [Metric(name, value, moment, 0) for name, value in run_facts.metrics_of(measured).items()]
    params = [Param(key, value) for key, value in run_facts.params_of(manifest.content["config"]).items()]
    tags = [RunTag(key, value) for key, value in run_facts.tags_of(measured, manifest).items()]
    log_in_parts(client, run_id, metrics=metrics, params=params, tags=tags)
    data = Dataset(measured["dataset"], measured["snapshot"][:36], "marquee", measured.get("source") or "")
    client.log_inputs(run_id, datasets=[DatasetInput(data)])


def _files_of(study: Path) -> list[Path]:
    """A search's files: the study itself, its pictures, the best configuration."""
    if study.is_file():
        return [study]
    return sorted(path for path in study.iterdir() if path.suffix in {".db", *DOCUMENTS})


def _began_ms(manifest: Manifest) -> int:
    return int(datetime.fromisoformat(manifest.provenance["created_at"]).timestamp() * 1000)


def _ended_ms(measured: Mapping[str, Any], manifest: Manifest) -> int:
    return _began_ms(manifest) + int(sum(measured.get("seconds", {}).values()) * 1000)
