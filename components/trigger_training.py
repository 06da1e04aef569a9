"""Start a training because of drift."""

from kfp.dsl import Artifact, Input

from components._image import component


@component
def trigger_training(decision: Input[Artifact], dataset: str, source: str, values: str) -> str:
    """Start one training for a decision, with its cause as the reason; none where one is at work already.

    Args:
        decision: The decision of detect-drift.
        dataset: Name of a data set of the catalogue.
        source: Folder, zip or URL instead of the publisher's.
        values: A name in pipelines/configs, or a file of the run's values; empty for the place's default.

    Returns:
        What became of it: started, busy, or started earlier.
    """
    from pathlib import Path

    from marquee.steps.task import Task
    from marquee.steps.trigger_training import trigger_training

    return trigger_training(
        Path(decision.path),
        address=decision.uri,
        dataset=dataset,
        source=source,
        values=values,
        task=Task.here(),
    )
