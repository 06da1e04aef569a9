"""Half an hour at half of what the server can do: `python -m benchmarks.soak [--minutes 30]`.

MovieLens-100k behind `python -m serving`, set up as for `benchmarks.serving`: rows in a Redis of its own, one
core for the server. What eight clients get out of it in ten seconds is the maximum; then all surfaces are
asked at half of that, seven of ten requests for home, arrivals Poisson's, exposures logged. The server's
memory is read every ten seconds; the first two minutes, or a third of a shorter run, warm it up.

Promised: no error, no exposure lost, memory within 5 % of what it is right after warming up.
Writes soak.{json,md}; exits with 1 where that is broken.
"""

import argparse
import json
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks.kept import keep
from benchmarks.load import within
from benchmarks.machine import describe_machine, in_words
from benchmarks.served import ROOT, Served, end, end_in_order, pinned
from benchmarks.serving_stage import Stage, stage

RESULTS: Final = Path(__file__).with_name("results")
MIX: Final = "home=7,similar=1,trending=1,popular=1"
CLIENTS: Final = 8
MAXIMUM_S: Final = 10
EVERY_S: Final = 10.0
WARM_UP_S: Final = 120.0
MAY_CHANGE: Final = 0.05


def long_load(place: Stage, server: Served, rate: float, seconds: float) -> tuple[dict[str, Any], list[Any]]:
    """Figures of the load, and (seconds, MiB) of the server meanwhile.

    Raises:
        SystemExit: the load itself failed.
    """
    words = [sys.executable, "-m", "benchmarks.load", "--url", server.url, "--people", str(place.people)]
    words += ["--pid", str(server.pid), "--surfaces", MIX, "--rate", f"{rate:.1f}", "--seconds", str(seconds)]
    began, process = time.monotonic(), psutil.Process(server.pid)
    load = subprocess.Popen(pinned(place.cores.others, words), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    samples: list[Any] = []
    try:
        while load.poll() is None:
            samples.append([round(time.monotonic() - began), _mib(process)])
            if len(samples) % 30 == 1:
                print(f"{samples[-1][0] / 60:.0f} min: {samples[-1][1]} MiB", file=sys.stderr, flush=True)
            try:
                load.wait(timeout=EVERY_S)
            except subprocess.TimeoutExpired:
                continue
        said = load.stdout.read() if load.stdout is not None else ""
    finally:
        end(load)
    if load.returncode:
        raise SystemExit(f"the load ended with {load.returncode}")
    return json.loads(said), samples


def _mib(process: psutil.Process) -> float | None:
    """Resident memory; None of a server that is gone, which the errors tell."""
    try:
        return round(process.memory_info().rss / 2**20, 1)
    except psutil.Error:
        return None


def exposures(server: Served) -> dict[str, float]:
    """What became of the log's records, after the writer has had time."""
    time.sleep(2)
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:  # noqa: S310 - http, ours
        lines = answer.read().decode().splitlines()
    marks = {name: f'marquee_exposures{{state="{name}"}}' for name in ("offered", "dropped_full", "lost")}
    return {
        name: sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(mark))
        for name, mark in marks.items()
    }


def verdict(
    figures: dict[str, Any], samples: list[Any], log: dict[str, float], *, warm_s: float
) -> dict[str, Any]:
    """Whether memory stayed where it was after warming up, and nothing failed."""
    kept = [mib for at, mib in samples if at >= warm_s]
    is_complete = len(kept) > 1 and None not in kept
    change = max((abs(mib / kept[0] - 1) for mib in kept), default=0.0) if is_complete else None
    return {
        "largest_change": change if change is None else round(change, 4),
        "is_flat": change is not None and change <= MAY_CHANGE,
        "is_faultless": figures["errors"] == 0,
        "is_logged": log["offered"] >= figures["requests"] and log["dropped_full"] + log["lost"] == 0,
    }


def measure(minutes: float) -> dict[str, Any]:
    """All of it."""
    seconds = 60 * minutes
    warm_s = min(WARM_UP_S, seconds / 3)
    with stage() as place, place.server("soak") as server:
        busy = ("--clients", str(CLIENTS), "--seconds", str(MAXIMUM_S), "--surfaces", MIX)
        maximum = place.load(server, *busy)
        figures, samples = long_load(place, server, maximum["rps"] / 2, seconds)
        log = exposures(server)
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "store": place.store,
        "minutes": minutes,
        "warm_up_s": warm_s,
        "maximum": maximum,
        "load": figures,
        "exposures": log,
        "rss_mib": samples,
        "verdict": verdict(figures, samples, log, warm_s=warm_s),
    }


def to_markdown(report: dict[str, Any]) -> str:
    """The report as a table."""
    figures, found = report["load"], report["verdict"]
    change = found["largest_change"]
    said = "unknown" if change is None else f"{100 * change:.1f} %"
    is_kept = all(found[name] for name in ("is_flat", "is_faultless", "is_logged"))
    marks = [each for each in report["rss_mib"] if each[0] % 300 < EVERY_S] + report["rss_mib"][-1:]
    return "\n".join(
        [
            f"# {report['minutes']:g} minutes at half of the maximum",
            "",
            f"{report['measured_at']}, {in_words(report['machine'])}. Users' rows in {report['store']}; of"
            " ten requests seven for home, one for each other surface.",
            "",
            f"- at most {report['maximum']['rps']:g} requests/s by {CLIENTS} clients; asked at"
            f" {figures['rps']:g}: {figures['requests']:,} requests, {figures['errors']} errors,"
            f" {figures['degraded']} degraded",
            f"- p50 {figures['p50']:.1f}, p99 {figures['p99']:.1f}, largest {figures['max']:.0f} ms;"
            f" {figures.get('cpu_ms', 0):.2f} ms of CPU a request",
            f"- exposures: {report['exposures']['offered']:.0f} offered,"
            f" {report['exposures']['dropped_full'] + report['exposures']['lost']:.0f} lost",
            f"- memory within {said} of what it was after {report['warm_up_s']:.0f} s of warming up; promised"
            f" {100 * MAY_CHANGE:.0f} %, no error and no exposure lost: {'kept' if is_kept else 'NOT KEPT'}",
            "",
            "| second | MiB |",
            "| ---: | ---: |",
            *(f"| {at} | {mib} |" for at, mib in marks),
            "",
        ]
    )


def main() -> int:
    """Measure, print and write; 1 where the promise is broken."""
    parser = argparse.ArgumentParser(description="Half of the maximum, for long.")
    parser.add_argument("--minutes", type=within(120), default=30.0)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of soak.json and .md")
    given = parser.parse_args()
    end_in_order()
    report = measure(given.minutes)
    keep(given.results, "soak", report, to_markdown(report))
    found = report["verdict"]
    return 0 if found["is_flat"] and found["is_faultless"] and found["is_logged"] else 1


if __name__ == "__main__":
    sys.exit(main())
