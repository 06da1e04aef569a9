"""One measure of `feature_state`, in this process: `python -m benchmarks.feature_state_one NAME FOLDER`.

Apart from its parent, so that the peak of memory is its own. The last line printed is the result.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from marquee import schema
from marquee.config import TrainingConfig
from marquee.data.datasets.fetch import fetch_dataset
from marquee.features.state import BuildReport, build_state, update_state
from marquee.features.state.activity import user_activity
from marquee.features.state.events import resolved

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView

EVENTS = 1_000_000
USERS, ITEMS, DAYS = 20_000, 5_000, 180
ONLINE_USERS = 100_000
FLOATS, WHOLES, TEXTS = 14, 4, 2
START = datetime(2025, 1, 1, tzinfo=UTC)
SHARE = 0.01
SEED = 7
REPEATS = 5
TIME = pl.col(schema.TIMESTAMP)


@contextmanager
def measured(found: dict[str, Any]) -> Iterator[None]:
    """Note wall and CPU seconds, and the peak of memory so far."""
    wall, cpu = perf_counter(), process_time()
    yield
    found["seconds"], found["cpu_seconds"] = round(perf_counter() - wall, 2), round(process_time() - cpu, 2)
    found["peak_rss_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


# --- events -----------------------------------------------------------------------------------------------


def clicks(folder: Path) -> Path:
    """What a streaming service sees: the generator's million events, of which 18 % choose something."""
    path = folder / "clicks.parquet"
    if not path.exists():
        values = {"n_events": EVENTS, "n_users": USERS, "n_items": ITEMS}
        config = TrainingConfig.from_values({"dataset": {"synthetic": values}}, where="benchmark")
        data = fetch_dataset("synthetic", cache=folder / "cache", config=config.dataset)
        pl.concat([pl.scan_parquet(each) for each in data.interactions]).sink_parquet(path)
    return path


def ratings(folder: Path) -> Path:
    """The hardest case: a million events that are all ratings, 50 a user in the mean (log-normal)."""
    path = folder / "ratings.parquet"
    if not path.exists():
        rng = np.random.default_rng(SEED)
        activity, popularity = rng.lognormal(0, 1, USERS), 1 / np.arange(10, ITEMS + 10) ** 0.9
        first = int(START.timestamp() * 1e6)
        pl.DataFrame(
            {
                schema.USER_ID: _ids("u", rng.choice(USERS, EVENTS, p=activity / activity.sum())),
                schema.ITEM_ID: _ids("m", rng.choice(ITEMS, EVENTS, p=popularity / popularity.sum())),
                schema.INTERACTION_TYPE: pl.Series(["rating"]).new_from_index(0, EVENTS),
                schema.TIMESTAMP: first + rng.integers(0, DAYS * 86_400 * 10**6, EVENTS),
                schema.VALUE: rng.integers(1, 6, EVENTS).astype(np.float32),
            }
        ).cast(
            {
                schema.TIMESTAMP: schema.TIME_DTYPE,
                schema.INTERACTION_TYPE: schema.INTERACTIONS_SCHEMA[schema.INTERACTION_TYPE],
            }
        ).write_parquet(path)
    return path


def _ids(letter: str, numbers: "np.ndarray[Any, Any]") -> pl.Series:
    return letter + pl.Series(numbers).cast(pl.String).str.zfill(6)


DATA: dict[str, Callable[[Path], Path]] = {"clicks": clicks, "ratings": ratings}


# --- build -----------------------------------------------------------------------------------------------


def build_whole(data: str, folder: Path) -> dict[str, Any]:
    """All events at once."""
    events, found = pl.scan_parquet(DATA[data](folder)), dict[str, Any]()
    state = folder / f"{data}-whole"
    with measured(found):
        report = build_state(state, events)
    return found | _facts(report, state)


