"""Make everybody's list in one go."""

from kfp.dsl import Dataset, Input, Output

from components._image import component


@component
def score_lists(
    data: Input[Dataset], features: Input[Dataset], config: str, n: int, lists: Output[Dataset]
) -> int:
    """Ask the champion for the list of every user, as of the night after the last event.

    Args:
        data: The snapshot of ingest-interactions.
        features: The state of build-features.
        config: The run's configuration as JSON.
        n: Length of each list.
        lists: A row per user and place, Parquet.

    Returns:
        Number of users.
    """
    from pathlib import Path

    from marquee.steps.reading import reading
    from marquee.steps.score_lists import score_lists
    from marquee.steps.task import Task

    task = Task.here()
    with reading(Path(features.path), task) as state:
        facts = score_lists(
            Path(data.path), Path(lists.path), state=state, config=config, n=int(n), task=task
        )
    lists.metadata.update(facts.model_dump(include={"bundle_id", "users", "rows", "kept"}))
    return facts.users
