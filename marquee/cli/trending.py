"""`marquee monitor trending`: which movies draw far more users than usual, and since when."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from marquee.cli.options import AsJson

if TYPE_CHECKING:
    from datetime import datetime

    from marquee.candidates.surge_board import SurgeBoard


def trending(
    until: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Moment in UTC, such as 2024-03-01 or 2024-03-01T18:00; the newest event's by default.",
        ),
    ] = None,
    top: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="Rows of the table.")] = 20,
    dataset: Annotated[str, typer.Option(help="Whose warehouse is looked at.")] = "ml-100k",
    publish: Annotated[
        bool, typer.Option("--publish", help="Hand the surges to the servers of this data set.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write all of them to this file, too.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the movies that draw far more users than their usual share of the traffic, and since when."""
    from datetime import UTC, datetime

    from marquee.candidates.surge_board import BOARD, find_surges
    from marquee.cli.render import OUT, print_json
    from marquee.data.warehouse import Warehouse
    from marquee.settings import Settings

    moment = _moment(until) if until else None
    settings = Settings.from_environment()
    warehouse = Warehouse(settings.warehouse(dataset))
    board = find_surges(warehouse, now=datetime.now(UTC), until=moment)
    places = [settings.item_matrix(dataset) / BOARD] if publish else []
    for place in (*places, *([out] if out else [])):
        board.write(place)
    if as_json:
        print_json(board.model_dump(mode="json"))
        return
    _show(board, warehouse.root, top)
    for place in places:
        OUT.print(f"Servers take over {place}.", markup=False, soft_wrap=True)


def _moment(text: str) -> "datetime":
    from datetime import UTC, datetime

    from marquee.errors import RequestError

    try:
        moment = datetime.fromisoformat(text)
    except ValueError as err:
        raise RequestError(
            f"--until = {text!r} is no moment.", remedy="Give 2024-03-01 or 2024-03-01T18:00."
        ) from err
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _show(board: "SurgeBoard", root: Path, top: int) -> None:
    from marquee import schema
    from marquee.cli.render import OUT, table
    from marquee.data.warehouse import Warehouse

    at = f"{board.as_of:%Y-%m-%d %H:%M} UTC"
    if not board.surges:
        OUT.print(f"Nothing surges at {at}.", markup=False)
        return
    movies = Warehouse(root).read_table(schema.MOVIES).select(schema.ITEM_ID, schema.TITLE, schema.YEAR)
    titles = {item: f"{title} ({year})" if year else title for item, title, year in movies.iter_rows()}
    made = table(f"Surging at {at}", ["movie", "surprise", "users", "expected", "in", "since", "score"])
    for row in board.surges[:top]:
        made.add_row(
            titles.get(row.item_id) or row.item_id, f"{row.surprise:.1f}", str(row.users),
            f"{row.expected:.2f}", f"{row.hours} h", f"{row.since:%m-%d %H:%M}", f"{row.score:.1f}",
        )  # fmt: skip
    OUT.print(made)
    if (rest := len(board.surges) - top) > 0:
        OUT.print(f"{rest} more.", markup=False)
