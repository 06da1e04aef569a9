"""How fast a server is, at a glance: `make loadtest`, or `python -m benchmarks.loadtest --rate 200`.

Asks the server at `--url`; where none answers, one is started on a free loopback port with the newest run and
is ended afterwards. Each surface is asked at the rate, and then, as `home × 8`, by as many clients as
`--clients` says, each as fast as it is answered. Bounded in time and in requests. Latencies count from when
a request was due; of a server on this machine, CPU time and memory stand beside them.

A server that was there before logs what it answers, also to this: don't aim it at one whose log counts.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import psutil
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.load import MAX_CLIENTS, MAX_RATE, within
from benchmarks.served import Cores, Served, end_in_order, is_ready, loaded, served, write_people
from marquee.schema import SURFACES
from marquee.settings import Settings

MAX_SECONDS: Final = 600.0
MAX_REQUESTS: Final = 200_000
COLUMNS: Final = ("requests", "errors", "rps", "p50", "p95", "p99", "max", "CPU µs", "MiB")


@contextmanager
def server_at(url: str, model_dir: Path, folder: Path, console: Console) -> Iterator[tuple[Served, Cores]]:
    """The one that answers there, else one of our own."""
    if is_ready(url):
        console.print(f"asking the server at {url}")
        yield Served(url, listener(url) or 0, 0.0), Cores(None, None)
        return
    cores = Cores.found()
    # What nobody saw has no place in the log of what was shown.
    environment = {"MARQUEE_EXPOSURES": str(folder / "exposures")}
    with served(folder / "log", model_dir, environment=environment, core=cores.server) as server:
        alone = "" if cores.server is None else ", alone on one core"
        console.print(
            f"no server at {url}: started one{alone} (process {server.pid}, ready in {server.ready_s:.1f} s)"
        )
        yield server, cores


def listener(url: str) -> int | None:
    """The process on this machine that listens there; None where there is none that we may look at."""
    place = urlsplit(url)
    if place.hostname not in ("127.0.0.1", "localhost"):
        return None
    for process in psutil.process_iter():
        try:
            look = getattr(process, "net_connections", None) or process.connections  # the newer name first
            found = look(kind="tcp")
        except psutil.Error:
            continue
        if any(each.status == psutil.CONN_LISTEN and each.laddr.port == place.port for each in found):
            return int(process.pid)
    return None


def table_of(rows: list[tuple[str, dict[str, Any]]]) -> Table:
    """The figures, one load a row."""
    table = Table(box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.caption = "p50 to max in ms; the server's CPU time a request, and its memory"
    table.add_column("surface", no_wrap=True)
    for name in COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for name, figures in rows:
        cells = [f"{figures[key]}" for key in ("requests", "errors")]
        cells += [f"{figures['rps']:.0f}", *(f"{figures[key]:.1f}" for key in ("p50", "p95", "p99", "max"))]
        cpu, memory = figures.get("cpu_ms"), figures.get("rss_mib")
        cells += ["–" if cpu is None else f"{1e3 * cpu:.0f}", "–" if memory is None else f"{memory:.0f}"]
        table.add_row(name, *cells)
    return table


def arguments_of() -> argparse.Namespace:
    """The command line, within bounds."""
    parser = argparse.ArgumentParser(prog="make loadtest", description="How fast a server is, at a glance.")
    add = parser.add_argument
    add("--url", default="http://127.0.0.1:8080", help="where a server may answer (default: %(default)s)")
    add("--rate", type=within(MAX_RATE), default=100.0, help="requests a second (default: %(default)s)")
    add("--seconds", type=within(MAX_SECONDS), default=10.0, help="of each load (default: %(default)s)")
    add("--clients", type=int, choices=range(MAX_CLIENTS + 1), default=8, metavar="N", help="0 for none")
    add("--surfaces", nargs="+", choices=SURFACES, default=list(SURFACES), metavar="NAME")
    add("--n", type=int, default=12, help="length of a list (default: %(default)s)")
    add("--seed", type=int, default=7, help="of users and arrivals (default: %(default)s)")
    add("--runs", type=Path, default=None, help="folder of runs; the newest one is served")
    given = parser.parse_args()
    if given.rate * given.seconds * len(given.surfaces) > MAX_REQUESTS:
        parser.error(f"that makes more than {MAX_REQUESTS:,} requests: lower --rate or --seconds")
    return given


def main() -> int:
    """Drive the server and print; 1 where a request failed."""
    given, console = arguments_of(), Console()
    end_in_order()
    settings = Settings.from_environment(dict(os.environ)).with_runs(given.runs)
    model_dir = settings.runs / "latest"
    common = ("--seconds", str(given.seconds), "--seed", str(given.seed), "--n", str(given.n))
    plan = [(name, ("--surfaces", name, "--rate", str(given.rate))) for name in given.surfaces]
    if given.clients:
        plan.append((f"home × {given.clients}", ("--clients", str(given.clients))))
    rows = []
    with tempfile.TemporaryDirectory() as made:
        people = Path(made, "people.json")
        write_people(people, model_dir, settings)
        with server_at(given.url.rstrip("/"), model_dir, Path(made), console) as (server, cores):
            for name, words in plan:
                with console.status(name):
                    rows.append((name, loaded(server, people, *words, *common, core=cores.others)))
    console.print(table_of(rows))
    if degraded := sum(figures["degraded"] for _, figures in rows):
        console.print(f"{degraded} lists were made without something: see degraded_reasons in the answers")
    return int(any(figures["errors"] for _, figures in rows))


if __name__ == "__main__":
    sys.exit(main())
