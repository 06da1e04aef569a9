"""Is what is served what was measured? `python -m benchmarks.serving_parity [--users 500] [--results build]`.

Users of MovieLens-100k, drawn with a seed, ask `python -m serving` for their home list as of a moment after
the last event. The same lists are made as `marquee evaluate` makes them: rows of users and movies by Feast's
point-in-time join (MARQUEE_DATA names where the feature state lies), all queries in one call of
`Recommender.recommend`. The latest run is served (MARQUEE_RUNS); it has to be one of MovieLens-100k.

Promised: all lists are equal, item by item and in their order. Writes serving_parity.{json,md}; exits with 1
where that is broken.
"""

import argparse
import json
import os
import sys
import tempfile
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from benchmarks.kept import keep
from benchmarks.load import MODEL
from benchmarks.machine import describe_machine, in_words
from benchmarks.served import DATASET, Served, served, storage_of
from marquee import schema
from marquee.adapters.feast.reader import FeastReader
from marquee.data.interactions import UNKNOWN_INDEX
from marquee.data.warehouse import Warehouse
from marquee.errors import MarqueeError
from marquee.feature_state import FeatureState
from marquee.features.context import DAY_US
from marquee.features.movie_states import read_movie_states
from marquee.features.user_rows import queries_of
from marquee.packing import Model
from marquee.run_folder import BUNDLE
from marquee.settings import Settings

RESULTS: Final = Path(__file__).with_name("results")
SEED: Final = 7
BATCH: Final = 50
N: Final = 12
PATIENCE_S: Final = 60


@dataclass(frozen=True)
class Made:
    """One user's list."""

    items: list[str]
    scores: list[float]


def users_of(settings: Settings, n: int) -> list[str]:
    """Users drawn from the warehouse with a seed."""
    events = Warehouse(settings.warehouse(DATASET)).scan_interactions()
    users = events.select(pl.col(schema.USER_ID).unique().sort()).collect().to_series()
    drawn = np.random.default_rng(SEED).choice(len(users), min(n, len(users)), replace=False)
    return users.gather(np.sort(drawn)).to_list()


def from_server(server: Served, users: Sequence[str], time_us: int) -> list[Made]:
    """The server's lists.

    Raises:
        SystemExit: an answer is degraded, so that it says nothing of this question.
    """
    stamp = datetime.fromtimestamp(time_us / 1e6, UTC).isoformat()
    made = []
    for start in range(0, len(users), BATCH):
        asks = [
            {"user_id": each, "n": N, "context": {"timestamp": stamp}}
            for each in users[start : start + BATCH]
        ]
        for answer in _predict(server, asks):
            if answer["degraded"]:
                raise SystemExit(
                    f"user {answer['user_id']} was answered without {answer['degraded_reasons']}"
                )
            items = answer["items"]
            made.append(Made([each["item_id"] for each in items], [each["score"] for each in items]))
    return made


def _predict(server: Served, asks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    request = urllib.request.Request(  # noqa: S310 - http, ours
        f"{server.url}/v1/models/{MODEL}:predict",
        data=json.dumps({"instances": asks}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310
        predictions: list[dict[str, Any]] = json.load(answer)["predictions"]
    return predictions


def from_evaluation(model: Model, reader: FeastReader, users: Sequence[str], time_us: int) -> list[Made]:
    """The lists of all users in one call, of rows that were read as evaluation reads them."""
    recommender, moments = model.recommender, np.full(len(users), time_us)
    rows = reader.users(pl.Series(users), moments)
    nobody = np.full(len(users), UNKNOWN_INDEX, np.int32)
    queries = queries_of(rows, user_index=nobody, time_us=moments, items=recommender.items)
    states = read_movie_states(reader, recommender.items, moments)
    with threadpool_limits(1, "blas"):  # as the server and evaluation have it
        lists = recommender.with_states(states).recommend(queries, N)
    return [
        Made(recommender.items.decode(items[items != UNKNOWN_INDEX]), scores[items != UNKNOWN_INDEX].tolist())
        for items, scores in zip(lists.item_index, lists.score, strict=True)
    ]


def compared(one: Sequence[Made], other: Sequence[Made]) -> dict[str, Any]:
    """How many lists are equal, how many have equal scores too, and the largest difference of a score."""
    pairs = list(zip(one, other, strict=True))
    same = [left.items == right.items for left, right in pairs]
    gaps = [
        max((abs(a - b) for a, b in zip(left.scores, right.scores, strict=True)), default=0.0)
        for (left, right), is_same in zip(pairs, same, strict=True)
        if is_same
    ]
    return {
        "users": len(pairs),
        "equal_lists": sum(same),
        "equal_scores": sum(gap == 0 for gap in gaps),
        "largest_score_gap": max(gaps, default=0.0),
        "different_lists_served": len({tuple(each.items) for each in one}),
        "items_per_list": float(np.mean([len(each.items) for each in one])),
    }


def measured(settings: Settings, n_users: int) -> dict[str, Any]:
    """Serve the latest run, make the same lists, compare.

    Raises:
        SystemExit: there is no run of the data set.
    """
    run = settings.runs / "latest"
    if storage_of(run) != DATASET:
        raise SystemExit(f"error: {run} is no run of {DATASET}: `marquee train {DATASET}` makes one")
    model = Model.read((run / BUNDLE).resolve())
    state = FeatureState.of(DATASET, settings, environment=os.environ)
    # The day that begins with the movies' state that the server holds: evaluation reads that state for it.
    time_us = int(model.recommender.catalogue.states.moments_us[-1]) + DAY_US // 2
    users = users_of(settings, n_users)
    with tempfile.TemporaryDirectory() as folder:
        options = ["--user_row_timeout_ms", "5000"]  # a busy machine is no slow store
        quiet = {"MARQUEE_EXPOSURES": "none"}
        with served(Path(folder, "log"), run.resolve(), *options, environment=quiet) as server:
            online = from_server(server, users, time_us)
    offline = from_evaluation(model, FeastReader(state.open()), users, time_us)
    return {"bundle_id": model.manifest.bundle_id, **compared(online, offline)}


def markdown(report: dict[str, Any]) -> str:
    """The table."""
    facts = report["figures"]
    rows = "\n".join(f"| {name.replace('_', ' ')} | {value} |" for name, value in facts.items())
    head = f"# Served lists beside evaluated ones\n\n{in_words(report['machine'])}"
    return f"{head}\n\n| | |\n| --- | --- |\n{rows}\n"


def main() -> int:
    """Measure, write, judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=500)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    try:
        figures = measured(Settings.from_environment(), arguments.users)
    except MarqueeError as error:
        raise SystemExit(f"error: {error.problem}\n{error.remedy}") from error
    report = {"machine": describe_machine(), "seed": SEED, "figures": figures}
    keep(arguments.results, "serving_parity", report, markdown(report))
    return int(figures["equal_lists"] < figures["users"])


if __name__ == "__main__":
    sys.exit(main())
