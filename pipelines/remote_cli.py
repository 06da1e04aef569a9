"""`marquee pipeline submit|schedule|list|trigger`: the commands for a cluster."""

import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from marquee.cli.options import AsJson, RunsFolder
from marquee.errors import ConfigError
from marquee.run_folder import new_run_id
from marquee.run_values import RunValues
from marquee.settings import Settings
from pipelines.trigger import Decision, Order, Reason
from pipelines.values import ValuesFile, changed, read_values

if TYPE_CHECKING:
    from marquee.cli.progress import RichObserver
    from pipelines.overview import Overview
    from pipelines.submit import Version
    from pipelines.train_here import TrainedHere

PipelineName = Annotated[str, typer.Argument(help="training, batch, materialization or monitoring.")]
DatasetOption = Annotated[str, typer.Option("--dataset", help="Instead of the dataset of the values.")]
SourceOption = Annotated[str, typer.Option("--source", help="A URL instead of the publisher's.")]
SeedOption = Annotated[int | None, typer.Option("--seed", help="Instead of the seed of the values.")]
VersionOption = Annotated[str | None, typer.Option("--version-name", help="Instead of release and commit.")]


def submit(
    pipeline: PipelineName = "training",
    *,
    values: ValuesFile = "production",
    dataset: DatasetOption = "",
    source: SourceOption = "",
    seed: SeedOption = None,
    upload_only: Annotated[bool, typer.Option("--upload-only", help="Start no run.")] = False,
    dirty: Annotated[
        bool, typer.Option("--dirty", help="Also with edits that no commit has; the version's name says so.")
    ] = False,
    version_name: VersionOption = None,
    as_json: AsJson = False,
) -> None:
    """Upload a pipeline's version, named by release and commit, and start a run of it."""
    from pipelines import release
    from pipelines import submit as submitting
    from pipelines.api import connect

    wanted = _values(values, dataset, source, seed)
    run_id = new_run_id(datetime.now(UTC))
    with tempfile.TemporaryDirectory() as folder:
        compiled = release.compile_for_cluster(pipeline, Path(folder))
        parameters = submitting.arguments(compiled, wanted, run_id=run_id, reason="manual")
        api = connect(Settings.from_environment())
        name = version_name or release.version_name(compiled, dirty=dirty)
        version = submitting.upload(api, compiled, name)
    said = _said_of(version) | {"uploaded": "now" if version.is_new else "earlier"}
    if not upload_only:
        started = submitting.start(api, version, parameters, name=run_id, description="reason: manual")
        said |= {"run": started.name, "run_id": started.run_id, "url": started.url}
    _show("Submitted", said, as_json=as_json)


