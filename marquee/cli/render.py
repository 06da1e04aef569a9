"""What the commands print: tables for people, JSON for programs."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from marquee.errors import MarqueeError

PIPED_WIDTH = 110
"""Columns where the output is no terminal, which has none of its own."""


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, width=None if stream.isatty() else PIPED_WIDTH)


OUT = _console(stderr=False)
ERR = _console(stderr=True)


def print_error(error: MarqueeError) -> None:
    """One line for what is wrong, one for what to do about it."""
    ERR.print(f"[bold red]error:[/] {escape(error.problem)}", soft_wrap=True)
    ERR.print(f"[bold]remedy:[/] {escape(error.remedy)}", soft_wrap=True)


def print_json(values: Mapping[str, Any] | Sequence[Any]) -> None:
    """JSON on standard output, unwrapped and uncoloured."""
    print(json.dumps(values, indent=2, default=str, allow_nan=False))  # noqa: T201 - the product of --json


def table(title: str, columns: Sequence[str], *, left: int = 1) -> Table:
    """A plain table; all but the first `left` columns are numbers, aligned to the right."""
    made = Table(
        title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim"
    )
    for number, column in enumerate(columns):
        is_text = number < left
        made.add_column(column, justify="left" if is_text else "right", overflow="ellipsis", no_wrap=True)
    return made


def facts(title: str, rows: Mapping[str, object]) -> Table:
    """Names and values, one a line."""
    made = Table(
        title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, show_header=False
    )
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows.items():
        made.add_row(name, escape(str(value)))
    return made


def size(n_bytes: float) -> str:
    """Bytes for people: "11.3 MB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000 or unit == "GB":
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    raise AssertionError("unreachable")