def build_more(data: str, which: str, folder: Path) -> dict[str, Any]:
    """The last, or some scattered, 1 % after the other 99 %: median of some runs from the same state."""
    events = pl.scan_parquet(DATA[data](folder))
    if which == "newest":
        is_new = pl.lit(events.select(TIME.quantile(1 - SHARE)).collect().item()) < TIME
    else:
        is_new = pl.concat_str(schema.USER_ID, schema.ITEM_ID, TIME.dt.epoch("us")).hash(SEED) % 100 == 0
    before, state = folder / f"{data}-{which}-before", folder / f"{data}-{which}"
    build_state(before, events.filter(~is_new))
    new, runs = events.filter(is_new).collect(), list[dict[str, Any]]()
    for _ in range(REPEATS if which == "newest" else 1):
        shutil.copytree(before, state, symlinks=True)
        run: dict[str, Any] = {}
        with measured(run):
            report = update_state(state, new)
        runs.append(run | _facts(report, state))
    shutil.rmtree(before)
    found = sorted(runs, key=lambda run: float(run["cpu_seconds"]))[len(runs) // 2]
    del found["peak_rss_mb"]  # it would be the build's before
    return found


def _facts(report: BuildReport, state: Path) -> dict[str, Any]:
    megabytes = sum(path.stat().st_size for path in state.resolve().rglob("current/**/*.parquet")) / 1e6
    shutil.rmtree(state)
    return {
        "state_id": report.state_id,
        "changed_events": report.changed_events,
        "touched_users": report.touched_users,
        "written_parts": report.written_parts,
        "kept_parts": report.kept_parts,
        "disk_mb": round(megabytes),
    }


# --- materialise -------------------------------------------------------------------------------------------


def materialise(shape: str, online: str, folder: Path) -> dict[str, Any]:
    """100,000 rows online, then the 1 % of them that changed; `shape` is "features" or "activity"."""
    from marquee.adapters.feast.materialise import Journal, materialise_view  # noqa: PLC0415 - imports Feast

    place = folder / f"{shape}-{online}"
    command = [sys.executable, "-m", "benchmarks.feature_state_one", f"rows {shape}", str(place)]
    subprocess.run(command, check=True)  # apart: what made the rows is no part of the peak
    rows, newer_from = pl.scan_parquet(place / "rows" / "1.parquet"), START + timedelta(days=60)
    store, view = _store(place, online, rows.collect_schema())

    def run(start: datetime) -> int:
        return materialise_view(
            store,
            view,
            start=start,
            end=START + timedelta(days=90),
            journal=Journal(place / "journal.json"),
            on_progress=lambda _view, _done, _total: None,
        ).written

    found: dict[str, Any] = {"rows": ONLINE_USERS}
    with measured(found):
        written = run(START)
    time = pl.col(schema.EVENT_TIMESTAMP)
    later = (pl.lit(newer_from) + (time - time.min())).alias(schema.EVENT_TIMESTAMP)
    changed = rows.gather_every(round(1 / SHARE)).with_columns(later).collect()
    changed.with_columns(time.alias(schema.CREATED_TIMESTAMP)).write_parquet(place / "rows" / "2.parquet")
    more: dict[str, Any] = {}
    with measured(more):
        rewritten = run(newer_from)
    if (written, rewritten) != (ONLINE_USERS, len(changed)):
        sys.exit(f"{written} of {ONLINE_USERS} and {rewritten} of {len(changed)} rows were written")
    found["rows_a_second"] = round(ONLINE_USERS / found["seconds"])
    return found | {"seconds_of_1_percent": more["seconds"], "cpu_seconds_of_1_percent": more["cpu_seconds"]}


def _feature_rows() -> pl.DataFrame:
    """Rows of 14 float32, 4 int64 and 2 strings, over four weeks."""
    rng, n = np.random.default_rng(SEED), ONLINE_USERS
    time = pl.Series(int(START.timestamp() * 1e6) + rng.integers(0, 28 * 86_400 * 10**6, n))
    return pl.DataFrame(
        {
            schema.USER_ID: _ids("u", np.arange(n)),
            schema.EVENT_TIMESTAMP: time.cast(schema.TIME_DTYPE),
            schema.CREATED_TIMESTAMP: time.cast(schema.TIME_DTYPE),
            **{f"float_{number}": rng.random(n, dtype=np.float32) for number in range(FLOATS)},
            **{f"whole_{number}": rng.integers(0, 10**6, n) for number in range(WHOLES)},
            **{f"text_{number}": _ids("word", rng.integers(0, 50, n)) for number in range(TEXTS)},
        }
    )


def _activity_rows() -> pl.DataFrame:
    """The newest rows of user_activity of 100,000 users with 20 choices in the mean (log-normal)."""
    rng = np.random.default_rng(SEED)
    lengths = np.maximum(rng.lognormal(2.5, 1, ONLINE_USERS).astype(np.int64), 1)
    n = int(lengths.sum())
    events = pl.DataFrame(
        {
            schema.USER_ID: _ids("u", np.repeat(np.arange(ONLINE_USERS), lengths)),
            schema.ITEM_ID: _ids("m", rng.integers(0, ITEMS, n)),
            schema.INTERACTION_TYPE: pl.Series(["rating"]).new_from_index(0, n),
            # One moment a user: one row, with the whole history.
            schema.TIMESTAMP: np.repeat(
                int(START.timestamp() * 1e6) + rng.integers(0, 28 * 86_400 * 10**6, ONLINE_USERS), lengths
            ),
            schema.VALUE: rng.integers(1, 6, n).astype(np.float32),
        }
    ).cast({schema.TIMESTAMP: schema.TIME_DTYPE})
    return user_activity(resolved(events))


def write_rows(shape: str, place: Path) -> dict[str, Any]:
    """Write the rows of a shape, each user's one."""
    rows = _feature_rows() if shape == "features" else _activity_rows()
    (place / "rows").mkdir(parents=True)
    rows.write_parquet(place / "rows" / "1.parquet", compression="zstd")
    return {"rows": len(rows)}


def _store(place: Path, online: str, columns: pl.Schema) -> "tuple[FeatureStore, FeatureView]":
    """A feature store with one view over the rows of a folder."""
    from feast import (  # noqa: PLC0415 - takes seconds
        Entity,
        FeatureStore,
        FeatureView,
        Field,
        FileSource,
        RepoConfig,
        ValueType,
    )
    from feast.types import Array, Float32, Int32, Int64, String  # noqa: PLC0415

    kinds: dict[pl.DataType, Any] = {pl.Float32(): Float32, pl.Int64(): Int64, pl.String(): String}
    kinds |= {pl.List(pl.Int32()): Array(Int32), **{pl.List(key): Array(kind) for key, kind in kinds.items()}}
    times = {"timestamp_field": schema.EVENT_TIMESTAMP, "created_timestamp_column": schema.CREATED_TIMESTAMP}
    user = Entity(name="user", join_keys=[schema.USER_ID], value_type=ValueType.STRING)
    view = FeatureView(
        name="rows",
        entities=[user],
        ttl=timedelta(0),
        schema=[
            Field(name=name, dtype=kinds[dtype])
            for name, dtype in columns.items()
            if name not in times.values()
        ],
        source=FileSource(name="source", path=str(place / "rows"), **times),
    )
    config: dict[str, Any] = {"type": "sqlite", "path": str(place / "online.db")}
    if online == "redis":
        address = f"{redis_address()},socket_timeout=0.05,socket_connect_timeout=0.05"
        config = {"type": "marquee.adapters.feast.redis.QuickRedisOnlineStore", "connection_string": address}
    store = FeatureStore(
        config=RepoConfig(
            project=f"benchmark_{os.getpid()}",
            provider="local",
            registry=str(place / "registry.db"),
            online_store=config,
            offline_store={"type": "marquee.adapters.feast_offline.AsofOfflineStore"},
            entity_key_serialization_version=3,
        )
    )
    store.apply([user, view])
    return store, store.get_feature_view("rows")


def redis_address() -> str | None:
    """host:port of a Redis server, where the environment names one."""
    url = os.environ.get("REDIS_URL", "").removeprefix("redis://").partition("/")[0]
    return os.environ.get("MARQUEE_TEST_REDIS") or url or None


def main() -> None:
    """Measure and print the result for the parent."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    kind, *words = name.split()
    if kind == "whole":
        found = build_whole(words[0], folder)
    elif kind == "rows":
        found = write_rows(words[0], folder)
    elif kind == "online":
        found = materialise(words[0], words[1], folder)
    else:
        found = build_more(words[0], kind, folder)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
