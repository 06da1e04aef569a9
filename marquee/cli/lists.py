"""Lists of movies as tables and as JSON."""

from typing import Any, Final

import polars as pl
from rich.console import Group
from rich.markup import escape
from rich.text import Text

from marquee import schema
from marquee.cli.render import table

SHOWN_GENRES = 3
REASON: Final = "reason"
"""Column of a list that is explained: a mapping with `text` and what else there is."""
STARS: Final = "stars"
"""Column of a list with what the user is predicted to rate each movie; left out where nobody rated."""
_LISTED: Final = (schema.ITEM_ID, schema.TITLE, schema.YEAR, schema.GENRES, "score")


def list_table(title: str, items: pl.DataFrame, reasons: list[dict[str, Any]] | None = None) -> Group:
    """A list with rank, title, year, genres, id and score; its title may be wider than the table.

    Under each item stands its reason, where there are any, and the features that add most.
    """
    has_stars = STARS in items.columns
    made = table("", ["", "title", "genres", "id", *([STARS] if has_stars else []), "score"], left=4)
    made.columns[0].justify = "right"
    lines = []
    for rank, row in enumerate(items.iter_rows(named=True), start=1):
        year = f" ({row[schema.YEAR]})" if row[schema.YEAR] is not None else ""
        made.add_row(
            str(rank),
            escape(f"{row[schema.TITLE] or 'item ' + row[schema.ITEM_ID]}{year}"),
            escape(", ".join((row[schema.GENRES] or ())[:SHOWN_GENRES])),
            escape(row[schema.ITEM_ID]),
            *([f"{row[STARS]:.1f}"] if has_stars else []),
            f"{row['score']:.3f}",
        )
    for rank, reason in enumerate(reasons or (), start=1):
        lines.append(Text(f"{rank:>3} {reason['text']}", overflow="fold"))
        if adds := reason.get("contributions"):
            named = ", ".join(f"{feature} {value:+.3f}" for feature, value in adds.items())
            lines.append(Text(f"    {named}", style="dim", overflow="fold"))
    return Group(Text(title, style="bold"), made, *lines)


def list_json(items: pl.DataFrame, reasons: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
    """The same list as plain values; with reasons each item has its own."""
    rows = items.select(*_LISTED, *(name for name in (STARS,) if name in items.columns)).iter_rows(named=True)
    listed = [{"rank": rank, **row} for rank, row in enumerate(rows, start=1)]
    if reasons is None:
        return listed
    return [{**row, REASON: reason} for row, reason in zip(listed, reasons, strict=True)]
