"""One engine, one size, in a process of its own: what `benchmarks.point_in_time` starts.

Five views, as many as feature_repo declares (user activity 1M rows × 10 features, movie statistics 300k × 10,
publicity 600k × 8, profiles of 100k users and 10k movies × 5; TTL 60, 60, 30 and 365 days) over 180 days,
each with a created column. Prints one line of JSON.
"""

import argparse
import json
import os
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

DAYS = 180
DAY_US = 86_400_000_000
START = datetime(2026, 1, 1, tzinfo=UTC)
IN_MEMORY_ROWS = 5_000_000
SEED = 7
ENGINES = ("polars", "ours", "duckdb")
"""By hand in polars, our offline store, Feast's own DuckDB engine."""


@dataclass(frozen=True)
class View:
    """One feature view of the benchmark; features are float32."""

    name: str
    key: str
    rows: int
    keys: int
    features: int
    ttl_days: int

    @property
    def columns(self) -> list[str]:
        """Names of the features, unique across views."""
        return [f"{self.name}_f{place}" for place in range(self.features)]


VIEWS = (
    View("user_activity", "user_id", 1_000_000, 100_000, 10, 60),
    View("movie_statistics", "movie_id", 300_000, 10_000, 10, 60),
    View("movie_publicity", "movie_id", 600_000, 10_000, 8, 30),
    View("user_profile", "user_id", 100_000, 100_000, 5, 365),
    View("movie_profile", "movie_id", 10_000, 10_000, 5, 365),
)


def times(rng: np.random.Generator, rows: int) -> pl.Series:
    """Uniform moments of the span, UTC microseconds."""
    first = int(START.timestamp()) * 1_000_000
    return pl.Series(first + rng.integers(0, DAYS * DAY_US, rows)).cast(pl.Datetime("us", "UTC"))


def write_history(view: View, path: Path) -> None:
    """Rows in the order of (key, time), as a feature build writes them."""
    rng = np.random.default_rng([SEED, view.rows])
    frame = pl.DataFrame(
        {
            view.key: rng.integers(0, view.keys, view.rows),
            "event_timestamp": times(rng, view.rows),
            **{name: rng.random(view.rows, dtype=np.float32) for name in view.columns},
        }
    ).with_columns(created=pl.col("event_timestamp") + pl.duration(hours=1))
    frame.sort(view.key, "event_timestamp").write_parquet(path, compression="zstd")


def write_labels(rows: int, path: Path) -> None:
    """Labels in no order of time, numbered."""
    rng = np.random.default_rng([SEED, rows, 1])
    pl.DataFrame(
        {
            "label": np.arange(rows),
            "user_id": rng.integers(0, 100_000, rows),
            "movie_id": rng.integers(0, 10_000, rows),
            "event_timestamp": times(rng, rows),
        }
    ).write_parquet(path, compression="zstd")


def by_hand(folder: Path, rows: int) -> Callable[[], pl.DataFrame]:
    """The join as one would write it in polars: sort, join_asof, take expired values back, sort back."""

    def run() -> pl.DataFrame:
        frame = pl.read_parquet(folder / f"labels-{rows}.parquet").sort("event_timestamp")
        for view in VIEWS:
            history = pl.read_parquet(folder / f"{view.name}.parquet").sort("event_timestamp", "created")
            history = history.drop("created").with_columns(seen=pl.col("event_timestamp"))
            frame = frame.join_asof(history, on="event_timestamp", by=view.key, check_sortedness=False)
            fresh = pl.col("seen") >= pl.col("event_timestamp") - pl.duration(days=view.ttl_days)
            frame = frame.with_columns(pl.when(fresh).then(pl.col(view.columns))).drop("seen")
        return frame.sort("label")

    return run


def through_feast(folder: Path, rows: int, *, offline: str) -> Callable[[], pl.DataFrame | Path]:
    """The same through Feast's API."""
    import pandas as pd  # noqa: PLC0415  # only here: it and Feast cost seconds and memory

    store, features = applied(folder, offline)
    path = folder / f"labels-{rows}.parquet"
    query = f"SELECT * FROM read_parquet('{path}')"  # noqa: S608  # a path of our own making
    labels = pd.read_parquet(path) if offline == "duckdb" else query

    def run() -> pl.DataFrame | Path:
        job = store.get_historical_features(labels, features=features)
        if rows <= IN_MEMORY_ROWS:
            table = job.to_arrow()
            return pl.from_arrow(table)
        out = folder / f"training-{rows}.parquet"
        job.to_parquet_stream(out)
        return out

    return run


