"""A server in a process of its own, and what a load needs beside it: users, Redis, a core for each."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from benchmarks.load import MODEL
from marquee import schema
from marquee.bundle import MANIFEST
from marquee.data.warehouse import Warehouse
from marquee.errors import MarqueeError
from marquee.run_folder import BUNDLE
from marquee.settings import Settings

ROOT: Final = Path(__file__).parents[1]
DATASET: Final = "ml-100k"
PATIENCE_S: Final = 120.0
LOOK_EVERY_S: Final = 0.01
"""While a server starts."""


@dataclass(frozen=True)
class Cores:
    """One for the server, another one for everything else; None where there are not two."""

    server: int | None
    others: int | None

    @classmethod
    def found(cls) -> "Cores":
        """Of this machine; on systems without `taskset` the scheduler decides."""
        if shutil.which("taskset") is None or not hasattr(os, "sched_getaffinity"):
            return cls(None, None)
        usable = sorted(os.sched_getaffinity(0))
        return cls(usable[0], usable[-1]) if len(usable) > 1 else cls(None, None)


def pinned(core: int | None, words: list[str]) -> list[str]:
    """A command that stays on one core."""
    return words if core is None else ["taskset", "--cpu-list", str(core), *words]


@dataclass(frozen=True)
class Served:
    """A server that answers."""

    url: str
    pid: int
    """0 of a server that is not on this machine."""
    ready_s: float
    """From the process's start to the first time that it said it is ready."""


@contextmanager
def served(
    log: Path,
    model_dir: Path,
    *options: str,
    module: str = "serving",
    environment: Mapping[str, str] | None = None,
    core: int | None = None,
    root: Path = ROOT,
) -> Iterator[Served]:
    """`python -m serving` of a checkout on a free loopback port until the block ends, then ended by its pid.

    Raises:
        SystemExit: it ended or did not become ready; with the end of its log.
    """
    port = free_port()
    words = [sys.executable, "-m", module, "--model_dir", str(model_dir), "--host", "127.0.0.1"]
    words += ["--http_port", str(port), *options]
    with log.open("wb") as stream:
        began = time.perf_counter()
        process = subprocess.Popen(
            pinned(core, words),
            cwd=root,
            env={**os.environ, **(environment or {})},
            stdout=stream,
            stderr=stream,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            while not is_ready(url):
                if process.poll() is not None or time.perf_counter() - began > PATIENCE_S:
                    raise SystemExit(f"the server did not start:\n{log.read_text('utf-8')[-2000:]}")
                time.sleep(LOOK_EVERY_S)
            yield Served(url, process.pid, time.perf_counter() - began)
        finally:
            end(process)


def end_in_order() -> None:
    """Let SIGTERM end this program as Ctrl-C does: through what ends the servers that it started."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def end(process: "subprocess.Popen[Any]") -> None:
    """Ask a process of ours to end, and see that it does."""
    process.terminate()
    try:
        process.wait(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_ready(url: str) -> bool:
    """Whether a server answers there with a model that is ready."""
    try:
        with urllib.request.urlopen(f"{url}/v1/models/{MODEL}", timeout=5) as answer:  # noqa: S310 - http, ours
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def loaded(server: Served, people: Path, *words: str, core: int | None = None) -> dict[str, Any]:
    """The figures of a load that is put on a server (`benchmarks.load`, in a process of its own)."""
    command = [sys.executable, "-m", "benchmarks.load", "--url", server.url, "--people", str(people)]
    command += ["--pid", str(server.pid)] if server.pid else []
    done = subprocess.run(pinned(core, [*command, *words]), cwd=ROOT, check=True, stdout=subprocess.PIPE)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def storage_of(model_dir: Path) -> str | None:
    """The warehouse that a run's or bundle's model learned from; None where there is no bundle."""
    for place in (model_dir, model_dir / BUNDLE):
        if (place / MANIFEST).is_file():
            manifest = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
            return str(manifest["provenance"]["warehouse"])
    return None


def write_people(path: Path, model_dir: Path, settings: Settings) -> None:
    """Write the ids that a load draws from: all users of the data set, all movies of the bundle.

    Raises:
        SystemExit: there is no bundle, or its data set is not here.
    """
    storage = storage_of(model_dir)
    if storage is None:
        raise SystemExit(f"error: {model_dir} holds no bundle: make run makes one")
    try:
        events = Warehouse(settings.warehouse(storage)).scan_interactions()
        users = events.select(pl.col(schema.USER_ID).unique().sort()).collect().to_series().to_list()
    except MarqueeError as error:
        raise SystemExit(f"error: {error.problem}\n{error.remedy}") from error
    bundle = model_dir if (model_dir / MANIFEST).is_file() else model_dir / BUNDLE
    items = pl.read_parquet(bundle / "movies.parquet", columns=[schema.ITEM_ID]).to_series().to_list()
    path.write_text(json.dumps({"users": users, "items": items}), encoding="utf-8")


def run_of(dataset: str, runs: Path, folder: Path) -> Path:
    """The newest run if it learned from `dataset`, else a new one in `folder`."""
    latest = runs / "latest"
    if storage_of(latest) == dataset:
        return latest.resolve()
    words = [sys.executable, "-m", "marquee", "train", dataset, "--seed", "7", "--runs", str(folder)]
    print(f"{latest} is no run of {dataset}: training one", flush=True)
    subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return (folder / "latest").resolve()
