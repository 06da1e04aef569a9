"""What a pipeline run says at its end."""

from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from marquee.assessment import HEADLINE, TWO_STAGE
from marquee.cli.render import ERR, OUT, facts, table
from marquee.run_folder import METRICS, REPORT
from pipelines.narrator import Step
from pipelines.train_here import TrainedHere

_COLUMNS = (HEADLINE, "ndcg@1", "precision@12", "mrr@10", "recall@100", "coverage@12")
TRACEBACK_LINES = 40


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
    shown = [label for label in _COLUMNS if label in models[TWO_STAGE]]
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


def where(path: Path) -> str:
    """A path as a person would type it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
