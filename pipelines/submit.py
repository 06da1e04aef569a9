"""Pipelines to a cluster: versions are uploaded once each, runs started of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from kfp_server_api import V2beta1Pipeline, V2beta1PipelineVersionReference, V2beta1Run, V2beta1RuntimeConfig

from marquee.errors import ConfigError, PipelineApiError
from marquee.run_values import RunValues
from pipelines.api import Api, known, named
from pipelines.release import Compiled, cluster_name, images_of

_TUNING: Final = "tuning_"
"""Begins the parameters that only training has."""


@dataclass(frozen=True)
class Version:
    """A pipeline's version on the cluster."""

    pipeline: str
    pipeline_id: str
    version: str
    version_id: str
    created_at: datetime | None
    spec: Mapping[str, Any]
    is_new: bool = False

    @property
    def images(self) -> list[str]:
        """What its steps run in."""
        return images_of(self.spec)


@dataclass(frozen=True)
class Started:
    """A run that was asked for."""

    run_id: str
    """The cluster's."""
    name: str
    version: str
    url: str


def upload(api: Api, compiled: Compiled, version: str) -> Version:
    """Make the pipeline and the version where they are not there yet.

    Raises:
        ConfigError: the version is there, and its steps run in another image.
        PipelineApiError: the API does not answer as it should.
    """
    pipeline_id = api.pipeline_id(compiled.name) or _create_pipeline(api, compiled)
    there = find_version(api, compiled.name, pipeline_id, version)
    if there is None:
        try:
            made = api.client.pipeline_uploads.upload_pipeline_version(
                str(compiled.path), name=version, pipelineid=pipeline_id
            )
            known(made.pipeline_version_id, "version", api)
            return _as_version(made, compiled.name, pipeline_id, is_new=True)
        except PipelineApiError as error:
            there = find_version(api, compiled.name, pipeline_id, version) if error.status == 409 else None
            if there is None:
                raise
    if there.images and there.images != compiled.images:
        raise ConfigError(
            f"Version {version} of {compiled.name} is there with image {', '.join(there.images)}; "
            f"MARQUEE_IMAGE makes it {', '.join(compiled.images)}.",
            remedy="Set MARQUEE_IMAGE to what it was, commit for a new version, or say --version-name.",
        )
    return there


def _create_pipeline(api: Api, compiled: Compiled) -> str:
    # Uploading a file as a pipeline would make a version that is called like the pipeline.
    description = compiled.spec["pipelineInfo"].get("description")
    wanted = V2beta1Pipeline(
        display_name=compiled.name, name=compiled.name, description=description, namespace=api.place.namespace
    )
    try:
        made = api.client.pipelines.pipeline_service_create_pipeline(wanted)
    except PipelineApiError as error:
        if error.status == 409 and (
            found := api.pipeline_id(compiled.name)
        ):  # somebody else made it just now
            return found
        raise
    return known(made.pipeline_id, "pipeline", api)


def find_version(api: Api, pipeline: str, pipeline_id: str, version: str) -> Version | None:
    """A version by its name, None where there is none."""
    ask = api.client.pipelines.pipeline_service_list_pipeline_versions
    found = api.all(ask, "pipeline_versions", pipeline_id=pipeline_id, filter=named(version))
    made = (_as_version(one, pipeline, pipeline_id) for one in found)
    return next((one for one in made if one.version == version), None)


def newest_versions(api: Api, pipeline: str, pipeline_id: str, *, n: int) -> list[Version]:
    """A pipeline's versions, the newest first."""
    page = api.client.pipelines.pipeline_service_list_pipeline_versions(
        pipeline_id, page_size=n, sort_by="created_at desc"
    )
    return [_as_version(one, pipeline, pipeline_id) for one in page.pipeline_versions or ()][:n]


