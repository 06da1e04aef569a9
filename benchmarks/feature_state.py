"""The feature state: build, update by 1 %, bring 100,000 users online; seconds, memory and ratios.

    python -m benchmarks.feature_state                                # SQLite
    python .ci/with_redis.py python -m benchmarks.feature_state       # and Redis (or name one in REDIS_URL)
    python -m benchmarks.feature_state --only clicks --results build  # a quick look

Two kinds of a million events of 20,000 users over 180 days: `clicks` of the generator (18 % choose
something), and `ratings`, all choices, 50 a user in the mean: the hardest. The 1 % that comes later is the
newest, or scattered over all time. Each measure is a process of its own; the promised ratio is of CPU
seconds, which other work on the machine bends less. Writes feature_state.json and feature_state.md; the
exit code is 1 where a promise is broken.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.feature_state_one import DATA, redis_address
from benchmarks.kept import keep
from benchmarks.machine import describe_machine, in_words

RESULTS = Path(__file__).with_name("results")
PROMISES = (
    # measure, number, at most
    ("whole clicks", "seconds", 60.0),
    ("whole ratings", "seconds", 60.0),
    ("whole ratings", "peak_rss_mb", 1_500.0),
    ("newest clicks", "share_of_whole", 0.10),
    ("newest ratings", "share_of_whole", 0.10),
    ("online features redis", "seconds", 20.0),
    ("online features redis", "peak_rss_mb", 1_000.0),
    ("online features redis", "share_of_1_percent", 0.10),
)


def names(only: str | None) -> list[str]:
    """The measures to take."""
    stores = ["sqlite", *(["redis"] if redis_address() else [])]
    found = [f"{kind} {data}" for data in DATA for kind in ("whole", "newest", "scattered")]
    found += [f"online {shape} {store}" for shape in ("features", "activity") for store in stores]
    return [name for name in found if only is None or only in name]


def measure_apart(name: str, folder: Path) -> dict[str, Any]:
    """Take one measure in a fresh process, so that its peak of memory is its own."""
    print(f"measuring {name} …", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "benchmarks.feature_state_one", name, str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return {"measure": name, **json.loads(done.stdout.splitlines()[-1])}


def with_ratios(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with what they cost beside the whole; an update must end in the whole's state.

    Raises:
        SystemExit: it does not.
    """
    by = {row["measure"]: row for row in rows}
    made = []
    for row in rows:
        whole = by.get(f"whole {row['measure'].split()[1]}")
        if "cpu_seconds_of_1_percent" in row:
            share = row["cpu_seconds_of_1_percent"] / row["cpu_seconds"]
            made.append(row | {"share_of_1_percent": round(share, 3)})
        elif whole and row is not whole:
            if row["state_id"] != whole["state_id"]:
                sys.exit(f"{row['measure']} ended in another state than the whole build")
            made.append(row | {"share_of_whole": round(row["cpu_seconds"] / whole["cpu_seconds"], 3)})
        else:
            made.append(row)
    return made


def verdicts(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was promised, what was seen, and whether it is met."""
    by = {row["measure"]: row for row in rows}
    return [
        {"measure": name, "number": number, "at_most": limit, "measured": by[name][number]}
        | {"met": by[name][number] <= limit}
        for name, number, limit in PROMISES
        if number in by.get(name, {})
    ]


def as_markdown(report: dict[str, Any]) -> str:
    """The tables for people."""
    build = ["seconds", "cpu_seconds", "share_of_whole", "peak_rss_mb", "disk_mb", "changed_events"]
    build += ["touched_users", "written_parts", "kept_parts"]
    online = ["rows", "seconds", "cpu_seconds", "rows_a_second", "peak_rss_mb"]
    online += ["seconds_of_1_percent", "cpu_seconds_of_1_percent", "share_of_1_percent"]
    rows = report["measures"]
    promises = [
        f"| {each['measure']} | {each['number']} | {each['at_most']:g} | {each['measured']:g} |"
        f" {'met' if each['met'] else 'MISSED'} |"
        for each in report["promises"]
    ]
    return "\n".join(
        [
            "# The feature state",
            "",
            f"{report['measured_at']}, {in_words(report['machine'])}.",
            "",
            *_table([row for row in rows if not row["measure"].startswith("online")], build),
            "",
            *_table([row for row in rows if row["measure"].startswith("online")], online),
            "",
            "| promise | number | at most | measured | |",
            "| --- | --- | ---: | ---: | --- |",
            *promises,
            "",
        ]
    )


def _table(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> list[str]:
    head = ["measure", *columns]
    lines = [[row["measure"], *[f"{row[name]:,}" if name in row else "" for name in columns]] for row in rows]
    return [
        f"| {' | '.join(name.replace('_', ' ') for name in head)} |",
        f"| --- {'| ---: ' * len(columns)}|",
        *[f"| {' | '.join(line)} |" for line in lines],
    ]


def main() -> int:
    """Measure, print and write; 1 where a promise is broken."""
    parser = argparse.ArgumentParser(description="Build, update and bring online the feature state.")
    parser.add_argument("--only", help="measures with this word in their name")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of feature_state.json and .md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = with_ratios([measure_apart(name, Path(folder)) for name in names(arguments.only)])
    report = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "measures": rows,
        "promises": verdicts(rows),
    }
    keep(arguments.results, "feature_state", report, as_markdown(report))
    return 0 if all(each["met"] for each in report["promises"]) else 1


if __name__ == "__main__":
    sys.exit(main())
