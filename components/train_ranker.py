"""Train the second stage."""

from kfp.dsl import Dataset, Input, Model, Output

from components._image import component


@component
def train_ranker(rows: Input[Dataset], config: str, ranker: Output[Model]) -> str:
    """Fit boosted trees, and a blend of the routes where that orders the newest past better.

    Args:
        rows: The training rows of build-training-set.
        config: The run's configuration as JSON.
        ranker: The second stage, in its library's own text format.

    Returns:
        What was chosen: trees, blend, or both.
    """
    from pathlib import Path

    from marquee.steps.task import Task
    from marquee.steps.train_ranker import train_ranker

    choice = train_ranker(Path(rows.path), Path(ranker.path), config=config, task=Task.here())
    ranker.metadata.update(choice.to_dict())
    return choice.chosen
