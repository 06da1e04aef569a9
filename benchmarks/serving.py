"""What the server does with a core: `python -m benchmarks.serving [--seconds 60] [--results build]`.

MovieLens-100k's bundle (runs/latest, or one that is trained for this) behind `python -m serving`, users' rows
in a Redis of its own, the server on one core, clients and Redis on another. Users are drawn with a seed;
arrivals are Poisson's and latency counts from when a request was due (`benchmarks.load`). Exposures are
logged as always.

The framework's share is measured in turns on three more servers that run at the same time: one whose engine
thinks once and repeats itself (`benchmarks.serving_noop`), and both of them without the fast path.
`benchmarks.serving_inside` asks the same engine for the lists of the same users without HTTP.

Writes serving.{json,md}; exits with 1 where a promise is broken.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.kept import keep
from benchmarks.machine import describe_machine, in_words
from benchmarks.served import ROOT, Served, end_in_order, pinned
from benchmarks.serving_report import promises, to_markdown
from benchmarks.serving_stage import Stage, stage

RESULTS: Final = Path(__file__).with_name("results")
RATE: Final = 100
CLIENTS: Final = 8
BATCH: Final = 16
STARTS: Final = 5
TURNS: Final = 3
SURFACES: Final = ("similar", "trending", "popular")
NOOP: Final = "benchmarks.serving_noop"
WAYS: Final = {
    "whole": ("serving", "on"),
    "whole, no fast path": ("serving", "off"),
    "repeating": (NOOP, "on"),
    "repeating, no fast path": (NOOP, "off"),
}
"""By name: what runs, and whether the fast path is on."""


def starts(place: Stage) -> list[float]:
    """Seconds from process start to ready, one server after another."""
    found = []
    for turn in range(STARTS):
        with place.server(f"start-{turn}") as server:
            found.append(round(server.ready_s, 2))
    return found


def loads(place: Stage, server: Served, seconds: float) -> dict[str, dict[str, Any]]:
    """One server alone: each surface at the rate, then what it can do, batches and explanations."""
    rate, short = ("--rate", str(RATE)), ("--seconds", str(seconds / 3))
    one = ("--clients", "1", *short)
    return {
        "home": place.load(server, *rate, "--seconds", str(seconds)),
        **{name: place.load(server, *rate, *short, "--surfaces", name) for name in SURFACES},
        f"home, {CLIENTS} clients": place.load(server, "--clients", str(CLIENTS), *short),
        "home, 1 client": place.load(server, *one),
        f"home, 1 client, {BATCH} a request": place.load(server, *one, "--batch", str(BATCH)),
        "home, 1 client, explained": place.load(server, *one, "--explain"),
    }


def turns(place: Stage, servers: dict[str, Served], seconds: float) -> dict[str, list[dict[str, Any]]]:
    """The same load on each server, in turns."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in servers}
    for turn in range(TURNS):
        for name, server in servers.items():
            words = ("--rate", str(RATE), "--seconds", str(seconds / 6), "--seed", str(turn))
            found[name].append(place.load(server, *words))
    return found


def inside(place: Stage) -> dict[str, dict[str, float]]:
    """CPU microseconds of the engine's parts, on the server's core."""
    words = [sys.executable, "-m", "benchmarks.serving_inside", "--people", str(place.people)]
    words += ["--model_dir", str(place.model_dir)]
    done = subprocess.run(
        pinned(place.cores.server, words),
        cwd=ROOT,
        env={**os.environ, **place.environment},
        check=True,
        stdout=subprocess.PIPE,
    )
    found: dict[str, dict[str, float]] = json.loads(done.stdout)
    return found


def framework(found: dict[str, list[dict[str, Any]]]) -> dict[str, float]:
    """CPU milliseconds a request by server, and what HTTP, JSON and the protocol take of the whole."""
    cpu_ms = {name: statistics.median(turn["cpu_ms"] for turn in each) for name, each in found.items()}
    whole, bare = cpu_ms["whole"], cpu_ms["repeating"]
    slow_whole, slow_bare = cpu_ms["whole, no fast path"], cpu_ms["repeating, no fast path"]
    return cpu_ms | {
        "share": round(bare / whole, 4),
        "share without fast path": round(slow_bare / slow_whole, 4),
        "fast path saves, ms": round(slow_bare - bare, 3),
    }


def measure(seconds: float) -> dict[str, Any]:
    """All figures."""
    with stage() as place:
        report: dict[str, Any] = {
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": describe_machine(),
            "store": place.store,
            "is_pinned": place.cores.server is not None,
            "rate": RATE,
            "ready_s": starts(place),
        }
        with place.server("alone") as server:
            report["loads"] = loads(place, server, seconds)
        with ExitStack() as open_servers:
            servers = {
                name: open_servers.enter_context(
                    place.server(f"way-{number}", "--fast_path", fast_path, module=module)
                )
                for number, (name, (module, fast_path)) in enumerate(WAYS.items())
            }
            report["turns"] = turns(place, servers, seconds)
        report["inside_us"] = inside(place)
    report["framework"] = framework(report["turns"])
    report["promises"] = promises(report)
    return report


def main() -> int:
    """Measure, print and write; 1 where a promise is broken."""
    parser = argparse.ArgumentParser(description="What the server does with a core.")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the home load; others are shorter")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of serving.json and .md")
    given = parser.parse_args()
    end_in_order()
    report = measure(given.seconds)
    keep(given.results, "serving", report, to_markdown(report, in_words(report["machine"])))
    return 0 if all(promise["met"] for promise in report["promises"]) else 1


if __name__ == "__main__":
    sys.exit(main())
