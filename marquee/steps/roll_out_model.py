"""Make a registered bundle the champion."""

from pathlib import Path

from marquee.registering import Models
from marquee.run_folder import read_metrics
from marquee.steps.task import Task


def roll_out_model(bundle_id: str, run: Path, *, task: Task) -> str:
    """Promote a bundle that passed the gate, unless its comparison is out of date.

    Args:
        bundle_id: of the registered version.
        run: the folder of `evaluate_model`, which names the champion that was compared with.
        task: where models are kept, and the present.

    Returns:
        Where the champion's bundle lies.

    Raises:
        MarqueeError: as `Models.promote`.
    """
    metrics = read_metrics(run)
    models = Models.of(metrics["storage"], task.settings, task.environment)
    return models.promote(bundle_id, metrics, now=task.now)
