"""What one list costs in a warm process: `python -m benchmarks.recommend_speed [--results build]`.

Trains on MovieLens-100k with the defaults, then asks for the list of 12 of each test user, one query at a
time on one thread, as a server does; the user's row is already read. Steps of a request are measured in
turns with the whole, so that a busy machine is busy for all of them; the CPU's time stands beside the
clock's. Counts how often a quick reason names the item that `explain` names. Writes
recommend_speed.{json,md}; exits with 1 where the promise is broken.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, Final

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.kept import keep
from benchmarks.machine import describe_machine, in_words
from benchmarks.movielens import prepared
from marquee.config import TrainingConfig
from marquee.data.histories import LabelledQueries, Queries
from marquee.data.splits import consumed, temporal_split
from marquee.explain.impersonal import Basis
from marquee.explain.quick import best_routes, quick_reasons
from marquee.explain.reasons import Reason, explain
from marquee.observing import SilentObserver, StageClock
from marquee.recommend import Answer, Recommender
from marquee.training import FirstStage, learn

N: Final = 12
ROUNDS: Final = 4
PROMISED_MS: Final = {"p50": 4.0, "p99": 10.0}
WHOLE: Final = f"recommend: the list of {N}"
RESULTS: Final = Path(__file__).with_name("results")
Step = Callable[[Queries], object]


def trained() -> tuple[Recommender, LabelledQueries]:
    """The measured model, with the movies' state of one night as a server holds it, and its test queries."""
    config = TrainingConfig()
    dataset, state = prepared(config)
    events = consumed(dataset.interactions)
    split = temporal_split(events, config.temporal, seed=config.seed)
    stage = FirstStage.of(dataset, config, state)
    recommender, test = stage.ask(learn(split, stage, StageClock(SilentObserver()))[0], split.test, events)
    states = recommender.catalogue.states
    newest = replace(states, moments_us=states.moments_us[-1:], matrix=states.matrix[-1:])
    return recommender.with_states(newest), test


def steps(recommender: Recommender) -> dict[str, Step]:
    """By name, what is done with a query."""
    found: dict[str, Step] = {
        WHOLE: lambda query: recommender.recommend(query, N),
        "first stage alone": recommender.candidates,
        "first stage and features": recommender.propose,
        "the list and its quick reasons": lambda query: quickly_explained(recommender, query),
        "the list and its reasons": lambda query: explain(
            recommender, query, recommender.recommend(query, N)
        ),
    }
    return found | {
        f"route {name}": lambda query, route=route: recommender.route_scores(route, query)
        for name, route in recommender.routes.items()
    }


def quickly_explained(recommender: Recommender, query: Queries) -> tuple[Answer, list[Reason], list[str]]:
    """The list as a server gives it, with the route and the reason of each item."""
    answer = recommender.answer(query, N)
    return answer, quick_reasons(recommender, query, answer), best_routes(recommender, answer)


def agreement(recommender: Recommender, queries: list[Queries]) -> dict[str, float]:
    """Share of listed items for which each way of explaining names a watched one, and how often the same."""
    pairs: list[tuple[Reason, Reason]] = []
    for query in queries:
        answer, quick, _ = quickly_explained(recommender, query)
        pairs += zip(quick, explain(recommender, query, answer.lists)[0], strict=True)
    both = [(left, right) for left, right in pairs if left.basis == right.basis == Basis.WATCHED]
    return {
        "items": len(pairs),
        "quick_names": float(np.mean([left.basis == Basis.WATCHED for left, _ in pairs])),
        "explain_names": float(np.mean([right.basis == Basis.WATCHED for _, right in pairs])),
        "same_where_both_name": float(np.mean([left.items == right.items for left, right in both])),
    }


def measure(found: dict[str, Step], queries: list[Queries]) -> list[dict[str, Any]]:
    """Each step for all queries, then the next step, in rounds; the first round warms up."""
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in found}
    for turn in range(ROUNDS):
        for name, step in found.items():
            for query in queries:
                clock, cpu = perf_counter(), process_time()
                step(query)
                if turn:
                    spent[name].append((perf_counter() - clock, process_time() - cpu))
    return [{"step": name, **_quantiles(np.array(times) * 1e3)} for name, times in spent.items()]


def _quantiles(milliseconds: np.ndarray) -> dict[str, float]:
    clock, cpu = milliseconds.T
    return {
        f"{what}_{label}": round(float(np.quantile(values, share)), 3)
        for what, values in (("ms", clock), ("cpu_ms", cpu))
        for label, share in (("p50", 0.5), ("p99", 0.99))
    }


def to_markdown(report: dict[str, Any]) -> str:
    """The report as a table."""
    lines = [
        f"# One request of MovieLens-100k: {report['candidates']:.0f} candidates, one thread",
        "",
        f"{report['measured_at']}, {in_words(report['machine'])}. {report['requests']} requests of"
        f" {report['history']:.0f} known events on average, in turns.",
        "",
        "| step | p50, ms | p99, ms | CPU p50, ms | CPU p99, ms |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(
            f"| {row['step']} | {row['ms_p50']:.2f} | {row['ms_p99']:.2f} | {row['cpu_ms_p50']:.2f}"
            f" | {row['cpu_ms_p99']:.2f} |"
            for row in report["steps"]
        ),
    ]
    same = report["agreement"]
    lines += [
        "",
        f"Of {same['items']} listed items the quick reasons name a watched one for"
        f" {same['quick_names']:.0%}, `explain` for {same['explain_names']:.0%}; where both do, it is the"
        f" same for {same['same_where_both_name']:.0%}.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train, measure, write, print; exit with 1 where the promise is broken."""
    parser = argparse.ArgumentParser(description="What one list costs in a warm process.")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    recommender, test = trained()
    queries = [test.queries.take(np.array([at])) for at in range(len(test))]
    with threadpool_limits(1):
        sizes = [len(recommender.candidates(query).item_index) for query in queries]
        rows = measure(steps(recommender), queries)
    report = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "candidates": float(np.mean(sizes)),
        "history": float(test.queries.histories.lengths.mean()),
        "requests": (ROUNDS - 1) * len(queries),
        "steps": rows,
        "agreement": agreement(recommender, queries),
    }
    keep(given.results, "recommend_speed", report, to_markdown(report))
    whole = next(row for row in rows if row["step"] == WHOLE)
    if broken := [label for label, most in PROMISED_MS.items() if whole[f"ms_{label}"] > most]:
        raise SystemExit(f"slower than promised: {', '.join(broken)}")


if __name__ == "__main__":
    main()
