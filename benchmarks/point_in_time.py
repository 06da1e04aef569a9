"""Point-in-time training sets: our Feast offline store beside polars by hand and Feast's duckdb engine.

    python -m benchmarks.point_in_time                          # all of it: 5 min
    python -m benchmarks.point_in_time --labels 1M --engines ours polars

By default 1M label rows by all engines (duckdb where feast[duckdb] is installed), 5M by hand and by ours,
20M by ours: at 5M Feast's duckdb engine asks for more than 13 GB. Labels come from a Parquet file; up to 5M
rows the result is an Arrow table in memory, above that a Parquet file that is streamed. Each engine and size
runs in a process of its own (`point_in_time_one.py`), so that its peak of memory is its own; importing and
applying are not timed. Each run checks that no label row is lost or moved, and a digest of all values is
compared between engines.

Promised: 1M through Feast in at most 1.5 × the time by hand; 5M in 15 s; 20M in 60 s and 10 GB.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.kept import keep
from benchmarks.machine import describe_machine, in_words
from benchmarks.point_in_time_one import ENGINES, VIEWS, write_history, write_labels

PLAN = {1_000_000: ("polars", "ours", "duckdb"), 5_000_000: ("polars", "ours"), 20_000_000: ("ours",)}
LIMIT_SECONDS = {5_000_000: 15.0, 20_000_000: 60.0}
LIMIT_BYTES = 10 * 10**9
LIMIT_RATIO = {1_000_000: 1.5}
RESULTS = Path(__file__).parent / "results"


def in_own_process(engine: str, rows: int, folder: Path, repeats: int) -> dict[str, Any]:
    """Run `point_in_time_one` in a fresh interpreter, so that peak memory is this run's alone."""
    words = [engine, str(rows), str(folder), "--repeats", str(repeats)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.point_in_time_one", *words],
        check=False,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
        cwd=Path(__file__).parents[1],
    )
    if done.returncode:
        return {"engine": engine, "labels": rows, "failed": done.returncode}
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def verdicts(reports: list[dict[str, Any]]) -> list[str]:
    """What was promised and was not kept."""
    by = {(report["engine"], report["labels"]): report for report in reports}
    broken = []
    for (engine, rows), report in by.items():
        if engine == "ours":
            broken += [f"{rows:,} labels: {what}" for what in _not_kept(report, by.get(("polars", rows)))]
    return broken


def _not_kept(report: dict[str, Any], hand: dict[str, Any] | None) -> list[str]:
    """Of one run of ours, beside the same by hand where that was run."""
    if "failed" in report:
        return ["failed"]
    broken = []
    seconds = report["median_seconds"]
    ratio = LIMIT_RATIO.get(report["labels"])
    if hand and ratio and seconds > ratio * hand["median_seconds"]:
        broken.append(f"{seconds} s against {hand['median_seconds']} s by hand")
    if hand and report["digest"] != hand["digest"]:
        broken.append("other values than by hand")
    if not report["in_order"]:
        broken.append("rows moved")
    if seconds > LIMIT_SECONDS.get(report["labels"], seconds):
        broken.append(f"{seconds} s")
    if report["peak_gigabytes"] * 1e9 > LIMIT_BYTES:
        broken.append(f"{report['peak_gigabytes']} GB")
    return broken


def to_markdown(report: dict[str, Any]) -> str:
    """The report as a table."""
    lines = [
        "# Point-in-time training sets: label rows × 5 views, 38 features",
        "",
        f"{report['measured_at']}, {in_words(report['machine'])}. Median seconds of the runs; peak memory of"
        " the process; the digest depends on every value and its row.",
        "",
        "| label rows | engine | seconds | range | peak GB | in order | digest |",
        "| ---: | --- | ---: | ---: | ---: | --- | --- |",
    ]
    for row in report["runs"]:
        if "failed" in row:
            lines.append(f"| {row['labels']:,} | {row['engine']} | failed ({row['failed']}) | | | | |")
            continue
        low, high = row["range_seconds"]
        lines.append(
            f"| {row['labels']:,} | {row['engine']} | {row['median_seconds']} | {low}–{high}"
            f" | {row['peak_gigabytes']} | {'yes' if row['in_order'] else 'no'} | {row['digest'][:8]} |"
        )
    kept = "all kept" if not report["not_kept"] else "; ".join(report["not_kept"])
    return "\n".join([*lines, "", f"Promises: {kept}.", *report["notes"]]) + "\n"


def count(text: str) -> int:
    """`5M` as 5,000,000."""
    return int(float(text[:-1]) * 1_000_000) if text.endswith("M") else int(text)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--labels", type=count, nargs="+", default=list(PLAN))
    parser.add_argument("--engines", nargs="+", choices=ENGINES, help="by default those of each size")
    parser.add_argument("--repeats", type=int, default=3, help="for 1M; larger sizes and duckdb run once")
    parser.add_argument("--folder", type=Path, help="where the tables go; a temporary folder by default")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of point_in_time.json and .md")
    return parser.parse_args()


def runs(options: argparse.Namespace, engines: tuple[str, ...], folder: Path) -> list[dict[str, Any]]:
    """Write the tables, run each engine at each size."""
    for view in VIEWS:
        write_history(view, folder / f"{view.name}.parquet")
    reports = []
    for rows in options.labels:
        write_labels(rows, folder / f"labels-{rows}.parquet")
        for engine in options.engines or PLAN.get(rows, ("polars", "ours")):
            if engine in engines:
                repeats = 1 if rows > 1_000_000 or engine == "duckdb" else options.repeats
                reports.append(in_own_process(engine, rows, folder, repeats))
                print(json.dumps(reports[-1]), flush=True)
    return reports


def main() -> int:
    """Measure, print and write; 1 where a promise is broken."""
    options = arguments()
    has_duckdb = importlib.util.find_spec("ibis") is not None
    engines = tuple(engine for engine in ENGINES if engine != "duckdb" or has_duckdb)
    with tempfile.TemporaryDirectory() as made:
        folder = (options.folder or Path(made)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        reports = runs(options, engines, folder)
    report = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "runs": reports,
        "not_kept": verdicts(reports),
        "notes": []
        if has_duckdb
        else ["Feast's duckdb engine was left out: feast[duckdb] is not installed."],
    }
    keep(options.results, "point_in_time", report, to_markdown(report))
    return 1 if report["not_kept"] else 0


if __name__ == "__main__":
    sys.exit(main())
