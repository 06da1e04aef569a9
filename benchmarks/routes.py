"""Every route of the first stage: how well it proposes, how long it takes, what it needs.

    python -m benchmarks.routes                     quality on ml-100k, then the sizes
    python -m benchmarks.routes --sizes 1m          another choice of sizes; none with --sizes ''

Quality is the temporal protocol's test queries; a size is made of random events of users with tastes,
fitted in a process of its own, so that the peak of memory is its own. Seconds of the processor stand beside
those of the clock: on a busy machine they are the truer. Writes benchmarks/results/routes.{json,md}.
"""

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from benchmarks.kept import keep
from benchmarks.machine import describe_machine, in_words
from marquee import schema
from marquee.candidates.movie_facts import MovieFacts
from marquee.candidates.route import Route
from marquee.candidates.routes import ROUTE_TYPES, RoutesConfig
from marquee.candidates.union import UnionConfig
from marquee.config import TrainingConfig
from marquee.data.histories import Histories, LabelledQueries
from marquee.data.interactions import Interactions, Ragged, Vocabulary
from marquee.data.splits import consumed, temporal_split
from marquee.evaluation.evaluate import recall_ceiling
from marquee.evaluation.ranking_metrics import ndcg
from marquee.evaluation.relevance import judge
from marquee.recommend import Recommender

RESULTS = Path(__file__).with_name("results")
SIZES = {
    "100k": (100_000, 1_000, 1_700),
    "1m": (1_000_000, 10_000, 5_000),
    "10m": (10_000_000, 100_000, 20_000),
}
"""Events, users, items."""
CANDIDATES = 300
REQUESTS = 200
DAYS = 200
DAY_US = 86_400_000_000


def quality(config: TrainingConfig) -> dict[str, Any]:
    """Every route on ml-100k's test queries: lists, candidates, time; and what it adds to the others."""
    from benchmarks.movielens import prepared  # noqa: PLC0415 - Feast: not for the processes of the sizes
    from marquee.training import FirstStage  # noqa: PLC0415

    names = list(ROUTE_TYPES)
    config = config.model_copy(update={"routes": config.routes.model_copy(update={"enabled": tuple(names)})})
    dataset, state = prepared(config)
    events = consumed(dataset.interactions)
    split = temporal_split(events, config.temporal, seed=config.seed)
    first_stage = FirstStage.of(dataset, config, state)
    recommender, test = first_stage.ask(
        first_stage.fit(split.train, until_us=split.cut_us), split.test, events
    )
    rows = {name: one_route(recommender, name, test) for name in names}
    enabled = TrainingConfig().routes.enabled
    unions = {"enabled by default": enabled, "all": tuple(names)}
    unions |= {
        f"default, without {name}": tuple(kept for kept in enabled if kept != name) for name in enabled
    }
    unions |= {f"default, with {name}": (*enabled, name) for name in names if name not in enabled}
    return {
        "n_queries": len(test),
        "routes": rows,
        "unions": {label: one_union(recommender, chosen, test) for label, chosen in unions.items()},
    }


def one_route(recommender: Recommender, name: str, test: LabelledQueries) -> dict[str, float]:
    """NDCG, recall at depths and milliseconds of a request."""
    route = recommender.routes[name]
    lists = recommender.route_lists(route, test.queries, 300)
    found = recall_ceiling(Ragged.of([row[row >= 0] for row in lists]), test.targets, ns=(100, 300))
    return {
        "ndcg@10": float(ndcg(judge(lists, test.targets), 10).mean()),
        "recall@100": found["recall@100"],
        "recall@300": found["recall@300"],
        "request_ms": request_ms(route, test.queries.histories),
    }


