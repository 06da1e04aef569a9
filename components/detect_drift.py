"""Ask whether the world has moved away from what the champion learned."""

from kfp.dsl import HTML, Artifact, Dataset, Input, Markdown, Metrics, Output

from components._image import component


@component
def detect_drift(
    data: Input[Dataset],
    config: str,
    current: str,
    reference: str,
    decision: Output[Artifact],
    reason: Output[Markdown],
    measured: Output[Metrics],
    report: Output[HTML],
    gauges: Output[Artifact],
) -> bool:
    """Hold the newest window against the past: data gate, calibrated statistics, decision, report.

    Args:
        data: The snapshot of ingest-interactions.
        config: The run's configuration as JSON.
        current: The window, such as 7d.
        reference: What to compare with; empty for all before the window.
        decision: All that the decision follows from, as JSON; it can be replayed.
        reason: The decision for people.
        measured: The z of each signal, and the window's size.
        report: Evidently's page, or why there is none.
        gauges: What `marquee monitor drift --metrics` leaves for Prometheus, in its text format.

    Returns:
        Whether a training is asked for.
    """
    from pathlib import Path

    from marquee.steps.drift_check import check_drift
    from marquee.steps.task import Task

    found = check_drift(
        Path(data.path), config=config, current=current, reference=reference,
        out=Path(decision.path).parent / "drift", task=Task.here(),
    )  # fmt: skip
    made = (decision, reason, measured, report, gauges)
    for artifact, content in zip(made, found.artifacts, strict=True):
        Path(artifact.path).write_text(content, encoding="utf-8")
    measured.metadata.update(found.scalars)
    return found.retrain