def version_to_run(api: Api, name: str, *, version: str | None = None) -> Version:
    """The version that a run is started of: the one named, else the newest.

    Args:
        api: of the cluster.
        name: of our pipeline.
        version: its name.

    Raises:
        ConfigError: there is no such pipeline here.
        PipelineApiError: there is none on the cluster, or the API does not answer as it should.
    """
    pipeline = cluster_name(name)
    submit = f"`marquee pipeline submit {name}` uploads one."
    pipeline_id = api.pipeline_id(pipeline)
    if pipeline_id is None:
        where = f" in namespace {api.place.namespace}" if api.place.namespace else ""
        raise PipelineApiError(f"{api.place.host} has no pipeline {pipeline}{where}.", remedy=submit)
    if version is None:
        found = newest_versions(api, pipeline, pipeline_id, n=1)
        if not found:
            raise PipelineApiError(f"{pipeline} has no version on {api.place.host}.", remedy=submit)
        return found[0]
    named_so = find_version(api, pipeline, pipeline_id, version)
    if named_so is None:
        raise PipelineApiError(
            f"{pipeline} has no version {version} on {api.place.host}.",
            remedy=f"`marquee pipeline list` shows them; {submit}",
        )
    return named_so


def arguments(version: Version | Compiled, values: RunValues, *, run_id: str, reason: str) -> dict[str, Any]:
    """A run's parameters, checked against those that the pipeline takes.

    Raises:
        ConfigError: one does not fit, or is of this machine only.
    """
    if values.source and Path(values.source).exists():
        raise ConfigError(
            f"source = {values.source!r} is on this machine, where pods can't read it.",
            remedy="Put it where a URL leads to it, and name that.",
        )
    takes = version.spec.get("root", {}).get("inputDefinitions", {}).get("parameters", {})
    given = values.parameters(run_id=run_id, reason=reason)
    if values.source:  # what a URL leads to may have changed since: the cache must not answer for it
        given["fingerprint"] = run_id
    if not any(name.startswith(_TUNING) for name in takes):  # a pipeline that trains nothing
        given = {name: value for name, value in given.items() if not name.startswith(_TUNING)}
    needed = {name for name, one in takes.items() if not one.get("isOptional") and "defaultValue" not in one}
    for what, names in (("does not take", given.keys() - takes.keys()), ("needs", needed - given.keys())):
        if names:
            raise ConfigError(
                f"The pipeline {what} the parameter {', '.join(sorted(names))}: it is of another release.",
                remedy="Upload a version of this release: `marquee pipeline submit`.",
            )
    return given


def start(
    api: Api, version: Version, parameters: Mapping[str, Any], *, name: str, description: str = ""
) -> Started:
    """Start a run of a version.

    Args:
        api: of the cluster.
        version: what to run.
        parameters: checked by `arguments`.
        name: of the run.
        description: shown on the run's page.

    Raises:
        PipelineApiError: the API does not answer as it should. A run may have been started all the
            same where the answer was lost; the error says so.
    """
    wanted = V2beta1Run(
        experiment_id=api.experiment_id(),
        display_name=name,
        description=description or None,
        pipeline_version_reference=V2beta1PipelineVersionReference(
            pipeline_id=version.pipeline_id, pipeline_version_id=version.version_id
        ),
        runtime_config=V2beta1RuntimeConfig(parameters=dict(parameters), pipeline_root=api.pipeline_root),
        service_account=api.service_account,
    )
    made = api.client.runs.run_service_create_run(wanted)
    run_id = known(made.run_id, "run", api)
    return Started(run_id, name, version.version, api.run_url(run_id))


def _as_version(made: Any, pipeline: str, pipeline_id: str, *, is_new: bool = False) -> Version:  # noqa: ANN401
    spec = made.pipeline_spec or {}
    spec = json.loads(spec) if isinstance(spec, str) else spec
    return Version(
        pipeline,
        pipeline_id,
        str(made.display_name),
        str(made.pipeline_version_id),
        made.created_at,
        spec.get("pipeline_spec", spec),  # so where the file has a second document
        is_new,
    )
