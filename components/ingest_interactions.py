"""Bring a data set into its warehouse."""

from kfp.dsl import Dataset, Output

from components._image import component


@component
def ingest_interactions(
    dataset: str, source: str, config: str, fingerprint: str, data: Output[Dataset]
) -> str:
    """Fetch and ingest a data set, and hand on a snapshot of its warehouse.

    Args:
        dataset: Name of a data set of the catalogue, such as ml-100k.
        source: Folder, zip or URL instead of the publisher's; empty for the publisher's.
        config: The run's configuration as JSON; empty for all defaults.
        fingerprint: Changes where the source's content changed, so that no cache hides it.
        data: The snapshot, Parquet.

    Returns:
        The snapshot's id.
    """
    from pathlib import Path

    from marquee.steps.ingest_interactions import ingest_interactions
    from marquee.steps.task import Task

    facts = ingest_interactions(dataset, Path(data.path), source=source, config=config, task=Task.here())
    data.metadata.update({"dataset": dataset, "snapshot": facts.snapshot, "rows": facts.rows})
    return facts.snapshot
