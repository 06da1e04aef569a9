"""kfp's DockerRunner, mended: a container that fails at once must not look as if it had succeeded."""

import contextlib
import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from marquee.errors import StepError
from marquee.settings import Settings

HOME: Final = "/var/tmp"  # noqa: S108 - in the container, whose user is a number without a home
_PASSED_ON: Final = ("MARQUEE_", "MLFLOW_", "AWS_", "OPENBLAS_")
"""Settings, and which kernels BLAS takes: others round otherwise, and make another bundle."""


def docker_runner(image: str, *, source: str = "") -> Any:  # noqa: ANN401 - kfp's class has no public type
    """The runner with this machine's user and settings.

    Args:
        image: that the steps name.
        source: of the data set; a folder or file of this machine is mounted for reading.

    Raises:
        StepError: no Docker engine answers, or it has no such image.
    """
    import docker
    from kfp import local
    from kfp.local import docker_task_handler

    try:
        with contextlib.closing(docker.from_env()) as client:
            client.images.get(image)
    except docker.errors.ImageNotFound as error:
        raise StepError(
            f"Docker has no image {image}.",
            remedy="Build it: `make image`; or pull the one of MARQUEE_IMAGE.",
        ) from error
    except docker.errors.DockerException as error:
        raise StepError(
            f"no Docker engine answers: {error}.", remedy="Start one, or leave out --runner docker."
        ) from error
    docker_task_handler.run_docker_container = functools.partial(
        run_container, settings=settings_of(os.environ), source=source
    )
    return local.DockerRunner(user=f"{os.getuid()}:{os.getgid()}", network_mode="host", shm_size="1g")


def settings_of(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings that containers get; data and runs by absolute paths, since they work elsewhere."""
    settings = Settings.from_environment(environment)
    return {
        **{key: value for key, value in environment.items() if key.startswith(_PASSED_ON)},
        "MARQUEE_DATA": str(settings.data.resolve()),
        "MARQUEE_RUNS": str(settings.runs.resolve()),
        "HOME": HOME,
    }


def run_container(
    client: Any,  # noqa: ANN401 - docker's client
    image: str,
    command: list[str],
    volumes: Mapping[str, Any],
    *,
    settings: Mapping[str, str] | None = None,
    source: str = "",
    environment: Mapping[str, str] | None = None,
    **more: Any,  # noqa: ANN401 - passed on to docker
) -> int:
    """Run a container to its end, its log to standard output; returns its exit code.

    kfp's own (2.17) lets Docker remove the container and takes "not found" for success:
    kubeflow/pipelines#13332. And it gives a step that has variables of its own none of the runner's.

    Args:
        client: docker's.
        image: is pulled where it is missing.
        command: of the step.
        volumes: by their path here.
        source: of the data set, as `docker_runner`.
        settings: of the place, as `settings_of`; its data and runs are mounted at their own paths.
        environment: of the step.
        more: passed on to docker.
    """
    import docker

    try:
        client.images.get(image)
    except docker.errors.ImageNotFound:
        client.images.pull(image)
    container = client.containers.run(
        image=image,
        command=list(command),
        volumes={**_places(settings or {}), **_source(source), **volumes},
        environment={**(settings or {}), **(environment or {})},
        detach=True,
        stdout=True,
        stderr=True,
        **more,
    )
    try:
        for line in container.logs(stream=True, follow=True):
            print(line.decode("utf-8", "replace"), end="")  # noqa: T201 - the runner's log is its output
        return int(container.wait()["StatusCode"])
    finally:
        container.remove(force=True)


def _source(source: str) -> dict[str, dict[str, str]]:
    """The mount of a data set's own place, if it is one of this machine."""
    place = Path(source) if source else None
    if place is None or not place.exists():
        return {}
    return {str(place.resolve()): {"bind": str(place.resolve()), "mode": "ro"}}


def _places(settings: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Mounts of what outlives a container."""
    kept = [settings[name] for name in ("MARQUEE_DATA", "MARQUEE_RUNS") if name in settings]
    for place in kept:
        Path(place).mkdir(parents=True, exist_ok=True)  # Docker would make it, and root own it
    return {place: {"bind": place, "mode": "rw"} for place in kept}
