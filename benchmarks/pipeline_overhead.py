"""What the pipeline costs over calling marquee directly: both on ML-100k, in turns, start to end.

Run as `python -m benchmarks.pipeline_overhead [--rounds 3]`; writes benchmarks/results/pipeline_overhead.*.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.kept import keep
from benchmarks.machine import describe_machine, in_words

LIMIT = 1.25
"""The promise: at most a quarter more."""
WAYS = {"directly": ["train"], "as a pipeline": ["pipeline", "run"]}


def once(words: list[str], runs: Path) -> dict[str, Any]:
    """One run in a process of its own, into an empty runs folder: seconds, bundle, seconds of each step."""
    shutil.rmtree(runs, ignore_errors=True)
    command = [
        sys.executable,
        "-m",
        "marquee",
        *words,
        "ml-100k",
        "--seed",
        "7",
        "--runs",
        str(runs),
        "--json",
    ]
    # As by default: without bytecode, each of a pipeline's processes would compile the sources anew.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    seconds = perf_counter() - start
    found = json.loads(done.stdout)
    return {"seconds": seconds, "bundle": found["bundle_id"], "steps": found.get("steps", found["seconds"])}


def main() -> int:
    """Measure and write; the exit code is 1 where the promise is broken or the bundles differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in WAYS}
    with tempfile.TemporaryDirectory() as place:
        once(WAYS["directly"], Path(place) / "runs")  # the data set is downloaded and its state is built
        for _ in range(arguments.rounds):
            for name, words in WAYS.items():
                found[name].append(once(words, Path(place) / "runs"))
                print(name, round(found[name][-1]["seconds"], 1), "s", flush=True)
    report = summary(found)
    keep(arguments.results, "pipeline_overhead", report, text(report))
    return 0 if report["is_kept"] else 1


def summary(found: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Medians, the ratio and whether the promise is kept."""
    median = {name: statistics.median(run["seconds"] for run in runs) for name, runs in found.items()}
    direct, pipeline = (median[name] for name in WAYS)
    bundles = sorted({run["bundle"] for runs in found.values() for run in runs})
    return {
        "machine": describe_machine(),
        "median_seconds": median,
        "range_seconds": {
            name: [min(run["seconds"] for run in runs), max(run["seconds"] for run in runs)]
            for name, runs in found.items()
        },
        "ratio": pipeline / direct,
        "limit": LIMIT,
        "bundles": bundles,
        "steps": found["as a pipeline"][-1]["steps"],
        "stages": found["directly"][-1]["steps"],
        "is_kept": pipeline / direct <= LIMIT and len(bundles) == 1,
    }


def text(report: dict[str, Any]) -> str:
    """For people."""
    rows = [
        f"| {name} | {report['median_seconds'][name]:.1f} | {low:.1f} … {high:.1f} |"
        for name, (low, high) in report["range_seconds"].items()
    ]
    steps = ", ".join(f"{name} {seconds:.1f}" for name, seconds in report["steps"].items())
    verdict = "kept" if report["is_kept"] else "broken"
    return "\n".join(
        [
            "# The pipeline beside a direct call: ML-100k, process start to end, registry included",
            "",
            "| way | median s | range |",
            "| --- | ---: | ---: |",
            *rows,
            "",
            f"Ratio {report['ratio']:.2f}; the promise is at most {report['limit']}: {verdict}."
            f" Bundle {', '.join(report['bundles'])} both ways.",
            "",
            f"Steps of the last pipeline, s: {steps}.",
            "",
            f"Machine: {in_words(report['machine'])}.",
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
