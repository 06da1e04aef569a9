"""`marquee features …`: build state, and declare, fill, read and watch the feature store."""

import typer

from marquee.cli.features.build import build
from marquee.cli.features.declare import apply
from marquee.cli.features.export import export
from marquee.cli.features.online import get, materialize, push
from marquee.cli.features.pages import catalogue, report
from marquee.cli.features.proofs import parity, simulate
from marquee.cli.features.watch import serve, status

app = typer.Typer(help="The feature store: build, declare, fill, read, watch.", no_args_is_help=True)
for command in (
    build,
    apply,
    materialize,
    push,
    get,
    export,
    status,
    report,
    catalogue,
    parity,
    simulate,
    serve,
):
    app.command()(command)