def applied(folder: Path, offline: str) -> tuple["FeatureStore", list[str]]:  # noqa: F821  # imported late
    """A feature repository over the histories, and all of its features."""
    from feast import (  # noqa: PLC0415
        Entity,
        FeatureStore,
        FeatureView,
        Field,
        FileSource,
        RepoConfig,
        ValueType,
    )
    from feast.types import Float32  # noqa: PLC0415

    entities = {
        key: Entity(name=key.removesuffix("_id"), join_keys=[key], value_type=ValueType.INT64)
        for key in ("user_id", "movie_id")
    }
    views = [
        FeatureView(
            name=view.name,
            entities=[entities[view.key]],
            ttl=timedelta(days=view.ttl_days),
            schema=[Field(name=name, dtype=Float32) for name in view.columns],
            source=FileSource(
                path=str(folder / f"{view.name}.parquet"),
                timestamp_field="event_timestamp",
                created_timestamp_column="created",
            ),
        )
        for view in VIEWS
    ]
    store = FeatureStore(
        config=RepoConfig(
            project="benchmark",
            provider="local",
            registry=str(folder / f"registry-{os.getpid()}.db"),
            online_store={"type": "sqlite", "path": str(folder / f"online-{os.getpid()}.db")},
            offline_store={"type": offline},
            entity_key_serialization_version=3,
        )
    )
    store.apply([*entities.values(), *views])
    return store, [f"{view.name}:{name}" for view in VIEWS for name in view.columns]


def digest(result: pl.DataFrame | Path, rows: int) -> tuple[bool, str]:
    """Check the labels: whether they stand in order, and a number that depends on every value.

    Raises:
        SystemExit: a label row is lost or doubled.
    """
    frame = pl.scan_parquet(result) if isinstance(result, Path) else result.lazy()
    label = frame.select("label").collect()["label"]
    expected = pl.Series("label", np.arange(rows))
    in_order = label.equals(expected)
    if not in_order and not label.sort().equals(expected):
        raise SystemExit(f"label rows lost: {rows} in, {len(label)} out, {label.n_unique()} of them distinct")
    names = [name for view in VIEWS for name in view.columns]
    weighted = [pl.col(name).cast(pl.Float64) * (pl.col("label") % 1009 + 1) for name in names]
    facts = frame.select(
        *(value.sum().round(3).alias(f"sum {name}") for name, value in zip(names, weighted, strict=True)),
        *(pl.col(name).null_count().alias(f"nulls {name}") for name in names),
    )
    return in_order, f"{facts.collect(engine='streaming').hash_rows()[0]:016x}"


def measure(engine: str, rows: int, folder: Path, repeats: int) -> None:
    """In a process of its own: run, check, print one line of JSON."""
    offline = "duckdb" if engine == "duckdb" else "marquee.adapters.feast_offline.AsofOfflineStore"
    run = by_hand(folder, rows) if engine == "polars" else through_feast(folder, rows, offline=offline)
    seconds = []
    result: pl.DataFrame | Path | None = None
    for _ in range(repeats):
        result = None  # what is held counts as memory
        start = time.perf_counter()
        result = run()
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert result is not None  # noqa: S101  # repeats is at least one
    in_order, value = digest(result, rows)
    report = {
        "engine": engine,
        "labels": rows,
        "median_seconds": round(statistics.median(seconds), 2),
        "range_seconds": [round(min(seconds), 2), round(max(seconds), 2)],
        "peak_gigabytes": round(peak / 1e9, 2),
        "in_order": in_order,
        "digest": value,
    }
    print(json.dumps(report))


def main() -> None:
    """Measure what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("labels", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeats", type=int, default=1)
    options = parser.parse_args()
    measure(options.engine, options.labels, options.folder, options.repeats)


if __name__ == "__main__":
    main()
