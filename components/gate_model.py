"""Decide whether the challenger may be registered."""

from kfp.dsl import Input, Markdown, Metrics, Output

from components._image import component


@component
def gate_model(metrics: Input[Metrics], decision: Output[Markdown]) -> bool:
    """Read the gate's verdict.

    Args:
        metrics: The metrics of evaluate-model.
        decision: The verdict and its grounds.

    Returns:
        Whether the challenger passed.
    """
    from pathlib import Path

    from marquee.steps.gate_model import gate_model

    verdict = gate_model(Path(metrics.path))
    Path(decision.path).write_text(verdict.as_markdown(), encoding="utf-8")
    return verdict.passed
