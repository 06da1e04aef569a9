"""`marquee pipeline …`: the graphs on this machine and on a cluster."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from marquee.cli import guarded
from marquee.cli.progress import RichObserver
from marquee.cli.render import OUT, print_json
from marquee.errors import ConfigError
from marquee.run_values import RunValues
from marquee.settings import Settings
from pipelines.remote_cli import register

CONFIGS = Path(__file__).parent / "configs"
app = typer.Typer(
    name="marquee pipeline",
    help="The Kubeflow pipelines: run them here, compile them, submit them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
register(app)

ValuesOption = Annotated[
    str, typer.Option("--values", help="A name in pipelines/configs, or a YAML file of the run's values.")
]


@app.command()
def run(
    dataset: Annotated[str, typer.Argument(help="Instead of the dataset of the values.")] = "",
    *,
    values: ValuesOption = "local",
    source: Annotated[str, typer.Option(help="Folder, zip or URL instead of the publisher's.")] = "",
    seed: Annotated[int | None, typer.Option(help="Instead of the seed of the values.")] = None,
    runs: Annotated[Path | None, typer.Option(help="Runs folder; MARQUEE_RUNS by default.")] = None,
    runner: Annotated[
        Literal["subprocess", "docker"], typer.Option(help="Processes, or containers of the project's image.")
    ] = "subprocess",
    as_json: Annotated[bool, typer.Option("--json", help="Print metrics.json.")] = False,
) -> None:
    """Run the training pipeline on this machine; exits with 1 where the gate refuses the challenger."""
    from pipelines.run_local import PipelineFailedError
    from pipelines.summary import show_failure, show_trained
    from pipelines.train_here import train_here

    settings = Settings.from_environment()
    if runs is not None:
        settings = settings.model_copy(update={"runs": runs})
    wanted = changed(read_values(values), dataset=dataset, source=source, seed=seed)
    try:
        with RichObserver() as observer:
            done = train_here(
                wanted, settings, reason="manual", now=datetime.now(UTC), observer=observer, runner=runner
            )
    except PipelineFailedError as error:
        show_failure(error.step)
        raise
    if as_json:
        print_json({**done.metrics, "run": str(done.folder), "steps": done.seconds})
    else:
        show_trained(done)
    if not done.metrics["gate"]["passed"]:
        raise typer.Exit(1)


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
    name: Annotated[str, typer.Argument(help="training, batch or materialization.")] = "training",
) -> None:
    """Print a compiled pipeline's graph as a Mermaid flowchart."""
    from pipelines.graph import mermaid

    print(mermaid(name))  # noqa: T201 - text for a file


def read_values(name: str) -> RunValues:
    """Values by the name of a file in pipelines/configs, or by a path.

    Raises:
        ConfigError: there is none, or a key or value does not fit.
    """
    path = Path(name)
    if path.suffix not in {".yaml", ".yml"}:
        path = CONFIGS / f"{name}.yaml"
        if not path.is_file():
            known = ", ".join(sorted(file.stem for file in CONFIGS.glob("*.yaml")))
            raise ConfigError(f"--values = {name!r} is none of {known}.", remedy="Or name a .yaml file.")
    return RunValues.from_file(path)


def changed(values: RunValues, *, dataset: str = "", source: str = "", seed: int | None = None) -> RunValues:
    """The values with what the command line says otherwise.

    Raises:
        ConfigError: that does not fit.
    """
    plain = values.model_dump(mode="json", exclude_defaults=True)
    plain |= {key: value for key, value in {"dataset": dataset, "source": source}.items() if value}
    if seed is not None:
        plain["training"] = {**plain.get("training", {}), "seed": seed}
    return RunValues.from_values(plain, where="command line")


def main() -> None:
    """Run the command line."""
    guarded(app)
