"""What a pipeline run says at its end."""

from collections.abc import Callable, Mapping
from typing import Any

import typer
from rich.markup import escape
from rich.table import Table

from marquee.assessment import COMPARED, HEADLINE, TWO_STAGE
from marquee.cli.progress import RichObserver
from marquee.cli.render import ERR, OUT, facts, print_json, table
from marquee.run_folder import METRICS, REPORT
from pipelines.narrator import Step
from pipelines.run_local import PipelineFailedError
from pipelines.train_here import TrainedHere

TRACEBACK_LINES = 40


def train_and_show(
    train: Callable[[RichObserver], TrainedHere], *, as_json: bool, more: Mapping[str, Any] | None = None
) -> None:
    """Train under the eyes of whoever waits, and say what came of it; exit with 1 where the gate refuses.

    Args:
        train: makes a run, and tells the observer of its steps.
        as_json: whether to print plain values.
        more: values to print with them.

    Raises:
        PipelineFailedError: a step failed; the end of what it said is printed.
    """
    try:
        with RichObserver() as observer:
            done = train(observer)
    except PipelineFailedError as error:
        show_failure(error.step)
        raise
    if as_json:
        print_json({**done.metrics, "run": str(done.folder), "steps": done.seconds, **(more or {})})
    else:
        show_trained(done)
    if not done.metrics["gate"]["passed"]:
        raise typer.Exit(1)


def show_trained(done: TrainedHere) -> None:
    """Print the models, the verdict and where things lie."""
    OUT.print()
    OUT.print(_models(done.metrics))
    OUT.print()
    gate = done.metrics["gate"]
    OUT.print("[bold green]Gate: passed[/]" if gate["passed"] else "[bold red]Gate: refused[/]")
    for check in gate["checks"]:
        mark = "[green]✓[/]" if check["passed"] else "[red]✗[/]"
        OUT.print(f" {mark} {escape(check['reason'])}")
    OUT.print()
    OUT.print(facts("Run", _facts(done)))
    OUT.print()
    OUT.print("[bold]Next[/]")
    user = "--user 1" if done.metrics["dataset"] == "ml-100k" else "--clicked ID,ID"
    for command, purpose in (
        (f"marquee recommend {user}", "a list for somebody"),
        ("marquee report", "the page of this run"),
        ("marquee registry list", "what is registered, and who reigns"),
    ):
        OUT.print(f"  .venv/bin/{escape(command)}  [dim]# {purpose}[/]", soft_wrap=True)


def _models(metrics: dict[str, Any]) -> Table:
    models = metrics["models"]
    shown = [label for label in COMPARED if label in models[TWO_STAGE]]
    made = table(f"Metrics over {metrics['n_queries']} users", ["model", *shown])
    for name in sorted(models, key=lambda name: -models[name][HEADLINE]):
        cells = [f"{models[name][label]:.4f}" if label in models[name] else "" for label in shown]
        made.add_row(*(f"[bold]{cell}[/]" if name == TWO_STAGE else cell for cell in (name, *cells)))
    return made


def _facts(done: TrainedHere) -> dict[str, object]:
    inside = sum(done.metrics["seconds"].values())
    return {
        "bundle": f"{done.folder / 'bundle'}  (id {done.metrics['bundle_id']})",
        "metrics": done.folder / METRICS,
        "report": done.folder / REPORT,
        "second stage": done.metrics["second_stage"]["chosen"],
        "registered": "yes, and champion" if done.is_registered else "no",
        **({"reused": f"{', '.join(done.reused)}: finished in an earlier try"} if done.reused else {}),
        "took": f"{sum(done.seconds.values()):.0f} s in {len(done.seconds)} steps, {inside:.0f} s at work",
    }


def show_failure(step: Step | None) -> None:
    """Print the end of what the failing step said."""
    if step is None:
        return
    lines = step.traceback.rstrip().splitlines()
    if len(lines) > TRACEBACK_LINES:
        lines = [f"… {len(lines) - TRACEBACK_LINES} lines before", *lines[-TRACEBACK_LINES:]]
    ERR.print()
    for line in lines:
        ERR.print(f"[dim]{escape(line)}[/]", soft_wrap=True)
    ERR.print()
