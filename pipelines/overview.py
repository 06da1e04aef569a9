"""What a cluster holds of ours: versions, runs, recurring runs."""

from datetime import datetime
from itertools import islice
from typing import Any, Final

from marquee.errors import PipelineApiError
from pipelines.api import PAGE, Api, reference_of
from pipelines.compile import PIPELINES
from pipelines.release import cluster_name
from pipelines.submit import newest_versions

_PAGES: Final = 10
"""Of runs that are looked at: other people's are among them."""

Overview = dict[str, list[dict[str, Any]]]


def overview(api: Api, *, n: int) -> Overview:
    """Plain values under `versions`, `runs` and `schedules`, times as datetimes with a zone.

    Args:
        api: of the cluster.
        n: versions of each pipeline, and runs in all; the newest of them.

    Raises:
        PipelineApiError: the API does not answer as it should.
    """
    ids = {name: api.pipeline_id(cluster_name(name)) for name in PIPELINES}
    names = {pipeline_id: cluster_name(name) for name, pipeline_id in ids.items() if pipeline_id}
    return {
        "versions": [
            {
                "pipeline": one.pipeline,
                "version": one.version,
                "created": one.created_at,
                "images": one.images,
            }
            for pipeline_id, name in names.items()
            for one in newest_versions(api, name, pipeline_id, n=n)
        ],
        "runs": _runs(api, names, n),
        "schedules": _schedules(api, names),
    }


def _runs(api: Api, names: dict[str, str], n: int) -> list[dict[str, Any]]:
    if not names:
        return []
    ask = api.client.runs.run_service_list_runs
    newest = api.all(ask, "runs", namespace=api.place.namespace, sort_by="created_at desc")
    ours = (one for one in islice(newest, _PAGES * PAGE) if reference_of(one).get("pipeline_id") in names)
    return [_run(api, one, names) for one in islice(ours, n)]


def _run(api: Api, one: Any, names: dict[str, str]) -> dict[str, Any]:  # noqa: ANN401 - kfp has no types
    parameters = (one.runtime_config.parameters if one.runtime_config else None) or {}
    return {
        "run": one.display_name,
        "run_id": one.run_id,
        "pipeline": names[reference_of(one)["pipeline_id"]],
        "state": one.state or "PENDING",
        "reason": parameters.get("reason"),
        "created": one.created_at,
        "finished": _moment(one.finished_at),
        "description": one.description or "",
        "url": api.run_url(one.run_id),
    }


def _schedules(api: Api, names: dict[str, str]) -> list[dict[str, Any]]:
    ask = api.client.recurring_runs.recurring_run_service_list_recurring_runs
    return [
        {
            "schedule": one.display_name,
            "recurring_run_id": one.recurring_run_id,
            "pipeline": names[reference_of(one)["pipeline_id"]],
            "cron": one.trigger.cron_schedule.cron if one.trigger and one.trigger.cron_schedule else None,
            "mode": one.mode,
            "version": _version(api, reference_of(one)),
            "created": one.created_at,
        }
        for one in api.all(ask, "recurring_runs", namespace=api.place.namespace)
        if reference_of(one).get("pipeline_id") in names
    ]


def _version(api: Api, reference: dict[str, str]) -> str:
    """A version's name; one that was deleted is known by its id."""
    try:
        found = api.client.pipelines.pipeline_service_get_pipeline_version(
            reference["pipeline_id"], reference["pipeline_version_id"]
        )
    except PipelineApiError as error:
        if error.status != 404:
            raise
        return reference["pipeline_version_id"]
    return str(found.display_name)


def _moment(value: datetime | None) -> datetime | None:
    """A time; the server says 1970 for what has not happened yet."""
    return value if value is not None and value.year > 1970 else None
