"""What only a cluster has: requests and limits, retries, deadlines, settings and secrets.

Run locally, none of it has an effect: kfp's local runner ignores limits, and retries are left out.
"""

from dataclasses import dataclass
from typing import Final

from kfp import dsl, kubernetes

SETTINGS: Final = "marquee-settings"
"""A secret whose keys are MARQUEE_*, MLFLOW_*, AWS_* and Feast's variables: facts of the place."""
OF_THE_PLACE: Final = (
    "MARQUEE_PROFILE", "MARQUEE_MODELS", "MARQUEE_NOTIFY_URL", "MLFLOW_TRACKING_URI",
    "FEAST_PROJECT", "FEAST_REGISTRY_URL", "REDIS_ADDRESS", "AWS_REGION", "AWS_ENDPOINT_URL_S3",
)  # fmt: skip


@dataclass(frozen=True)
class Size:
    """What a step's pod asks for, and what it may take."""

    cpu: str
    memory: str
    cpu_limit: str
    memory_limit: str
    minutes: int
    """After which it has failed."""


SMALL: Final = Size("250m", "512Mi", "1", "1Gi", 10)
DATA: Final = Size("500m", "1Gi", "2", "4Gi", 60)
TRAINING: Final = Size("1", "2Gi", "2", "8Gi", 120)
RETRIES: Final = 2


def apply_cluster(
    task: dsl.PipelineTask, size: Size, *, retries: int = RETRIES, more: tuple[str, ...] = ()
) -> dsl.PipelineTask:
    """Give a task its requests, limits, deadline and the place's settings; retry what may pass by itself.

    Args:
        task: of a pipeline that is being traced.
        size: of its pod.
        retries: after a failure; 0 for none, as locally.
        more: settings of the place that only this task has.
    """
    task.set_cpu_request(size.cpu).set_cpu_limit(size.cpu_limit)
    task.set_memory_request(size.memory).set_memory_limit(size.memory_limit)
    kubernetes.set_timeout(task, size.minutes * 60)
    # Threads that wait by spinning make LightGBM several times slower on a core that others want, too.
    task.set_env_variable("OMP_WAIT_POLICY", "PASSIVE")
    keys = {name: name for name in (*OF_THE_PLACE, *more)}
    kubernetes.use_secret_as_env(task, secret_name=SETTINGS, secret_key_to_env=keys, optional=True)
    if retries:
        task.set_retry(retries, backoff_duration="15s", backoff_factor=2.0)
    return task
