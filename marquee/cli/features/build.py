"""`marquee features build`, and reading events that come as a file."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from marquee.cli.features.place import DEFAULT, Dataset, Place
from marquee.cli.options import AsJson, ConfigFile, SourcePath

if TYPE_CHECKING:
    import polars as pl


def build(
    dataset: Dataset = DEFAULT,
    source: SourcePath = None,
    config: ConfigFile = None,
    new_events: Annotated[
        Path | None,
        typer.Option("--events", help="Only add these events (Parquet of the contract) to what is built."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Build the views' tables from a warehouse.

    With --events, only what these change is computed again, to the same tables.
    `materialize --start` with the printed `changed since` brings that online.
    """
    from marquee.cli.features.stages import stages
    from marquee.cli.render import OUT, facts, print_json
    from marquee.features.state import build_state, update_state

    place = Place.of(dataset, source=source, config=config)
    tables = place.side_tables()
    with stages() as on_progress:
        if new_events is None:
            events = place.warehouse().scan_interactions()
            report = build_state(place.state, events, tables=tables, on_progress=on_progress)
        else:
            report = update_state(
                place.state, read_events(new_events), tables=tables, on_progress=on_progress
            )
    values = vars(report) | {"changed_since": as_time(report.changed_since_us), "state": str(place.state)}
    if as_json:
        print_json(values)
        return
    del values["changed_since_us"]
    values["rows"] = ", ".join(f"{count:,} {view}" for view, count in report.rows.items())
    values |= {"state_id": report.state_id[:16], "events": f"{report.events:,}"}
    values["changed_events"] = f"{report.changed_events:,}"
    OUT.print(facts("State", {name.replace("_", " "): value for name, value in values.items()}))


def read_events(path: Path) -> "pl.DataFrame":
    """Events of a Parquet file, as the contract has them.

    Raises:
        SourceError: it is no Parquet file, or lacks a column, or one does not fit its type.
        ContractError: an event breaks the contract.
    """
    import polars as pl

    from marquee import schema
    from marquee.errors import SourceError

    columns = [*schema.REQUIRED_COLUMNS, schema.VALUE]
    name = "file"
    try:
        events = pl.read_parquet(path)
        read = []
        for name in columns:  # one at a time, so that an error names its column
            read.append(events[name].cast(schema.INTERACTIONS_SCHEMA[name]))
    except (OSError, pl.exceptions.PolarsError) as err:
        reason = " ".join(str(err).split())[:160]
        raise SourceError(
            f"{path} holds no events of the contract: {name}: {reason}.",
            remedy=f"It needs {', '.join(columns)}; `marquee data validate` reads what is written otherwise.",
        ) from err
    found = pl.DataFrame(read)
    _require_contract(found, path)
    return found


def _require_contract(events: "pl.DataFrame", path: Path) -> None:
    import polars as pl

    from marquee import schema
    from marquee.data.contract import InteractionSchema
    from marquee.errors import ContractError

    absent = [name for name in schema.INTERACTIONS_SCHEMA if name not in events.columns]
    whole = events.with_columns(
        pl.lit(None, dtype=schema.INTERACTIONS_SCHEMA[name]).alias(name) for name in absent
    ).select(list(schema.INTERACTIONS_SCHEMA))
    _, broken = InteractionSchema.filter(whole)
    if len(broken):
        rules = ", ".join(f"{rule}: {count:,}" for rule, count in broken.counts().items())
        raise ContractError(
            f"{len(broken):,} of {len(events):,} events of {path} break the contract ({rules}).",
            remedy="Bring them in with `marquee data validate`, which writes out what it refuses and why.",
        )


def as_time(time_us: int | None) -> str | None:
    """UTC microseconds as an ISO time."""
    if time_us is None:
        return None
    seconds, rest = divmod(time_us, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest).isoformat()
