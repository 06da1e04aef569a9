"""`marquee features export`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from marquee.cli.features.online import moment
from marquee.cli.features.place import DEFAULT, Dataset, Place, ProfileName
from marquee.cli.options import AsJson, ConfigFile, SourcePath


def export(
    dataset: Dataset = DEFAULT,
    source: SourcePath = None,
    config: ConfigFile = None,
    profile: ProfileName = None,
    at: Annotated[str | None, typer.Option("--at", metavar="TIME", help="ISO time; now by default.")] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="Folder of the versions; item_matrix in the state by default.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Whatever the version before was: items, columns, nulls.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write all movies' state as one matrix, which servers hold.

    Refused where it looks like an accident: far fewer movies than before,
    other columns, many more nulls.
    """
    from marquee.cli.render import OUT, facts, print_json
    from marquee.features.item_matrix import SERVICE, export_item_matrix, item_views

    place = Place.of(dataset, source=source, config=config)
    now = datetime.now(UTC)
    as_of = moment(at, now)
    door = place.door(profile)
    door.require_state()
    from marquee.adapters.feast import item_rows  # needs Feast, which the line above looks for

    rows = item_rows(door, SERVICE, item_views(SERVICE), at=as_of)
    folder = to or place.state / "item_matrix"
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
