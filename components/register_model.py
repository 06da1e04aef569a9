"""Register the challenger."""

from kfp.dsl import Input, Markdown, Model, Output

from components._image import component


@component
def register_model(model: Input[Model], card: Output[Markdown]) -> str:
    """Put the bundle into the object store, record the run in MLflow, and register a version.

    Args:
        model: What evaluate-model left.
        card: What was registered, and where it lies.

    Returns:
        The bundle's id, by which the version is found.
    """
    from pathlib import Path

    from marquee.steps.register_model import register_model
    from marquee.steps.task import Task

    registered = register_model(Path(model.path), task=Task.here())
    Path(card.path).write_text(registered.as_markdown(), encoding="utf-8")
    return registered.bundle_id
