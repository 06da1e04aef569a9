"""`marquee features …`: build state, and declare, fill, read and watch the feature store."""

import os
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from marquee.cli.options import AsJson

if TYPE_CHECKING:
    from marquee.adapters.feast import Change, FeatureDoor

app = typer.Typer(help="The feature store: build, declare, fill, read, watch.", no_args_is_help=True)

Dataset = Annotated[str, typer.Option("--dataset", help="A name of `marquee data list`.")]
ProfileName = Annotated[
    str | None,
    typer.Option("--profile", help="Of feature_repo/profiles, or a file; MARQUEE_PROFILE, else local."),
]
Views = Annotated[list[str] | None, typer.Option("--view", help="Only this view; may be repeated.")]
DEFAULT = "ml-100k"


@app.command()
def build(
    dataset: Dataset = DEFAULT,
    new_events: Annotated[
        Path | None,
        typer.Option("--events", help="Only add these events (Parquet of the contract) to what is built."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Build the views' tables from a warehouse, or add new events to them; both give the same tables."""
    from marquee.cli.render import OUT, facts, print_json
    from marquee.features.state import build_state, update_state

    settings, tables, events = _inputs(dataset, new_events)
    build_or_update = build_state if new_events is None else update_state
    report = build_or_update(settings.state(dataset), events, tables=tables)
    values = vars(report) | {"changed_since": _moment(report.changed_since_us)}
    if as_json:
        print_json(values)
    else:
        OUT.print(facts("State", {name.replace("_", " "): value for name, value in values.items()}))


@app.command(name="apply")
def apply_(
    dataset: Dataset = DEFAULT,
    profile: ProfileName = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and stop.")] = False,
    delete: Annotated[
        list[str] | None, typer.Option("--delete", help="What may be deleted, as view:name; may be repeated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring the registry in line with feature_repo: plan first, never a new meaning under an old name."""
    from marquee.cli.render import OUT, print_json

    door, repo = _door(dataset, profile)
    declared = door.declarations(repo)
    plan = door.plan(declared)
    if not as_json:
        for change in plan.changes:
            OUT.print(_line(change))
    plan.require_safe(delete or ())
    if not dry_run:
        door.apply(declared, deletions=delete or ())
    if as_json:
        print_json({"applied": not dry_run, "changes": [vars(change) for change in plan.changes]})
    else:
        OUT.print(
            f"{len(plan.changes)} changes {'planned' if dry_run else 'applied'}, profile {door.profile.name}"
        )


@app.command()
def materialize(
    dataset: Dataset = DEFAULT,
    profile: ProfileName = None,
    start: Annotated[
        str | None, typer.Option(help="ISO time; all by default. After an update: its `changed_since`.")
    ] = None,
    end: Annotated[str | None, typer.Option(help="ISO time; now by default.")] = None,
    view: Views = None,
    as_json: AsJson = False,
) -> None:
    """Bring the newest row of each key online; a run that died goes on where it was."""
    from marquee.cli.render import ERR, OUT, print_json, table

    door, _ = _door(dataset, profile)
    reports = door.materialise(
        start=_time(start, datetime(1970, 1, 1, tzinfo=UTC)),
        end=_time(end, datetime.now(UTC)),
        views=view,
        journal=_settings().state(dataset) / "materialise.json",
        on_progress=lambda name, done, total: ERR.print(f"{name}: {done:,} of {total:,}"),
    )
    if as_json:
        print_json([vars(report) for report in reports])
        return
    shown = table("Online", ["view", "keys", "written", "resumed at"])
    for report in reports:
        shown.add_row(report.view, f"{report.rows:,}", f"{report.written:,}", f"{report.resumed_at:,}")
    OUT.print(shown)


@app.command()
def push(
    events: Annotated[Path, typer.Argument(help="New events: Parquet of the contract.")],
    dataset: Dataset = DEFAULT,
    profile: ProfileName = None,
    as_json: AsJson = False,
) -> None:
    """Add events to the state and bring their users' newest rows online; repeats and late ones are safe."""
    from marquee import schema
    from marquee.cli.render import OUT, print_json
    from marquee.features.state import StateFolder, update_state

    door, _ = _door(dataset, profile)
    settings, tables, rows = _inputs(dataset, events)
    report = update_state(settings.state(dataset), rows, tables=tables)
    users = rows.lazy().select(schema.USER_ID).unique()
    newest = (
        StateFolder(settings.state(dataset))
        .scan(schema.USER_ACTIVITY_VIEW)
        .join(users, on=schema.USER_ID, how="semi")
        .collect()
        .sort(schema.EVENT_TIMESTAMP)
        .unique(schema.USER_ID, keep="last", maintain_order=True)
    )
    pushed = door.push(schema.USER_ACTIVITY_VIEW, newest)
    values = {"changed_events": report.changed_events, "state_id": report.state_id, **vars(pushed)}
    if as_json:
        print_json(values)
    else:
        OUT.print(
            f"{report.changed_events:,} new events; {pushed.written:,} users' rows online,"
            f" {pushed.superseded:,} superseded"
        )


@app.command()
def get(
    user: Annotated[str, typer.Argument(help="A user's id.")],
    dataset: Dataset = DEFAULT,
    profile: ProfileName = None,
    service: Annotated[str, typer.Option(help="A feature service.")] = "ranking_v1",
    as_json: AsJson = False,
) -> None:
    """One user's online row."""
    from marquee.cli.render import OUT, facts, print_json
    from marquee.errors import FeatureStoreError

    door, _ = _door(dataset, profile)
    row = door.get_user_row(service, user, now=datetime.now(UTC))
    if not row.is_known:
        raise FeatureStoreError(
            f"the online store has no row of user {user!r}.",
            remedy="Check the id; `marquee features materialize` brings rows online.",
        )
    if as_json:
        print_json({"user_id": row.user_id, "values": _plain(row.values), "known_at_s": row.known_at_s})
    else:
        OUT.print(facts(f"User {user}", row.values))


@app.command()
def export(
    dataset: Dataset = DEFAULT,
    profile: ProfileName = None,
    at: Annotated[str | None, typer.Option("--at", help="ISO time; now by default.")] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="Folder of the versions; item_matrix in the state by default.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Whatever the version before was: items, columns, nulls.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write all movies' state as one matrix, which servers hold; refused where it looks like an accident."""
    from marquee.cli.render import OUT, facts, print_json
    from marquee.features.item_matrix import SERVICE, export_item_matrix, item_views

    door, _ = _door(dataset, profile)
    from marquee.adapters.feast import item_rows  # needs Feast, which the line above looks for

    now = datetime.now(UTC)
    as_of = _time(at, now)
    rows = item_rows(door, SERVICE, item_views(SERVICE), at=as_of)
    folder = to or _settings().state(dataset) / "item_matrix"
    made = export_item_matrix(rows, folder, as_of=as_of, now=now, force=force)
    values = {
        "version": made.version,
        "service": made.service,
        "items": len(made),
        "columns": len(made.columns),
        "as_of": as_of.isoformat(),
        "folder": str(folder),
    }
    if as_json:
        print_json(values)
    else:
        OUT.print(facts("Item matrix", {name.replace("_", " "): value for name, value in values.items()}))


@app.command()
def status(dataset: Dataset = DEFAULT, profile: ProfileName = None, as_json: AsJson = False) -> None:
    """How fresh each view is, offline and online."""
    from marquee.cli.render import OUT, print_json, table

    door, _ = _door(dataset, profile)
    views = door.status(now=datetime.now(UTC))
    if as_json:
        print_json([vars(view) | {"is_late": view.is_late} for view in views])
        return
    shown = table("Feature views", ["view", "rows", "newest", "online to", "age h", "allowed h"])
    for view in views:
        age = "–" if view.age_hours is None else f"{view.age_hours:,.1f}"
        shown.add_row(
            view.view,
            "no table" if view.rows is None else f"{view.rows:,}",
            _short(view.newest),
            _short(view.materialised_to),
            f"[red]{age}[/]" if view.is_late else age,
            str(view.slo_hours),
        )
    OUT.print(shown)


@app.command()
def serve(
    dataset: Dataset = DEFAULT,
    profile: ProfileName = None,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 6566,
) -> None:
    """Run Feast's own HTTP server on this machine, to look at features.

    Recommendations do not go through it: serving reads the online store in process, 14 times faster.
    """
    door, _ = _door(dataset, profile)
    door.serve(host="127.0.0.1", port=port)


def _settings() -> Any:  # noqa: ANN401 - the class is imported where it is needed
    from marquee.config import Settings

    return Settings.from_environment()


def _door(dataset: str, profile: str | None) -> "tuple[FeatureDoor, Path]":
    """The feature store of a profile, and the folder of its declarations.

    Raises:
        ConfigError: Feast is not installed, or the profile does not fit.
    """
    from marquee.errors import ConfigError

    if find_spec("feast") is None:
        raise ConfigError("Feast is not installed.", remedy="Run `make setup`, or install marquee[features].")
    from marquee.adapters.feast import FeatureDoor

    settings = _settings()
    state = str(settings.state(dataset).absolute())
    environment = {"MARQUEE_STATE": state, **os.environ}
    return FeatureDoor.of(
        profile or settings.profile, repo=settings.feature_repo, environment=environment
    ), settings.feature_repo


def _inputs(dataset: str, new_events: Path | None) -> Any:  # noqa: ANN401 - settings, tables, events
    """Settings, side tables and events: those of the warehouse, or of a file."""
    import polars as pl

    from marquee import schema
    from marquee.data.warehouse import Warehouse
    from marquee.errors import SourceError
    from marquee.features.state import SideTables

    settings = _settings()
    warehouse = Warehouse(settings.warehouse(dataset))
    tables = SideTables(
        *(warehouse.read_table(name) for name in (schema.USERS, schema.MOVIES, schema.PUBLICITY))
    )
    if new_events is None:
        return settings, tables, warehouse.scan_interactions()
    columns = [*schema.REQUIRED_COLUMNS, schema.VALUE]
    try:
        found = pl.read_parquet(new_events)
        return (
            settings,
            tables,
            found.select(pl.col(name).cast(schema.INTERACTIONS_SCHEMA[name]) for name in columns),
        )
    except (OSError, pl.exceptions.PolarsError) as err:
        reason = " ".join(str(err).split())[:160]
        raise SourceError(
            f"{new_events} holds no events of the contract: {reason}.",
            remedy=f"It needs {', '.join(columns)}.",
        ) from err


def _line(change: "Change") -> str:
    mark = {"create": "[green]+[/]", "update": "[yellow]~[/]", "delete": "[red]−[/]"}[change.action]
    return "\n    ".join([f"{mark} {change.label}", *change.details])


def _time(text: str | None, default: datetime) -> datetime:
    """An ISO time; one without a zone means UTC.

    Raises:
        ConfigError: it is none.
    """
    from marquee.errors import ConfigError

    if text is None:
        return default
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as err:
        raise ConfigError(
            f"{text!r} is no time.", remedy="Write 2026-05-01 or 2026-05-01T12:00:00Z."
        ) from err
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _moment(time_us: int | None) -> str | None:
    return None if time_us is None else datetime.fromtimestamp(time_us // 1_000_000, UTC).isoformat()


def _short(moment: datetime | None) -> str:
    return "–" if moment is None else moment.strftime("%Y-%m-%d %H:%M")


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """NaN, which JSON lacks, as null."""

    def plain(value: Any) -> Any:  # noqa: ANN401 - any feature
        if isinstance(value, list):
            return [plain(each) for each in value]
        return None if isinstance(value, float) and value != value else value  # noqa: PLR0124

    return {name: plain(value) for name, value in values.items()}
