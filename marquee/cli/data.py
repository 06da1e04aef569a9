"""`marquee data …`: bring events in, check them, freeze them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from marquee.cli import data_versions
from marquee.cli.options import AsJson, ConfigFile, SourcePath

app = typer.Typer(help="Fetch, validate, snapshot and version data.", no_args_is_help=True)
for command in (data_versions.track, data_versions.push, data_versions.pull):
    app.command()(command)


@app.command("list")
def list_datasets(as_json: AsJson = False) -> None:
    """The data sets by name."""
    from marquee.cli.render import OUT, print_json, table
    from marquee.data.datasets.catalogue import dataset_names

    infos = dataset_names()
    if as_json:
        print_json(
            [
                {"name": i.name, "description": i.description, "size": i.size, "licence": i.licence}
                for i in infos
            ]
        )
        return
    made = table("Data sets", ["name", "what", "size", "licence"], left=4)
    for column in made.columns[1:]:
        column.no_wrap, column.overflow = False, "fold"
    for info in infos:
        made.add_row(info.name, info.description, info.size, info.licence)
    OUT.print(made)


@app.command()
def fetch(
    dataset: Annotated[str, typer.Argument(help="A name of `marquee data list`.")] = "ml-100k",
    source: SourcePath = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Download (or generate), check and ingest a data set, and freeze it as a snapshot."""
    from marquee.cli.progress import RichObserver
    from marquee.cli.render import OUT, facts, print_json
    from marquee.config import TrainingConfig
    from marquee.data.datasets.prepare import prepare_dataset, storage_name
    from marquee.data.warehouse import Warehouse
    from marquee.settings import Settings

    settings = Settings.from_environment()
    choices = (TrainingConfig.from_file(config) if config else TrainingConfig()).dataset
    storage = storage_name(dataset, source=source, config=choices)
    with RichObserver() as observer:
        observer.begin(f"fetch {dataset}")
        prepared = prepare_dataset(
            dataset,
            warehouse=Warehouse(settings.warehouse(storage)),
            cache=settings.cache,
            now=datetime.now(UTC),
            source=source,
            config=choices,
            on_progress=lambda _what, done, total: observer.advance(done, total),
        )
    report = prepared.ingest.model_dump(mode="json") if prepared.ingest else None
    shown: dict[str, Any] = {
        "dataset": prepared.name,
        "source": prepared.source,
        "warehouse": str(settings.warehouse(storage)),
        "snapshot": prepared.snapshot.id,
        "rows": prepared.snapshot.rows,
        "unreadable_values": prepared.n_issues,
        "notes": list(prepared.notes),
    }
    if as_json:
        print_json({**shown, "ingest": report})
        return
    del shown["notes"]
    shown["rows"] = ", ".join(f"{count:,} {table}" for table, count in prepared.snapshot.rows.items())
    shown["snapshot"] = prepared.snapshot.id[:16]
    shown.update({f"note {number}": note for number, note in enumerate(prepared.notes, start=1)})
    OUT.print(facts("Fetched", {**shown, **report_facts(report)}))


@app.command()
def validate(
    sources: Annotated[list[str], typer.Argument(help="Files, folders or globs.")],
    mapping: Annotated[str, typer.Option("--mapping", help="A mapping file, or the name of a preset.")],
    quarantine: Annotated[
        Path, typer.Option("--quarantine", help="Folder for the file of refused records.")
    ] = Path("quarantine"),
    as_json: AsJson = False,
) -> None:
    """Check event files against the contract and keep nothing; refused records are written out."""
    import tempfile

    from marquee.cli.progress import RichObserver
    from marquee.cli.render import OUT, facts, print_json
    from marquee.data.ingest import IngestConfig, ingest_interactions
    from marquee.data.mapping import Mapping
    from marquee.data.warehouse import Warehouse

    with RichObserver() as observer, tempfile.TemporaryDirectory() as scratch:
        observer.begin("validate")
        report = ingest_interactions(
            sources,
            Mapping.load(mapping),
            Warehouse(Path(scratch) / "warehouse"),
            config=IngestConfig(),
            now=datetime.now(UTC),
            on_progress=observer.advance,
            validate_only=True,
            quarantine_folder=quarantine,
        )
    values = report.model_dump(mode="json")
    if as_json:
        print_json(values)
    else:
        OUT.print(facts("Validated", report_facts(values)))


@app.command()
def snapshot(
    dataset: Annotated[str, typer.Argument(help="A data set that was fetched.")] = "ml-100k",
    source: SourcePath = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Freeze what the warehouse holds; equal data give an equal id."""
    from marquee.cli.render import OUT, facts, print_json
    from marquee.config import TrainingConfig
    from marquee.data.datasets.prepare import storage_name
    from marquee.data.warehouse import Warehouse
    from marquee.settings import Settings

    choices = (TrainingConfig.from_file(config) if config else TrainingConfig()).dataset
    storage = storage_name(dataset, source=source, config=choices)
    warehouse = Warehouse(Settings.from_environment().warehouse(storage))
    frozen = warehouse.snapshot()
    shown = {
        "dataset": dataset,
        "snapshot": frozen.id,
        "rows": frozen.rows,
        "stored": warehouse.snapshot_ids(),
    }
    if as_json:
        print_json(shown)
    else:
        OUT.print(facts("Snapshot", shown))


def report_facts(report: dict[str, Any] | None) -> dict[str, object]:
    """An ingest report for people."""
    if report is None:
        return {"events": "none: a catalogue"}
    skipped = f"{len(report['skipped_files'])} file(s) that were ingested before"
    if not report["read"] and report["skipped_files"]:
        return {"ingest": f"nothing new in {skipped}"}
    shown: dict[str, object] = {
        "read": f"{report['read']:,} = {report['accepted']:,} accepted + {report['quarantined']:,} bad",
        "accepted": f"{report['new']:,} new + {report['duplicate']:,} duplicate",
        "events": f"{report['first_timestamp']} to {report['last_timestamp']}",
        "seconds": f"{report['seconds']:.2f}",
    }
    if report["skipped_files"]:
        shown["skipped"] = skipped
    if report["quarantined"]:
        shown["reasons"] = ", ".join(f"{reason}: {count:,}" for reason, count in report["reasons"].items())
        shown["quarantine"] = report["quarantine_path"]
    return shown
