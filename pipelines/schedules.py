"""Recurring runs: one by one name, made anew when it is to be different.

Kubeflow keeps the compiled pipeline in a recurring run and has no call to update one. So the new one is
made first and the old one removed after it: a failure between the two leaves both, never none, and
asking again clears it up.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from kfp_server_api import (
    V2beta1CronSchedule,
    V2beta1PipelineVersionReference,
    V2beta1RecurringRun,
    V2beta1RuntimeConfig,
    V2beta1Trigger,
)

from marquee.errors import PipelineApiError
from pipelines.api import Api, known, named
from pipelines.submit import Version

RUN_ID: Final = "scheduled-[[ScheduledTime]]"
"""A run's name in a recurring run's parameters; the cluster puts in the moment, as 20240601030000."""
_ENABLE: Final = "ENABLE"


@dataclass(frozen=True)
class Schedule:
    """What is to run when."""

    name: str
    cron: str
    """Six fields, checked."""
    version: Version
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Scheduled:
    """What became of it."""

    done: Literal["created", "replaced", "unchanged"]
    recurring_run_id: str
    removed: tuple[str, ...]
    """Ids of those that are gone."""


def schedule(api: Api, wanted: Schedule) -> Scheduled:
    """Make sure that exactly this recurring run of its name is there, enabled.

    At most one of its runs is at work at a time, and moments that were missed are not made up for.

    Raises:
        PipelineApiError: the API does not answer as it should. Where that happened after the new one was
            made, the old one is still there, too: asking again removes it.
    """
    experiment_id = api.experiment_id()
    there = _of_name(api, wanted.name)
    made = _body(api, wanted, experiment_id)
    equal = next((one for one in there if _says(one) == _says(made, as_given_by=one)), None)
    if equal is None:
        answer = api.client.recurring_runs.recurring_run_service_create_recurring_run(made)
        kept = known(answer.recurring_run_id, "recurring run", api)
    else:
        kept = str(equal.recurring_run_id)
    gone = _delete(api, [str(one.recurring_run_id) for one in there if one is not equal])
    return Scheduled("unchanged" if equal else "replaced" if gone else "created", kept, gone)


def remove(api: Api, name: str) -> tuple[str, ...]:
    """Delete the recurring runs of a name; their ids, none where there was none.

    Raises:
        PipelineApiError: the API does not answer as it should.
    """
    return _delete(api, [str(one.recurring_run_id) for one in _of_name(api, name)])


def _of_name(api: Api, name: str) -> list[Any]:
    ask = api.client.recurring_runs.recurring_run_service_list_recurring_runs
    found = api.all(ask, "recurring_runs", namespace=api.place.namespace, filter=named(name))
    return [one for one in found if one.display_name == name]


def _delete(api: Api, ids: list[str]) -> tuple[str, ...]:
    for recurring_run_id in ids:
        try:
            api.client.recurring_runs.recurring_run_service_delete_recurring_run(recurring_run_id)
        except PipelineApiError as error:
            if error.status != 404:  # gone already is as good
                raise
    return tuple(ids)


def _body(api: Api, wanted: Schedule, experiment_id: str) -> V2beta1RecurringRun:
    return V2beta1RecurringRun(
        display_name=wanted.name,
        experiment_id=experiment_id,
        pipeline_version_reference=V2beta1PipelineVersionReference(
            pipeline_id=wanted.version.pipeline_id, pipeline_version_id=wanted.version.version_id
        ),
        runtime_config=V2beta1RuntimeConfig(
            parameters=dict(wanted.parameters), pipeline_root=api.pipeline_root
        ),
        service_account=api.service_account,
        trigger=V2beta1Trigger(cron_schedule=V2beta1CronSchedule(cron=wanted.cron)),
        mode=_ENABLE,
        max_concurrency="1",
        no_catchup=True,
    )


def _says(one: V2beta1RecurringRun, *, as_given_by: V2beta1RecurringRun | None = None) -> dict[str, Any]:
    """What makes two recurring runs equal.

    Args:
        one: to describe.
        as_given_by: of the cluster; where `one` leaves the choice to the cluster, its choice counts.
    """
    reference, config = one.pipeline_version_reference, one.runtime_config
    cron = one.trigger.cron_schedule if one.trigger else None
    said = {
        "experiment": one.experiment_id,
        "version": reference.pipeline_version_id if reference else one.pipeline_version_id,
        "parameters": (config.parameters if config else None) or {},
        "root": (config.pipeline_root if config else None) or None,
        "account": one.service_account or None,
        "cron": cron.cron if cron else None,
        "mode": one.mode,
        "concurrency": str(one.max_concurrency),
        "no_catchup": bool(one.no_catchup),
    }
    if as_given_by is not None:
        given = _says(as_given_by)
        said |= {key: given[key] for key in ("root", "account") if said[key] is None}
    return said
