"""Stop before anything learns from bad data."""

from kfp.dsl import Dataset, Input, Markdown, Output

from components._image import component


@component
def validate_data(data: Input[Dataset], config: str, checks: Output[Markdown]) -> bool:
    """Verify a snapshot and hold it against limits and earlier looks; fails where it is broken.

    Args:
        data: The snapshot of ingest-interactions.
        config: The run's configuration as JSON.
        checks: What was looked at.

    Returns:
        True; a broken limit is an error.
    """
    from pathlib import Path

    from marquee.steps.task import Task
    from marquee.steps.validate_data import as_markdown, validate_data

    found = validate_data(Path(data.path), config=config, task=Task.here())
    Path(checks.path).write_text(as_markdown(found), encoding="utf-8")
    return True
