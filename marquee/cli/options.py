"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from marquee.errors import RequestError


def _within(option: str, low: int, high: int) -> Callable[[int | None], int | None]:
    """A check of an option's value that answers as every other error does."""

    def check(value: int | None) -> int | None:
        if value is not None and not low <= value <= high:
            raise RequestError(f"{option} = {value} is out of range.", remedy=f"Give {low} to {high}.")
        return value

    return check


AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON on standard output, progress on standard error.")
]
BundlePath = Annotated[
    Path | None, typer.Option("--bundle", help="A bundle or run folder; the latest run's by default.")
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="YAML with what differs from the defaults.")
]
RunsFolder = Annotated[Path | None, typer.Option("--runs", help="Run folders; MARQUEE_RUNS, else ./runs.")]
SourcePath = Annotated[
    str | None, typer.Option("--source", help="Folder, zip or URL to take the data set from.")
]
DataRevision = Annotated[
    str | None,
    typer.Option(
        "--data-rev",
        metavar="REV",
        help="Train on the data tracked at this git revision, not on the present.",
    ),
]
ListLength = Annotated[
    int, typer.Option("-n", callback=_within("-n", 1, 100), metavar="N", help="Length of the list, 1 to 100.")
]
MaturityLimit = Annotated[
    int | None,
    typer.Option(
        "--maturity-limit",
        callback=_within("--maturity-limit", 0, 21),
        metavar="YEARS",
        help="Only items known to suit this age.",
    ),
]
MetricsAddress = Annotated[
    str | None,
    typer.Option(
        "--metrics",
        metavar="FILE|URL",
        help="Leave gauges for Prometheus in a .prom file, or push them to a Pushgateway; empty for neither.",
    ),
]
