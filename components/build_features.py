"""Build the feature store's state."""

from kfp.dsl import Dataset, Input, Output

from components._image import component


@component
def build_features(data: Input[Dataset], config: str, for_training: bool, features: Output[Dataset]) -> str:
    """Build the state of users and movies as of every moment, point in time.

    Args:
        data: The snapshot of ingest-interactions.
        config: The run's configuration as JSON.
        for_training: Whether to write down what training will ask, so that its steps need no Feast.
        features: The state, Parquet, as Feast reads it.

    Returns:
        The state's id.
    """
    from pathlib import Path

    from marquee.steps.build_features import build_features
    from marquee.steps.task import Task

    facts = build_features(
        Path(data.path), Path(features.path), config=config, for_training=for_training, task=Task.here()
    )
    features.metadata.update({"state": facts.state, "services": facts.contracts})
    return facts.state
