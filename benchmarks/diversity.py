"""What lists that differ within themselves cost in NDCG: maximal marginal relevance, MovieLens-100k.

    python -m benchmarks.diversity
    python -m benchmarks.diversity --relevance 1,0.9 --results build

One model is trained on the temporal protocol's past; all λ re-rank its very candidates, for the same users.
Writes diversity.json and diversity.md. Diversity is that of `marquee.evaluation.list_metrics`: one minus the
mean cosine over the pairs of a list, once by genres and once by people. The price is a paired difference
with its 95 % bootstrap interval. The default of λ is 1: no re-rank.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from benchmarks.kept import keep
from benchmarks.machine import describe_machine, in_words
from benchmarks.movielens import DATASET, prepared
from marquee.config import TrainingConfig
from marquee.data.histories import LabelledQueries
from marquee.data.splits import consumed, temporal_split
from marquee.evaluation.list_metrics import coverage, intra_list_diversity
from marquee.evaluation.ranking_metrics import ndcg
from marquee.evaluation.relevance import judge
from marquee.evaluation.significance import difference_interval
from marquee.observing import SilentObserver, StageClock
from marquee.policy.diversity import DiversityConfig
from marquee.policy.rules import PolicyConfig
from marquee.recommend import Recommender
from marquee.training import FirstStage, learn

K = 12
RELEVANCE = (1.0, 0.98, 0.95, 0.9, 0.8, 0.7, 0.5)
RESULTS = Path(__file__).with_name("results")


def model_and_test(seed: int) -> tuple[Recommender, LabelledQueries]:
    """Both stages of the past, and what they are asked."""
    config = TrainingConfig(seed=seed)
    dataset, state = prepared(config)
    events = consumed(dataset.interactions)
    split = temporal_split(events, config.temporal, seed=seed)
    first_stage = FirstStage.of(dataset, config, state)
    return first_stage.ask(learn(split, first_stage, StageClock(SilentObserver()))[0], split.test, events)


def measure(
    recommender: Recommender, test: LabelledQueries, relevance: Sequence[float]
) -> list[dict[str, Any]]:
    """One row for each λ; the first is the reference."""
    movies = recommender.catalogue.movies
    reference: np.ndarray | None = None
    rows = []
    for weight in relevance:
        rules = PolicyConfig(diversity=DiversityConfig(relevance=weight))
        start = process_time()
        lists = replace(recommender, policy=rules).recommend(test.queries, K).item_index
        seconds = process_time() - start
        values = ndcg(judge(lists, test.targets), K)
        reference = values if reference is None else reference
        price = difference_interval(values, reference, seed=0)
        rows.append(
            {
                "relevance": weight,
                f"ndcg@{K}": round(float(values.mean()), 5),
                "against_no_rerank": price.to_dict(),
                "genre_diversity": round(float(np.nanmean(intra_list_diversity(lists, movies.genres))), 5),
                "people_diversity": round(float(np.nanmean(intra_list_diversity(lists, movies.people))), 5),
                "coverage": round(coverage(lists, len(recommender.items)), 5),
                "cpu_ms_per_list": round(1e3 * seconds / len(test), 3),
            }
        )
    return rows


def to_markdown(report: dict[str, Any]) -> str:
    """The report as a table."""
    lines = [
        f"# Diversity re-rank on {DATASET}, temporal protocol, {report['n_queries']} users, lists of {K}",
        "",
        f"{report['measured_at']}, {in_words(report['machine'])}. Seed {report['seed']}; λ = 1 is no re-rank."
        " The difference in NDCG is paired over the users, with its 95 % bootstrap interval.",
        "",
        f"| λ | NDCG@{K} | difference | diversity, genres | diversity, people | coverage | CPU, ms a list |",
        "| ---: | ---: | --- | ---: | ---: | ---: | ---: |",
        *(
            f"| {row['relevance']:g} | {row[f'ndcg@{K}']:.4f} | {_interval(row['against_no_rerank'])}"
            f" | {row['genre_diversity']:.4f} | {row['people_diversity']:.4f} | {row['coverage']:.3f}"
            f" | {row['cpu_ms_per_list']:.2f} |"
            for row in report["rows"]
        ),
    ]
    return "\n".join(lines) + "\n"


def _interval(found: dict[str, float]) -> str:
    return f"{found['estimate']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}]"


def main() -> None:
    """Measure, write JSON and Markdown, print the Markdown."""
    parser = argparse.ArgumentParser(description="Price and gain of the diversity re-rank.")
    parser.add_argument("--relevance", default=",".join(map(str, RELEVANCE)), help="λ, the reference first")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of diversity.json and .md")
    arguments = parser.parse_args()
    recommender, test = model_and_test(arguments.seed)
    report = {
        "dataset": DATASET,
        "protocol": "temporal",
        "seed": arguments.seed,
        "n_queries": len(test),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "rows": measure(recommender, test, [float(each) for each in arguments.relevance.split(",")]),
    }
    keep(arguments.results, "diversity", report, to_markdown(report))


if __name__ == "__main__":
    main()