def one_union(recommender: Recommender, names: Sequence[str], test: LabelledQueries) -> dict[str, float]:
    """Recall and number of the candidates of some routes, each with a share of the same 300 places.

    The depth of the routes is the largest of the steps of ten at which they propose 300 items at most on
    average, so that unions of few and many routes are compared at one cost of ranking.
    """
    routes = {name: recommender.routes[name] for name in names}
    best = {"depth": 0.0, "candidates": 0.0, "recall": 0.0}
    for depth in range(10, 310, 10):
        union = replace(recommender, routes=routes, union=UnionConfig(depth=depth))
        parts = [
            union.candidates(test.queries.take(np.arange(b.start, b.stop)))
            for b in union.blocks(test.queries)
        ]
        rows = Ragged.of([p.item_index[a:b] for p in parts for a, b in pairwise(p.offsets)])
        if (n := float(rows.lengths.mean())) > CANDIDATES:
            break
        recall = recall_ceiling(rows, test.targets)["recall@all"]
        best = {"depth": float(depth), "candidates": n, "recall": recall}
    return best


def request_ms(route: Route, histories: Histories) -> float:
    """Median milliseconds to score one history on one thread, after a warm-up."""
    seconds = []
    with threadpool_limits(1):
        for request in range(min(REQUESTS, len(histories)) + 1):
            one = histories.take(np.array([request % len(histories)]))
            start = perf_counter()
            route.score(one)
            seconds.append(perf_counter() - start)
    return round(1000 * float(np.median(seconds[1:])), 3)


def one_size(size: str) -> dict[str, Any]:
    """Fit every route on random events, in this process."""
    n_events, n_users, n_items = SIZES[size]
    events, facts = random_events(n_events, n_users, n_items)
    before = peak_mib()
    asked = Histories.of_rows(events, [np.flatnonzero(events.user_index == user) for user in range(20)])
    config, rows = RoutesConfig(), {}
    for name in ROUTE_TYPES:
        start, start_cpu = perf_counter(), process_time()
        route = config.knobs_of(name).fit_with_facts(events, facts, seed=7)
        fitted, fitted_cpu = perf_counter() - start, process_time() - start_cpu
        stored = sum(array.nbytes for array in route.arrays().values()) / 2**20
        rows[name] = {
            "fit_seconds": round(fitted, 2),
            "cpu_seconds": round(fitted_cpu, 2),
            "stored_mib": round(stored, 1),
            "request_ms": request_ms(route, asked),
            "peak_mib": peak_mib(),
        }
        print(f"{size} {name}: {rows[name]}", file=sys.stderr, flush=True)
        del route
    totals = {key: round(sum(row[key] for row in rows.values()), 1) for key in ("fit_seconds", "cpu_seconds")}
    return {
        "events": len(events),
        "users": n_users,
        "items": n_items,
        **totals,
        "data_peak_mib": before,
        "peak_mib": peak_mib(),
        "routes": rows,
    }


