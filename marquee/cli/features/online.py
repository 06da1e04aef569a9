"""`marquee features materialize`, `push` and `get`: rows of the online store."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from marquee.cli.features.place import DEFAULT, Dataset, Place, ProfileName
from marquee.cli.options import AsJson, ConfigFile, SourcePath

if TYPE_CHECKING:
    import polars as pl

SHOWN_OF_A_LIST = 5
"""Newest entries of a history that people see; --json has all."""


def materialize(
    dataset: Dataset = DEFAULT,
    source: SourcePath = None,
    config: ConfigFile = None,
    profile: ProfileName = None,
    start: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="ISO time; all by default. After an update: its `changed since`."),
    ] = None,
    end: Annotated[str | None, typer.Option(metavar="TIME", help="ISO time; now by default.")] = None,
    view: Annotated[
        list[str] | None, typer.Option("--view", metavar="NAME", help="Only this view; may be repeated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring the newest row of each key online.

    A newer row is never replaced by an older one: windows may overlap.
    A run that died goes on where it was.
    """
    from marquee.cli.features.stages import stages
    from marquee.cli.render import OUT, print_json, table

    place = Place.of(dataset, source=source, config=config)
    window = {
        "start": moment(start, datetime(1970, 1, 1, tzinfo=UTC)),
        "end": moment(end, datetime.now(UTC)),
    }
    door = place.door(profile)
    door.require_state()
    _ = door.views  # before the bars begin
    with stages() as on_progress:
        reports = door.materialise(
            **window, views=view, journal=place.state / "materialise.json", on_progress=on_progress
        )
    if as_json:
        print_json([vars(report) for report in reports])
        return
    shown = table("Online", ["view", "keys", "written", "resumed at"])
    for report in reports:
        shown.add_row(report.view, f"{report.rows:,}", f"{report.written:,}", f"{report.resumed_at:,}")
    OUT.print(shown)


def push(
    events: Annotated[Path, typer.Argument(help="New events: Parquet of the contract.")],
    dataset: Dataset = DEFAULT,
    source: SourcePath = None,
    config: ConfigFile = None,
    profile: ProfileName = None,
    as_json: AsJson = False,
) -> None:
    """Add events to the state and bring their users' newest rows online.

    Repeated and late events are safe: the rows are those of a whole build.
    """
    from marquee import schema
    from marquee.cli.features.build import read_events
    from marquee.cli.render import OUT, print_json
    from marquee.features.state import update_state

    place = Place.of(dataset, source=source, config=config)
    rows = read_events(events)
    tables = place.side_tables()
    door = place.door(profile)
    report = update_state(place.state, rows, tables=tables)
    pushed = door.push(schema.USER_ACTIVITY_VIEW, _newest_rows(place.state, rows))
    values = {"changed_events": report.changed_events, "state_id": report.state_id, **vars(pushed)}
    if as_json:
        print_json(values)
    else:
        OUT.print(
            f"{report.changed_events:,} new or changed events; {pushed.written:,} users' rows online,"
            f" {pushed.superseded:,} superseded"
        )


def _newest_rows(state: Path, events: "pl.DataFrame") -> "pl.DataFrame":
    """The newest activity row of each user of the events."""
    from marquee import schema
    from marquee.features.state import StateFolder

    users = events.lazy().select(schema.USER_ID).unique()
    rows = StateFolder(state).scan(schema.USER_ACTIVITY_VIEW).join(users, on=schema.USER_ID, how="semi")
    newest = rows.collect().sort(schema.EVENT_TIMESTAMP)
    return newest.unique(schema.USER_ID, keep="last", maintain_order=True)


def get(
    user: Annotated[str, typer.Argument(help="A user's id.")],
    dataset: Dataset = DEFAULT,
    source: SourcePath = None,
    config: ConfigFile = None,
    profile: ProfileName = None,
    service: Annotated[str, typer.Option(metavar="NAME", help="A feature service.")] = "ranking_v1",
    as_json: AsJson = False,
) -> None:
    """Show one user's online row, as a request would read it now."""
    from marquee.cli.render import OUT, facts, print_json
    from marquee.errors import FeatureStoreError

    door = Place.of(dataset, source=source, config=config).door(profile)
    row = door.get_user_row(service, user, now=datetime.now(UTC))
    if not row.is_known:
        raise FeatureStoreError(
            f"the online store has no row of user {user!r}.",
            remedy="Check the id; `marquee features materialize` brings rows online.",
        )
    if as_json:
        print_json({"user_id": row.user_id, "values": _plain(row.values), "known_at_s": row.known_at_s})
        return
    OUT.print(facts(f"User {user}", {name: _shown(name, value) for name, value in row.values.items()}))
    OUT.print(facts("Known at (UTC)", {view: _when(time_s) for view, time_s in row.known_at_s.items()}))


def moment(text: str | None, default: datetime) -> datetime:
    """An ISO time; one without a zone means UTC.

    Raises:
        ConfigError: it is none.
    """
    from marquee.errors import ConfigError

    if text is None:
        return default
    try:
        found = datetime.fromisoformat(text)
    except ValueError as err:
        raise ConfigError(
            f"{text!r} is no time.", remedy="Write 2026-05-01 or 2026-05-01T12:00:00Z."
        ) from err
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _when(time_s: int | None) -> str:
    return "–" if time_s is None else datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _shown(name: str, value: Any) -> str:  # noqa: ANN401 - any feature
    """A value for people: times as times, of long lists the end."""
    from marquee.cli.features.build import as_time

    if value is None:
        return "–"
    if isinstance(value, list):
        begun = "" if len(value) <= SHOWN_OF_A_LIST else f"{len(value)}, newest: … "
        return begun + ", ".join(_shown(name, each) for each in value[-SHOWN_OF_A_LIST:])
    if name.endswith("_us"):
        return str(as_time(int(value)))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> Any:  # noqa: ANN401 - any feature
    """NaN, which JSON lacks, as null."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and value != value else value  # noqa: PLR0124 - NaN alone differs