def schedule(
    pipeline: PipelineName = "training",
    *,
    cron: Annotated[
        str | None,
        typer.Option(help='When, as six fields, seconds first: "0 0 3 * * *" is three o\'clock, UTC.'),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the schedule; the pipeline's by default.")] = None,
    values: ValuesFile = "production",
    dataset: DatasetOption = "",
    source: SourceOption = "",
    seed: SeedOption = None,
    version_name: Annotated[
        str | None, typer.Option("--version-name", help="Which version; the newest by default.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Delete the schedule.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a version again and again; what differs from the schedule of that name replaces it."""
    from pipelines import schedules
    from pipelines.api import connect
    from pipelines.cron import check_cron
    from pipelines.release import cluster_name
    from pipelines.submit import arguments, version_to_run

    name = name or cluster_name(pipeline)
    settings = Settings.from_environment()
    if remove:
        gone = schedules.remove(connect(settings), name)
        _show("Schedule", {"schedule": name, "removed": list(gone)}, as_json=as_json)
        return
    if cron is None:
        raise ConfigError("--cron is missing.", remedy='Say when, such as --cron "0 0 3 * * *", or --remove.')
    cron = check_cron(cron)
    wanted = _values(values, dataset, source, seed)
    api = connect(settings)
    version = version_to_run(api, pipeline, version=version_name)
    parameters = arguments(version, wanted, run_id=schedules.RUN_ID, reason="schedule")
    made = schedules.schedule(api, schedules.Schedule(name, cron, version, parameters))
    said = {"schedule": name, "cron": cron, **_said_of(version), "done": made.done}
    said |= {"recurring_run_id": made.recurring_run_id, "removed": list(made.removed)}
    _show("Schedule", said, as_json=as_json)


def list_all(
    n: Annotated[int, typer.Option("-n", min=1, max=100, help="How many versions and runs, 1 to 100.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Versions, runs with their states, and schedules on the cluster."""
    from marquee.cli.render import print_json
    from pipelines.api import connect
    from pipelines.overview import overview

    found = overview(connect(Settings.from_environment()), n=n)
    if as_json:
        print_json(found)
    else:
        _show_overview(found)


def trigger(
    pipeline: Annotated[Literal["training"], typer.Argument(help="What to start.")] = "training",
    *,
    reason: Annotated[Reason, typer.Option(help="Why.")] = "manual",
    decision: Annotated[
        str | None, typer.Option(help="A decision.json or its URI: what asked for the training.")
    ] = None,
    cluster: Annotated[
        bool, typer.Option("--cluster", help="There, as the newest version; otherwise on this machine.")
    ] = False,
    values: Annotated[
        str, typer.Option("--values", help="As of `submit`; `local` here and `production` there by default.")
    ] = "",
    dataset: DatasetOption = "",
    source: Annotated[str, typer.Option("--source", help="Instead of the publisher's.")] = "",
    seed: SeedOption = None,
    runs: RunsFolder = None,
    as_json: AsJson = False,
) -> None:
    """Start a training for a reason; exits with 3 while another one is at work."""
    from pipelines.trigger import trigger_on_cluster

    order = Order(reason, Decision.of(decision) if decision else None)
    wanted = _values(values or ("production" if cluster else "local"), dataset, source, seed)
    settings = Settings.from_environment()
    if not cluster:
        _train_here(order, wanted, settings.with_runs(runs), as_json=as_json)
        return
    if runs is not None:
        raise ConfigError("--runs is of this machine.", remedy="Leave out --runs or --cluster.")
    started = trigger_on_cluster(order, wanted, settings, now=datetime.now(UTC))
    said = {"pipeline": pipeline, "version": started.version, "run": started.name, "run_id": started.run_id}
    _show("Started", {**said, **order.values, "url": started.url}, as_json=as_json)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(submit)
    app.command()(schedule)
    app.command(name="list")(list_all)
    app.command()(trigger)


def _train_here(order: Order, values: RunValues, settings: Settings, *, as_json: bool) -> None:
    from pipelines.summary import train_and_show
    from pipelines.train_here import train_here
    from pipelines.trigger import trigger_here

    now = datetime.now(UTC)

    def train(observer: "RichObserver") -> "TrainedHere":
        finished: list[TrainedHere] = []

        def work() -> Path:
            finished.append(train_here(values, settings, reason=order.reason, now=now, observer=observer))
            return finished[0].folder

        trigger_here(order, settings.runs, work, now=now)
        return finished[0]

    train_and_show(train, as_json=as_json, more={"trigger": order.values})


def _values(name: str, dataset: str, source: str, seed: int | None) -> RunValues:
    return changed(read_values(name), dataset=dataset, source=source, seed=seed)


def _said_of(version: "Version") -> dict[str, Any]:
    return {"pipeline": version.pipeline, "version": version.version, "images": version.images}


def _show(title: str, values: Mapping[str, Any], *, as_json: bool) -> None:
    from marquee.cli.render import OUT, facts, print_json

    if as_json:
        print_json(values)
        return
    rows = {key.replace("_", " "): _text(value) for key, value in values.items()}
    OUT.print(facts(title, {key: text for key, text in rows.items() if text}))


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str("" if value is None else value)


def _show_overview(found: "Overview") -> None:
    from rich.markup import escape

    from marquee.cli.render import OUT, table

    columns = {
        "versions": ("pipeline", "version", "created", "images"),
        "runs": ("run", "pipeline", "state", "reason", "created", "finished"),
        "schedules": ("schedule", "pipeline", "cron", "mode", "version"),
    }
    for kind, names in columns.items():
        if not found[kind]:
            OUT.print(f"No {kind}.")
            continue
        made = table(kind.capitalize(), names, left=len(names))
        for row in found[kind]:
            made.add_row(*(escape(_text(row[name])) for name in names))
        OUT.print(made)
        OUT.print()