def random_events(n_events: int, n_users: int, n_items: int) -> tuple[Interactions, MovieFacts]:
    """One event per user and item, at most `n_events`, of users with one of twenty tastes; movies' facts.

    Activity and popularity follow power laws, as in real data: what is hard for a route is the few users
    and items with most of the events.
    """
    rng = np.random.default_rng(7)
    activity = rng.pareto(1.5, n_users) + 1
    user = np.repeat(np.arange(n_users), rng.multinomial(int(n_events * 1.35), activity / activity.sum()))
    genre = rng.integers(0, 20, n_items)
    popularity = 1 / (np.arange(n_items) + 20) ** 0.8
    draws = np.searchsorted(np.cumsum(popularity / popularity.sum()), rng.random(len(user)))
    own = rng.random(len(user)) < 0.5
    shifted = draws + (user % 20 - genre[draws]) % 20  # another item nearby, of the user's genre more often
    item = np.where(own, np.minimum(shifted, n_items - 1), draws)
    pair = np.unique(user.astype(np.int64) * n_items + item)
    pair = rng.permutation(pair)[:n_events]
    time_us = np.sort(rng.integers(0, DAYS * DAY_US, len(pair)))
    users, items = (
        Vocabulary(pl.Series("id", [f"{prefix}{number:07}" for number in range(n)]))
        for prefix, n in (("u", n_users), ("i", n_items))
    )
    events = Interactions(
        user_index=(pair // n_items).astype(np.int32),
        item_index=(pair % n_items).astype(np.int32),
        timestamp_us=time_us,
        value=np.full(len(pair), np.nan, np.float32),
        type_code=np.full(len(pair), schema.INTERACTION_TYPES.index("view"), np.uint8),
        users=users,
        items=items,
    )
    words = rng.integers(0, 5_000, (n_items, 30))
    printed = pl.DataFrame(
        {
            "movie_title": [" ".join(f"word{number}" for number in row) for row in words],
            schema.MOVIE_YEAR: rng.integers(1930, 2020, n_items).astype(np.float32),
            schema.MOVIE_GENRES: [[f"genre {number}"] for number in genre],
            schema.MOVIE_CAST: [
                [f"star {number}" for number in row] for row in rng.integers(0, 20_000, (n_items, 8))
            ],
        }
    )
    return events, MovieFacts.of(printed)


def peak_mib() -> float:
    """The most memory that this process has held, in MiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 0)


def measure_size(size: str) -> dict[str, Any]:
    """`one_size` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.routes", "--one-size", size]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def table(found: dict[str, Any]) -> str:
    """The results in Markdown."""
    lines = []
    if measured := found.get("quality"):
        lines += [
            f"ml-100k, temporal protocol, {measured['n_queries']} test queries, default knobs, one thread.",
            "",
            "| route | NDCG@10 | recall@100 | recall@300 | one request, ms |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {name} | {row['ndcg@10']:.4f} | {row['recall@100']:.3f} | {row['recall@300']:.3f}"
            f" | {row['request_ms']:.2f} |"
            for name, row in sorted(measured["routes"].items(), key=lambda pair: -pair[1]["ndcg@10"])
        ]
        lines += ["", f"Unions at up to {CANDIDATES} candidates a query:", ""]
        lines += ["| union | depth of each route | candidates | recall |", "|---|---|---|---|"]
        lines += [
            f"| {name} | {row['depth']:.0f} | {row['candidates']:.0f} | {row['recall']:.4f} |"
            for name, row in measured["unions"].items()
        ]
    for size in found["sizes"].values():
        lines += ["", *size_table(size)]
    return "\n".join(lines).strip() + "\n"


def size_table(size: dict[str, Any]) -> list[str]:
    """The lines of one size."""
    peak, before = (size[key] / 1024 for key in ("peak_mib", "data_peak_mib"))
    return [
        f"{size['events']:,} random events, {size['users']:,} users, {size['items']:,} items: all routes"
        f" fitted in {size['fit_seconds']:.0f} s ({size['cpu_seconds']:.0f} s of processor),"
        f" peak {peak:.1f} GiB ({before:.1f} of it before the first fit).",
        "",
        "| route | fit, s | of processor, s | stored, MiB | one request, ms | peak so far, MiB |",
        "|---|---|---|---|---|---|",
        *(
            f"| {name} | {row['fit_seconds']:.1f} | {row['cpu_seconds']:.1f} | {row['stored_mib']:.0f}"
            f" | {row['request_ms']:.2f} | {row['peak_mib']:.0f} |"
            for name, row in size["routes"].items()
        ),
    ]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="1m,10m", help=f"of {', '.join(SIZES)}; the empty string for none")
    parser.add_argument("--skip-quality", action="store_true", help="sizes only")
    parser.add_argument("--one-size", choices=SIZES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one_size:
        print(json.dumps(one_size(options.one_size)))
        return
    machine = describe_machine()
    found: dict[str, Any] = {"machine": machine}
    if not options.skip_quality:
        found["quality"] = quality(TrainingConfig())
    found["sizes"] = {size: measure_size(size) for size in options.sizes.split(",") if size}
    text = f"{table(found)}\nMachine: {in_words(machine)}.\n"
    keep(RESULTS, "routes", found, text)


if __name__ == "__main__":
    main()
