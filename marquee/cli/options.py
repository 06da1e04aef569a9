"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

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
