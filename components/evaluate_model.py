"""Measure and judge the challenger."""

from kfp.dsl import HTML, Dataset, Input, Markdown, Metrics, Model, Output

from components._image import component


@component
def evaluate_model(
    data: Input[Dataset],
    features: Input[Dataset],
    rows: Input[Dataset],
    ranker: Input[Model],
    candidates: Input[Model],
    config: str,
    run_id: str,
    reason: str,
    model: Output[Model],
    metrics: Output[Metrics],
    report: Output[HTML],
    table: Output[Markdown],
) -> str:
    """Measure the two stages beside every route and the champion, with intervals, and write the bundle.

    Args:
        data: The snapshot of ingest-interactions.
        features: The state of build-features.
        rows: The training rows of build-training-set.
        ranker: The second stage.
        candidates: The first stages.
        config: The run's configuration as JSON.
        run_id: What the run is called.
        reason: Why it was started.
        model: What the run leaves: metrics.json, report.html, config.yaml, bundle/ and evaluated/.
        metrics: The headline numbers, for the comparison of runs.
        report: The whole evaluation as a page.
        table: Every model's headline numbers and the gate's verdict.

    Returns:
        The bundle's id.
    """
    from pathlib import Path

    from marquee.steps.evaluate_model import Inputs, as_markdown, evaluate_model, headline
    from marquee.steps.reading import reading
    from marquee.steps.task import Task

    task, out = Task.here(), Path(model.path)
    made = (data, features, rows, ranker, candidates)
    inputs = Inputs(*(Path(part.path) for part in made))
    with reading(inputs.features, task) as state:
        found = evaluate_model(
            inputs, out, state=state, config=config, run_id=run_id, reason=reason, task=task
        )
    for name, value in headline(found).items():
        metrics.log_metric(name, value)
    Path(metrics.path).write_text((out / "metrics.json").read_text(encoding="utf-8"), encoding="utf-8")
    Path(report.path).write_text((out / "report.html").read_text(encoding="utf-8"), encoding="utf-8")
    Path(table.path).write_text(as_markdown(found), encoding="utf-8")
    model.metadata.update({"bundle_id": found["bundle_id"], "snapshot": found["snapshot"]})
    return found["bundle_id"]
