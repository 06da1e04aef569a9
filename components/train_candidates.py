"""Train the first stage."""

from kfp.dsl import Dataset, Input, Model, Output

from components._image import component


@component
def train_candidates(
    data: Input[Dataset], features: Input[Dataset], config: str, candidates: Output[Model]
) -> str:
    """Fit the routes as of the cut, to be measured, and on all events, to be served.

    Args:
        data: The snapshot of ingest-interactions.
        features: The state of build-features.
        config: The run's configuration as JSON.
        candidates: Both first stages.

    Returns:
        The id of the one to serve.
    """
    from pathlib import Path

    from marquee.steps.reading import reading
    from marquee.steps.task import Task
    from marquee.steps.train_candidates import train_candidates

    task = Task.here()
    with reading(Path(features.path), task) as state:
        ids = train_candidates(Path(data.path), Path(candidates.path), state=state, config=config, task=task)
    candidates.metadata.update(ids)
    return ids["bundle"]
