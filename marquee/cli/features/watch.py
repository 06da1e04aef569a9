"""`marquee features status` and `serve`."""

import shlex
from datetime import UTC, datetime
from typing import Annotated

import typer

from marquee.cli.features.place import DEFAULT, Dataset, Place, ProfileName
from marquee.cli.options import AsJson, ConfigFile, SourcePath

HOST = "127.0.0.1"


def status(
    dataset: Dataset = DEFAULT,
    source: SourcePath = None,
    config: ConfigFile = None,
    profile: ProfileName = None,
    as_json: AsJson = False,
) -> None:
    """Show how fresh each view is, offline and online; what is older than allowed is red."""
    from marquee.cli.render import OUT, print_json, table

    door = Place.of(dataset, source=source, config=config).door(profile)
    views = door.status(now=datetime.now(UTC))
    if as_json:
        print_json([vars(view) | {"is_late": view.is_late} for view in views])
        return
    shown = table("Feature views", ["view", "rows", "newest", "online to", "age h", "allowed h"])
    for view in views:
        age = "–" if view.age_hours is None else f"{view.age_hours:,.1f}"
        shown.add_row(
            view.view,
            "no table" if view.rows is None else f"{view.rows:,}",
            _short(view.newest),
            _short(view.materialised_to),
            f"[red]{age}[/]" if view.is_late else age,
            str(view.slo_hours),
        )
    OUT.print(shown)


def serve(
    dataset: Dataset = DEFAULT,
    source: SourcePath = None,
    config: ConfigFile = None,
    profile: ProfileName = None,
    port: Annotated[int, typer.Option(min=1, max=65535, metavar="PORT", help="On this machine only.")] = 6566,
) -> None:
    """Run Feast's own HTTP server on this machine, to look at features, until Ctrl-C.

    Recommendations do not go through it: serving reads the online store
    in process, 14 times faster.
    """
    from marquee.cli.render import ERR

    door = Place.of(dataset, source=source, config=config).door(profile)
    _ = door.views
    body = '{"feature_service": "candidates_v1", "entities": {"user_id": ["196"]}}'
    ERR.print(f"Ctrl-C ends it. To ask it:\n{ask(port, body)}", markup=False, soft_wrap=True)
    door.serve(host=HOST, port=port)


def ask(port: int, body: str) -> str:
    """The command line that asks the server."""
    words = ["curl", "-s", f"http://{HOST}:{port}/get-online-features"]
    return shlex.join([*words, "-H", "Content-Type: application/json", "-d", body])


def _short(time: datetime | None) -> str:
    return "–" if time is None else time.strftime("%Y-%m-%d %H:%M")
