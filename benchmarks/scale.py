"""Seconds and memory of a whole run as the events grow: 100 thousand, 1 million, 5 million.

    python -m benchmarks.scale                      # all sizes, each in a process of its own
    python -m benchmarks.scale --sizes 20k,100k     # a quick look
    python -m benchmarks.scale --sizes 1m --results build --profile build/scale.prof

Each size is generated (not counted), ingested into an empty warehouse, and trained with the default
configuration. Writes scale.json and scale.png, and says whether the promises for a million events
are kept; the exit code is 1 where one is not.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from benchmarks.machine import describe_machine, in_words
from benchmarks.scale_one import SIZES

PROMISES = {"ingest_seconds": 20.0, "training_seconds": 300.0, "peak_rss_mb": 4_096.0}
"""For a million events, at most. Training is everything from the ingested events to the bundle."""
PROMISED_SIZE = "1m"
RESULTS = Path(__file__).with_name("results")


def measure_apart(size: str, profile: Path | None) -> dict[str, Any]:
    """Measure one size in a fresh process, so that its peak of memory is its own."""
    command = [sys.executable, "-m", "benchmarks.scale_one", size, *([str(profile)] if profile else [])]
    print(f"measuring {size} …", file=sys.stderr, flush=True)
    environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}  # as the command line sets it
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def verdicts(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What was promised for a million events, what was seen, and whether it is met."""
    row = next((row for row in rows if row["size"] == PROMISED_SIZE), None)
    if row is None:
        return {}
    return {
        name: {"at_most": limit, "measured": row[name], "met": row[name] <= limit}
        for name, limit in PROMISES.items()
    }


def show(rows: Sequence[dict[str, Any]], machine: dict[str, object]) -> None:
    """Print the table: a row a measure, a column a size."""
    stages = [stage for stage in rows[0]["stage_seconds"] if stage != "fetch and ingest"]
    wholes = ("generate", "ingest", "training")
    lines = [("seconds", [row["size"] for row in rows])]
    lines += [(whole, [f"{row[f'{whole}_seconds']:.1f}" for row in rows]) for whole in wholes]
    lines += [(f"  {stage}", [f"{row['stage_seconds'][stage]:.1f}" for row in rows]) for stage in stages]
    lines.append(("peak memory, MB", [f"{row['peak_rss_mb']:,.0f}" for row in rows]))
    print(in_words(machine))
    for label, cells in lines:
        print(f"{label:<24}" + "".join(f"{cell:>10}" for cell in cells))
    for name, found in verdicts(rows).items():
        met = "met" if found["met"] else "MISSED"
        print(f"promise at {PROMISED_SIZE}: {name} <= {found['at_most']:g}: {found['measured']:g}, {met}")


def draw(rows: Sequence[dict[str, Any]], machine: dict[str, object], path: Path) -> None:
    """Draw seconds and memory over the number of events, both axes logarithmic."""
    events = [row["events"] for row in rows]
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(events, [row["ingest_seconds"] for row in rows], "o-", label="ingest")
    left.plot(events, [row["training_seconds"] for row in rows], "o-", color="black", label="training, whole")
    for stage in ("training set", "ranker", "candidates", "evaluate", "refit on all events"):
        seconds = [max(row["stage_seconds"][stage], 1e-2) for row in rows]
        left.plot(events, seconds, ".--", linewidth=1, label=f"  {stage}")
    right.plot(events, [row["peak_rss_mb"] / 1024 for row in rows], "o-", color="black", label="peak memory")
    promised = SIZES[PROMISED_SIZE][0]
    left.plot(promised, PROMISES["ingest_seconds"], "v", color="C0", label="promised: ingest")
    left.plot(promised, PROMISES["training_seconds"], "v", color="black", label="promised: training")
    right.plot(promised, PROMISES["peak_rss_mb"] / 1024, "v", color="black", label="promised")
    for axes, label in ((left, "seconds"), (right, "GiB")):
        axes.set(xscale="log", yscale="log", xlabel="events", ylabel=label)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("{x:g}" if label == "GiB" else NullFormatter())
        axes.grid(visible=True, which="major", alpha=0.3)
        axes.legend(fontsize=8)
    figure.suptitle(in_words(machine), fontsize=9)
    figure.savefig(path, dpi=120)


def main() -> int:
    """Measure, print, write and draw; 1 where a promise is broken."""
    parser = argparse.ArgumentParser(description="Seconds and memory as the events grow.")
    parser.add_argument("--sizes", default="100k,1m,5m", help=f"some of {', '.join(SIZES)}")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of scale.json and scale.png")
    parser.add_argument("--profile", type=Path, help="write cProfile's statistics of the last size")
    arguments = parser.parse_args()
    sizes = arguments.sizes.split(",")
    if unknown := [size for size in sizes if size not in SIZES]:
        parser.error(f"--sizes: {unknown[0]!r} is none of {', '.join(SIZES)}")
    rows = [measure_apart(size, arguments.profile) for size in sizes]
    machine = describe_machine()
    arguments.results.mkdir(parents=True, exist_ok=True)
    report = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine,
        "sizes": rows,
        "promises": verdicts(rows),
    }
    (arguments.results / "scale.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    draw(rows, machine, arguments.results / "scale.png")
    show(rows, machine)
    return 0 if all(found["met"] for found in report["promises"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
