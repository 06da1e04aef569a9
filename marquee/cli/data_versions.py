"""`marquee data track`, `push`, `pull`: snapshots under DVC."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from marquee.cli.options import AsJson, ConfigFile, SourcePath

FetchedDataset = Annotated[str, typer.Argument(help="A data set that was fetched.")]
Remote = Annotated[
    str | None, typer.Option("--remote", help="A folder or s3://bucket/prefix, to be used from now on.")
]


def track(
    dataset: FetchedDataset = "ml-100k",
    source: SourcePath = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Put what the warehouse holds under DVC, so that a git commit names it."""
    from marquee.adapters import data_versions
    from marquee.cli.render import OUT, facts, print_json
    from marquee.settings import Settings

    settings = Settings.from_environment()
    tracked = data_versions.track(_storage(dataset, source, config), settings)
    shown = {
        "dataset": dataset,
        "snapshot": tracked.snapshot.id,
        "pointer": str(tracked.pointer),
        "rows": tracked.snapshot.rows,
    }
    if as_json:
        print_json(shown)
        return
    shown["rows"] = _counted(tracked.snapshot.rows)
    shown["next"] = (
        f"git add .dvc .dvcignore {settings.tracked} && git commit; then `marquee data push {dataset}`"
    )
    OUT.print(facts("Tracked", shown))


def push(
    dataset: FetchedDataset = "ml-100k",
    source: SourcePath = None,
    config: ConfigFile = None,
    remote: Remote = None,
    as_json: AsJson = False,
) -> None:
    """Copy what was tracked last to a folder or bucket; call it after each `track`."""
    from marquee.adapters import data_versions
    from marquee.cli.render import OUT, facts, print_json
    from marquee.settings import Settings

    data_versions.push(_storage(dataset, source, config), Settings.from_environment(), remote=remote)
    shown = {"dataset": dataset, "remote": remote or "as configured"}
    if as_json:
        print_json(shown)
    else:
        OUT.print(facts("Pushed", shown))


def pull(
    dataset: FetchedDataset = "ml-100k",
    source: SourcePath = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Bring the snapshot that this git revision names into the warehouse."""
    from marquee.adapters import data_versions
    from marquee.cli.render import OUT, facts, print_json
    from marquee.settings import Settings

    restored = data_versions.pull(_storage(dataset, source, config), Settings.from_environment())
    shown = {
        "dataset": dataset,
        "snapshot": restored.snapshot.id,
        "rows": restored.snapshot.rows,
        "is_present": restored.is_present,
    }
    if as_json:
        print_json(shown)
        return
    del shown["is_present"]
    shown["rows"] = _counted(restored.snapshot.rows)
    if not restored.is_present:
        shown["note"] = "the warehouse holds other data now, which stay; train on these with --data-rev"
    OUT.print(facts("Pulled", shown))


def _counted(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {table}" for table, count in rows.items())


def _storage(dataset: str, source: str | None, config: Path | None) -> str:
    from marquee.config import TrainingConfig
    from marquee.data.datasets.prepare import storage_name

    choices = (TrainingConfig.from_file(config) if config else TrainingConfig()).dataset
    return storage_name(dataset, source=source, config=choices)
