"""`marquee registry …`: the registered bundles, who is champion, and how to change that."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from marquee.cli.options import AsJson, RunsFolder

if TYPE_CHECKING:
    from marquee.adapters.mlflow import Registry, Version
    from marquee.settings import Settings

app = typer.Typer(help="List, promote and roll back registered bundles.", no_args_is_help=True)

DatasetOption = Annotated[
    str | None, typer.Option("--dataset", help="Whose bundles; needed where several data sets have some.")
]


@app.command("list")
def list_versions(dataset: DatasetOption = None, runs: RunsFolder = None, as_json: AsJson = False) -> None:
    """Every registered bundle with its measurement, its verdict and its aliases."""
    from marquee.adapters.mlflow import Tracking, registered_datasets
    from marquee.cli.render import OUT, print_json

    settings = _settings(runs)
    names = [dataset] if dataset else registered_datasets(Tracking.of(settings.runs))
    found = {name: _registry(name, settings).list() for name in names}
    if as_json:
        print_json([_as_values(name, version) for name in names for version in found[name]])
        return
    for name, versions in found.items():
        OUT.print(_as_table(name, versions))
    if not any(found.values()):
        OUT.print("No bundle is registered yet.")


@app.command()
def promote(
    which: Annotated[str, typer.Argument(help="A version's number or its bundle id.")],
    dataset: DatasetOption = None,
    despite_gate: Annotated[
        bool, typer.Option("--despite-gate", help="Also a bundle that the gate refused.")
    ] = False,
    runs: RunsFolder = None,
    as_json: AsJson = False,
) -> None:
    """Make a bundle the champion; without --despite-gate, the gate's refusal is exit code 1."""
    settings = _settings(runs)
    registry = _registry(dataset or _only_dataset(settings), settings)
    version = registry.promote(which, now=datetime.now(UTC), despite_gate=despite_gate)
    _show(registry, version, settings.runs, as_json=as_json)


@app.command()
def rollback(dataset: DatasetOption = None, runs: RunsFolder = None, as_json: AsJson = False) -> None:
    """Return to the champion before; again, to the one before that."""
    settings = _settings(runs)
    registry = _registry(dataset or _only_dataset(settings), settings)
    _show(registry, registry.rollback(now=datetime.now(UTC)), settings.runs, as_json=as_json)


def _settings(runs: Path | None) -> "Settings":
    from marquee.settings import Settings

    return Settings.from_environment().with_runs(runs)


def _registry(dataset: str, settings: "Settings") -> "Registry":
    from marquee.registering import Models

    return Models.of(dataset, settings, os.environ).registry


def _only_dataset(settings: "Settings") -> str:
    """The data set that is meant where none is named.

    Raises:
        RegistryError: none has a registered bundle, or several have.
    """
    from marquee.adapters.mlflow import RegistryError, Tracking, registered_datasets

    names = registered_datasets(Tracking.of(settings.runs))
    if not names:
        raise RegistryError(f"no bundle is registered in {settings.runs}.", remedy="Run `make run` first.")
    if len(names) > 1:
        raise RegistryError(
            f"{len(names)} data sets have registered bundles.", remedy=f"Give --dataset: {', '.join(names)}."
        )
    return names[0]


def _show(registry: "Registry", version: "Version", runs: Path, *, as_json: bool) -> None:
    """Say who reigns now; the runs folder's own link to the champion follows."""
    from marquee.cli.render import OUT, print_json
    from marquee.run_folder import crown

    if (runs / version.run).is_dir():  # a run of another machine has no folder here
        crown(runs, runs / version.run, registry.dataset)
    if as_json:
        print_json(_as_values(registry.dataset, version))
    else:
        OUT.print(
            f"[green]✓[/] {registry.model}: version {version.number} is the champion, "
            f"bundle {version.bundle_id} of run {version.run}"
        )


def _as_values(dataset: str, version: "Version") -> dict[str, Any]:
    return {
        "dataset": dataset,
        "version": version.number,
        "bundle_id": version.bundle_id,
        "run": version.run,
        "mlflow_run_id": version.mlflow_run_id,
        "source": version.source,
        "ndcg@10": version.ndcg,
        "gate": version.gate,
        "aliases": list(version.aliases),
        "registered": version.created.isoformat(timespec="seconds"),
    }


def _as_table(dataset: str, versions: "Sequence[Version]") -> Any:  # noqa: ANN401 - rich waits inside
    from marquee.cli.render import table

    made = table(
        f"Registered bundles of {dataset}",
        ["version", "bundle", "run", "gate", "aliases", "registered", "NDCG@10"],
        left=6,
    )
    for version in reversed(versions):
        ndcg = f"{version.ndcg:.4f}" if version.ndcg is not None else ""
        colour = "green" if version.gate == "passed" else "red"
        made.add_row(
            str(version.number),
            version.bundle_id,
            version.run,
            f"[{colour}]{version.gate}[/]",
            ", ".join(version.aliases),
            f"{version.created:%Y-%m-%d %H:%M}",
            ndcg,
        )
    return made
