"""Make the registered version the one that is served."""

from kfp.dsl import Input, Model

from components._image import component


@component
def roll_out_model(bundle_id: str, model: Input[Model]) -> str:
    """Make a registered bundle the champion, unless another one became it since the comparison.

    Args:
        bundle_id: Of the version that register-model made.
        model: What evaluate-model left: it names the champion that was compared with.

    Returns:
        Where the champion lies.
    """
    from pathlib import Path

    from marquee.steps.roll_out_model import roll_out_model
    from marquee.steps.task import Task

    return roll_out_model(bundle_id, Path(model.path), task=Task.here())
