"""Lists of movies as tables and as JSON."""

from typing import Any

import polars as pl
from rich.console import Group
from rich.markup import escape
from rich.text import Text

from marquee import schema
from marquee.cli.render import table

SHOWN_GENRES = 3


def list_table(title: str, items: pl.DataFrame) -> Group:
    """A list with rank, title, year, genres, id and score; its title may be wider than the table."""
    made = table("", ["", "title", "genres", "id", "score"], left=4)
    made.columns[0].justify = "right"
    for rank, row in enumerate(items.iter_rows(named=True), start=1):
        year = f" ({row[schema.YEAR]})" if row[schema.YEAR] is not None else ""
        made.add_row(
            str(rank),
            escape(f"{row[schema.TITLE] or 'item ' + row[schema.ITEM_ID]}{year}"),
            escape(", ".join((row[schema.GENRES] or ())[:SHOWN_GENRES])),
            escape(row[schema.ITEM_ID]),
            f"{row['score']:.3f}",
        )
    return Group(Text(title, style="bold"), made)


def list_json(items: pl.DataFrame) -> list[dict[str, Any]]:
    """The same list as plain values."""
    return [{"rank": rank, **row} for rank, row in enumerate(items.iter_rows(named=True), start=1)]
