"""`marquee pipeline …`: the graphs on this machine and on a cluster."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from marquee.cli import guarded
from marquee.cli.render import OUT
from marquee.settings import Settings
from pipelines.remote_cli import register
from pipelines.values import ValuesFile, changed, read_values

app = typer.Typer(
    name="marquee pipeline",
    help="The Kubeflow pipelines: run them here, compile them, submit them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
register(app)


@app.command()
def run(
    dataset: Annotated[str, typer.Argument(help="Instead of the dataset of the values.")] = "",
    *,
    values: ValuesFile = "local",
    source: Annotated[str, typer.Option(help="Folder, zip or URL instead of the publisher's.")] = "",
    seed: Annotated[int | None, typer.Option(help="Instead of the seed of the values.")] = None,
    runs: Annotated[Path | None, typer.Option(help="Runs folder; MARQUEE_RUNS by default.")] = None,
    runner: Annotated[
        Literal["subprocess", "docker"], typer.Option(help="Processes, or containers of the project's image.")
    ] = "subprocess",
    as_json: Annotated[bool, typer.Option("--json", help="Print metrics.json.")] = False,
) -> None:
    """Run the training pipeline on this machine; exits with 1 where the gate refuses the challenger."""
    from pipelines.summary import train_and_show
    from pipelines.train_here import train_here

    settings = Settings.from_environment().with_runs(runs)
    wanted = changed(read_values(values), dataset=dataset, source=source, seed=seed)
    train_and_show(
        lambda observer: train_here(
            wanted, settings, reason="manual", now=datetime.now(UTC), observer=observer, runner=runner
        ),
        as_json=as_json,
    )


@app.command(name="compile")
def compile_all(
    out: Annotated[Path, typer.Option(help="Folder of the YAML files.")] = Path("build/pipelines"),
) -> None:
    """Compile every pipeline to YAML, for CI to upload."""
    from pipelines.compile import PIPELINES, compile_pipeline

    for name in PIPELINES:
        OUT.print(str(compile_pipeline(name, out / f"{name}.yaml")), soft_wrap=True)


@app.command()
def graph(
    name: Annotated[str, typer.Argument(help="training, batch, materialization or monitoring.")] = "training",
) -> None:
    """Print a compiled pipeline's graph as a Mermaid flowchart."""
    from pipelines.graph import mermaid

    print(mermaid(name))  # noqa: T201 - text for a file


def main() -> None:
    """Run the command line."""
    guarded(app)
