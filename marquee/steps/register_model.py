"""Keep and register what a run made."""

from pathlib import Path

from marquee.registering import Models, Registered
from marquee.run_folder import read_metrics
from marquee.steps.task import Task


def register_model(run: Path, *, task: Task) -> Registered:
    """Put a run's bundles into the object store, record it in MLflow, and register a version.

    Args:
        run: the folder of `evaluate_model`.
        task: where models are kept.

    Raises:
        MarqueeError: as `Models.register`.
    """
    metrics = read_metrics(run)
    return Models.of(metrics["storage"], task.settings, task.environment).register(run, metrics)
