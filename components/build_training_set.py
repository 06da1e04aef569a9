"""Build the ranker's training rows."""

from kfp.dsl import Dataset, Input, Output

from components._image import component


@component
def build_training_set(
    data: Input[Dataset], features: Input[Dataset], config: str, rows: Output[Dataset]
) -> int:
    """Ask a first stage about past windows, and write down what was proposed and what was consumed.

    Args:
        data: The snapshot of ingest-interactions.
        features: The state of build-features.
        config: The run's configuration as JSON.
        rows: The training rows by window.

    Returns:
        Number of windows.
    """
    from pathlib import Path

    from marquee.steps.build_training_set import build_training_set
    from marquee.steps.reading import reading
    from marquee.steps.task import Task

    task = Task.here()
    with reading(Path(features.path), task) as state:
        facts = build_training_set(Path(data.path), Path(rows.path), state=state, config=config, task=task)
    rows.metadata.update({"windows": len(facts.windows), "features": len(facts.feature_names)})
    return len(facts.windows)
