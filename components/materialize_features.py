"""Bring the state online."""

from kfp.dsl import Dataset, Input

from components._image import component


@component
def materialize_features(data: Input[Dataset], features: Input[Dataset]) -> str:
    """Write users' rows to the online store and export the movies' state for servers.

    Args:
        data: The snapshot of ingest-interactions.
        features: The state of build-features.

    Returns:
        The version of the item matrix.
    """
    from pathlib import Path

    from marquee.steps.materialize_features import materialize_features
    from marquee.steps.task import Task

    return materialize_features(Path(data.path), Path(features.path), task=Task.here())
