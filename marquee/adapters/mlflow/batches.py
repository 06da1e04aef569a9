"""What a run says of itself, in as many calls as MLflow's limits ask for."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag

_METRICS_A_CALL: Final = 1000
_PARAMS_A_CALL: Final = 100
_T = TypeVar("_T")


def log_in_parts(
    client: "MlflowClient",
    run_id: str,
    *,
    metrics: "Sequence[Metric]",
    params: "Sequence[Param]" = (),
    tags: "Sequence[RunTag]" = (),
) -> None:
    """Log all of them; tags last, in one call."""
    for some_metrics in _parts(metrics, _METRICS_A_CALL):
        client.log_batch(run_id, metrics=some_metrics)
    for some_params in _parts(params, _PARAMS_A_CALL):
        client.log_batch(run_id, params=some_params)
    if tags:
        client.log_batch(run_id, tags=tags)


def _parts(values: Sequence[_T], n: int) -> Iterator[Sequence[_T]]:
    for start in range(0, len(values), n):
        yield values[start : start + n]
