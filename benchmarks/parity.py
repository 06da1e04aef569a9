"""Parity on the last days of MovieLens-100k: events pushed, requests served, all asked again offline.

    python benchmarks/parity.py                          # with SQLite
    python .ci/with_redis.py python benchmarks/parity.py # and with a Redis server of its own
    python benchmarks/parity.py --requests 20000

The days are the last whole ones that give so many requests, in the warehouse of `make run`. Some events
come twice, some out of order. A push is the whole way of one event: the user's row is read, the event
added, the row written. A read is one user's row. Each store runs in this process, one after the other; to
compare them, take the ratio of their figures. Beside them stands the time of a raw write and fsync of as
many bytes, which is what the disk costs SQLite.

Promised: every request equal, and 99 of 100 events online within a second. Reads are of whole histories,
of hundreds of events, between pushes: they are told, and promised elsewhere.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.machine import describe_machine, in_words
from marquee import schema
from marquee.adapters.feast import FeatureDoor
from marquee.adapters.feast.simulated_day import DayConfig, Stage, replay_day, simulate_day
from marquee.data.warehouse import Warehouse
from marquee.features.state import SideTables
from marquee.settings import Settings

RESULTS = Path(__file__).parent / "results"
REPO = Path(__file__).parents[1] / "feature_repo"
DATASET = "ml-100k"
REDIS = """
project: parity_{process}
provider: local
state_root: ${{MARQUEE_STATE}}/current
registry: {{registry_type: file, path: "${{MARQUEE_STATE}}/registry.db", cache_ttl_seconds: 0}}
online_store:
  type: marquee.adapters.feast.redis.QuickRedisOnlineStore
  connection_string: "{address},socket_timeout=1,socket_connect_timeout=1"
  skip_dedup: true
offline_store: {{type: marquee.adapters.feast_offline.AsofOfflineStore}}
entity_key_serialization_version: 3
"""
Row = dict[str, float | int | str]


def quantiles(milliseconds: list[float]) -> tuple[float, float]:
    """p50 and p99."""
    p50, p99 = np.percentile(milliseconds, [50, 99])
    return round(float(p50), 2), round(float(p99), 2)


def fsync_ms(folder: Path, size: int = 20_000) -> float:
    """Median of writing and syncing a row's worth of bytes."""
    spent = []
    with (folder / "probe").open("wb", buffering=0) as file:
        for _ in range(50):
            start = time.perf_counter()
            file.write(b"x" * size)
            os.fsync(file.fileno())
            spent.append(1e3 * (time.perf_counter() - start))
    return round(float(np.median(spent)), 2)


def measure(
    name: str, profile: Callable[[Path], str], events: pl.DataFrame, tables: SideTables, *, config: DayConfig
) -> Row:
    """One store, one day."""
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        door = FeatureDoor.of(profile(root), repo=REPO, environment={**os.environ, "MARQUEE_STATE": made})
        day = simulate_day(Stage(root, door, REPO, tables), events, root / "log.jsonl", config=config)
        start = time.perf_counter()
        parity = replay_day(root, door, root / "log.jsonl")
        seconds = time.perf_counter() - start
        disk = fsync_ms(root)
    push, read = quantiles(day.push_ms), quantiles(day.read_ms)
    return {
        "store": name,
        "events": day.events,
        "pushes": day.pushes,
        "requests": parity.requests,
        "equal": parity.equal,
        "push_p50_ms": push[0],
        "push_p99_ms": push[1],
        "push_cpu_ms": quantiles(day.push_cpu_ms)[0],
        "read_p50_ms": read[0],
        "read_p99_ms": read[1],
        "read_cpu_ms": quantiles(day.read_cpu_ms)[0],
        "replay_s": round(seconds, 1),
        "fsync_p50_ms": disk,
    }


def redis_profile(root: Path) -> str:
    """A profile with the Redis server that the environment names."""
    path = root / "redis.yaml"
    path.write_text(REDIS.format(address=os.environ["MARQUEE_TEST_REDIS"], process=os.getpid()))
    return str(path)


def as_markdown(rows: list[Row], machine: dict[str, object]) -> str:
    """The table for people."""
    columns = list(rows[0])
    lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    lines += [f"| {' | '.join(str(row[column]) for column in columns)} |" for row in rows]
    return "\n".join(["# Parity on the last days of MovieLens-100k", "", in_words(machine), "", *lines, ""])


def broken_promises(rows: list[Row]) -> list[str]:
    """What was promised and was not kept."""
    broken = [
        f"{row['store']}: {row['equal']} of {row['requests']} equal"
        for row in rows
        if row["equal"] != row["requests"]
    ]
    broken += [
        f"{row['store']}: a push took {row['push_p99_ms']} ms"
        for row in rows
        if float(row["push_p99_ms"]) > 1e3
    ]
    return broken


def main() -> None:
    """Measure each store, print and write the table; exit code 1 where a promise is broken."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=5_000)
    options = parser.parse_args()
    folder = Settings.from_environment().warehouse(DATASET)
    if not (folder / "warehouse.json").exists():
        sys.exit(f"there is no warehouse in {folder}: run `make run` first")
    warehouse = Warehouse(folder)
    events = warehouse.scan_interactions().collect()
    names = (schema.USERS, schema.MOVIES, schema.PUBLICITY)
    tables = SideTables(*(warehouse.read_table(name) for name in names))
    profiles: dict[str, Callable[[Path], str]] = {"SQLite": lambda _: "local"}
    if os.environ.get("MARQUEE_TEST_REDIS"):
        profiles["Redis"] = redis_profile
    config, rows, machine = DayConfig(requests=options.requests), [], describe_machine()
    for name, profile in profiles.items():
        rows.append(measure(name, profile, events, tables, config=config))
        print(json.dumps(rows[-1]), flush=True)
    broken = broken_promises(rows)
    RESULTS.mkdir(exist_ok=True)
    found = {"machine": machine, "stores": rows, "not kept": broken}
    (RESULTS / "parity.json").write_text(json.dumps(found, indent=1) + "\n")
    (RESULTS / "parity.md").write_text(as_markdown(rows, machine))
    print(as_markdown(rows, machine))
    print(f"not kept: {'; '.join(broken) or 'nothing'}")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
