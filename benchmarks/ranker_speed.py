"""What the scores of one request cost, each booster asked in all its ways, and by other libraries.

    python -m benchmarks.ranker_speed
    python -m benchmarks.ranker_speed --results build

Trains both boosters on MovieLens-100k with the defaults, then scores the real rows of the test users'
requests on one thread. All ways are measured in turns with the whole `recommend()`, so that a busy machine
is busy for all of them; the CPU's time stands beside the clock's. A library of `ranker_ways` that is not
installed is left out, and a line says so: to measure them all,

    pip install treelite tl2cgen lleaves "llvmlite<0.45" onnxruntime onnxmltools scikit-learn-intelex

into an environment of its own, which sees that of the product. Writes ranker_speed.{json,md}.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any, Final

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.kept import keep
from benchmarks.machine import describe_machine, in_words
from benchmarks.movielens import prepared
from benchmarks.ranker_ways import Rows, Trees, Way, left_out, other_ways, own_ways, versions
from marquee.config import TrainingConfig
from marquee.data.histories import LabelledQueries, Queries
from marquee.data.splits import consumed, temporal_split
from marquee.ranking.lightgbm import LightGbmRanker
from marquee.ranking.xgboost import XgBoostRanker
from marquee.recommend import Recommender
from marquee.training import FirstStage, collect_training_set

N: Final = 12
ROUNDS: Final = 4
IN_A_ROW: Final = 35
"""Requests of one way before the next one's turn."""
WHOLE: Final = f"recommend: the list of {N}"
RESULTS: Final = Path(__file__).with_name("results")
Spent = Mapping[str, np.ndarray]
"""By name, clock and CPU of each call in ms, `(n_calls, 2)`."""


@dataclass(frozen=True, eq=False)
class Requests:
    """What is asked, and the rows that the ranker is given."""

    recommender: Recommender
    queries: list[Queries]
    rows: list[Rows]

    @classmethod
    def of(cls, recommender: Recommender, test: LabelledQueries) -> "Requests":
        """The requests of all test users."""
        queries = [test.queries.take(np.array([at])) for at in range(len(test))]
        return cls(recommender, queries, [recommender.propose(query)[1] for query in queries])


def trained(folder: Path) -> tuple[Trees, Requests]:
    """Both boosters on the product's training set, and the test users' requests to the first stage."""
    config = TrainingConfig()
    dataset, state = prepared(config)
    events = consumed(dataset.interactions)
    split = temporal_split(events, config.temporal, seed=config.seed)
    stage = FirstStage.of(dataset, config, state)
    training = collect_training_set(split.train, stage)
    light = LightGbmRanker.fit(training, config.ranker.lightgbm, seed=config.seed)
    extreme = XgBoostRanker.fit(training, config.ranker.xgboost, seed=config.seed)
    recommender = stage.fit(split.train, until_us=split.cut_us).with_ranker(light)
    recommender, test = stage.ask(recommender, split.test, events)
    return Trees(light, extreme, folder), Requests.of(recommender, test)


def measure(ways: list[Way], requests: Requests) -> Spent:
    """Each way for a few requests, then the next, in rounds; the first round warms up."""
    calls: dict[str, tuple[Callable[[Any], object], list[Any]]] = {
        WHOLE: (lambda query: requests.recommender.recommend(query, N), list(requests.queries)),
        **{way.name: (way.score, list(requests.rows)) for way in ways},
    }
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    turns = [(turn, at) for turn in range(ROUNDS) for at in range(0, len(requests.rows), IN_A_ROW)]
    for turn, at in turns:
        for name, (call, asked) in calls.items():
            for each in asked[at : at + IN_A_ROW]:
                clock, cpu = perf_counter(), process_time()
                call(each)
                if turn:
                    spent[name].append((perf_counter() - clock, process_time() - cpu))
    return {name: np.array(times) * 1e3 for name, times in spent.items()}


def judged(ways: list[Way], requests: Requests, spent: Spent) -> list[dict[str, Any]]:
    """A row a way: its time, what a request would save by it, and how far its scores are from ours."""
    ours = {way.booster: way for way in ways if way.is_ours}
    whole = float(np.median(spent[WHOLE][:, 1]))
    found = []
    for way in ways:
        reference, own = ours[way.booster], float(np.median(spent[way.name][:, 1]))
        usual = float(np.median(spent[reference.name][:, 1]))
        found.append({
            "way": way.name,
            "booster": way.booster,
            "is_ours": way.is_ours,
            **quantiles(spent[way.name]),
            "times_ours": round(own / usual, 2),
            "saved_share_of_request": round((usual - own) / whole, 3),
            "largest_difference": max(_difference(way, reference, rows) for rows in requests.rows),
        })  # fmt: skip
    return found


def _difference(way: Way, reference: Way, rows: Rows) -> float:
    scores = np.asarray(way.score(rows), np.float64)
    return float(np.abs(scores - np.asarray(reference.score(rows), np.float64)).max())


def quantiles(milliseconds: np.ndarray) -> dict[str, float]:
    """Middle and tail of the clock's and the CPU's time."""
    clock, cpu = milliseconds.T
    return {
        f"{what}_{label}": round(float(np.quantile(values, share)), 3)
        for what, values in (("ms", clock), ("cpu_ms", cpu))
        for label, share in (("p50", 0.5), ("p99", 0.99))
    }


def to_markdown(report: dict[str, Any]) -> str:
    """The report as a table."""
    whole = report["whole"]
    named = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    without = f" Not installed: {', '.join(report['left_out'])}." if report["left_out"] else ""
    lines = [
        f"# Scores of one request: {report['candidates']:.0f} candidates × {report['features']} features,"
        " one thread",
        "",
        f"{report['measured_at']}, {in_words(report['machine'])}. {report['requests']} requests of each way,"
        f" in turns; {named}. Ours in bold. The whole list of {N} by LightGBM takes"
        f" {whole['ms_p50']:.2f} ms (p99 {whole['ms_p99']:.2f}), of CPU {whole['cpu_ms_p50']:.2f}; the"
        f" last but one column is the share of that which a request would save.{without}",
        "",
        "| way | p50, ms | p99, ms | CPU p50, µs | × ours | saved of the request | largest difference |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        *map(_line, report["ways"]),
    ]
    return "\n".join(lines) + "\n"


def _line(row: dict[str, Any]) -> str:
    name = f"**{row['way']}**" if row["is_ours"] else row["way"]
    return (
        f"| {name} | {row['ms_p50']:.2f} | {row['ms_p99']:.2f} | {row['cpu_ms_p50'] * 1e3:.0f}"
        f" | {row['times_ours']:.2f} | {row['saved_share_of_request']:+.0%}"
        f" | {row['largest_difference']:.1e} |"
    )


def main() -> None:
    """Train, measure, write JSON and Markdown, print the Markdown."""
    parser = argparse.ArgumentParser(description="Speed of the rankers for one request.")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of ranker_speed.json and .md")
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        trees, requests = trained(Path(folder))
        ways = [*own_ways(trees), *other_ways(trees)]
        with threadpool_limits(1, "blas"):  # the trees' threads are what is measured
            spent = measure(ways, requests)
        rows = judged(ways, requests, spent)
    report = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "versions": versions(),
        "left_out": left_out(),
        "candidates": float(np.mean([len(rows) for rows in requests.rows])),
        "features": trees.n_features,
        "requests": len(spent[WHOLE]),
        "whole": quantiles(spent[WHOLE]),
        "ways": rows,
    }
    keep(given.results, "ranker_speed", report, to_markdown(report))


if __name__ == "__main__":
    main()
