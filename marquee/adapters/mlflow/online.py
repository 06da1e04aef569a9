"""Online metrics as one MLflow run that grows by a step a period."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from marquee.adapters.mlflow.batches import log_in_parts
from marquee.adapters.mlflow.tracking import Tracking

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

ONLINE: Final = "marquee.online"
"""The tag of the run; its value is the name of what is measured."""


@dataclass(frozen=True, slots=True)
class Point:
    """A metric of one period."""

    name: str
    """As MLflow takes it: letters, digits, `_ - . /` and blanks."""
    value: float
    step: int
    """The period's number."""
    ended_at: datetime
    """The period's end, with a zone."""


def record_online(points: Iterable[Point], *, name: str, tracking: Tracking) -> int:
    """Log points to the run of a name, which is made with the first; those that it has are left alone.

    A period whose value changed since gets a second point at its step, as MLflow forgets none.

    Args:
        points: of periods in which nothing is added any more.
        name: of what is measured; the experiment is `marquee-online-NAME` where the environment names none.
        tracking: where to.

    Returns:
        How many were new.

    Raises:
        TrackingError: the store is down, broken, or refuses something.
    """
    wanted = list(points)
    with tracking.connected() as client:
        run_id = str(_run(client, tracking, name).info.run_id)
        known = {
            (each.key, each.step, each.value)
            for metric in sorted({each.name for each in wanted})
            for each in client.get_metric_history(run_id, metric)
        }
        new = [each for each in wanted if (each.name, each.step, each.value) not in known]
        log_in_parts(client, run_id, metrics=_metrics(new))
    return len(new)


def _metrics(points: list[Point]) -> "list[Metric]":
    from mlflow.entities import Metric  # noqa: PLC0415

    return [
        Metric(each.name, each.value, int(each.ended_at.timestamp() * 1000), each.step) for each in points
    ]


def _run(client: "MlflowClient", tracking: Tracking, name: str) -> "Run":
    experiment = tracking.experiment(client, f"marquee-online-{name}")
    found = client.search_runs([experiment], f"tags.`{ONLINE}` = '{name}'", max_results=1)
    return (
        found[0] if found else client.create_run(experiment, tags={ONLINE: name}, run_name=f"online {name}")
    )
