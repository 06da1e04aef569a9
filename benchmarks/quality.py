"""How well the models recommend on MovieLens-100k, temporal protocol, over three seeds.

    python -m benchmarks.quality
    python -m benchmarks.quality --seeds 7 --results build

Needs the data set (MARQUEE_DATA names where downloads are kept; the first run fetches it). Writes
quality.json, quality.md and quality.png: every model's metrics, seed by seed and on average, and the paired
intervals of the two-stage model against plain EASE and against the best single route.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, stdev
from time import perf_counter
from typing import Any

from matplotlib.figure import Figure

from benchmarks.kept import keep
from benchmarks.machine import describe_machine, in_words
from benchmarks.movielens import DATASET, prepared
from marquee.assessment import CHAMPION, EASE_PLAIN, HEADLINE, TWO_STAGE, UNION, Assessment
from marquee.config import TrainingConfig
from marquee.data.dataset import Dataset
from marquee.features.reader import StateReader
from marquee.training import train

SEEDS = (7, 11, 13)
METRICS = ("ndcg@10", "ndcg@1", "ndcg@12", "precision@12", "recall@10", "mrr@10", "coverage@10")
LABELS = {
    "two_stage": "two stages",
    "union": "union, unranked",
    "ease": "EASE, recency",
    "ease_plain": "EASE",
    "als": "implicit ALS",
}
RESULTS = Path(__file__).with_name("results")


def measure(dataset: Dataset, state: StateReader, seed: int) -> dict[str, Any]:
    """Train and measure with one seed."""
    print(f"seed {seed} …", file=sys.stderr, flush=True)
    start = perf_counter()
    assessment = train(dataset, TrainingConfig(seed=seed), state).assessment
    evaluation = assessment.evaluation
    return {
        "seed": seed,
        "n_queries": evaluation.n_queries,
        "models": {
            model: {label: round(float(means[label]), 5) for label in METRICS}
            for model, means in evaluation.means.items()
        },
        "intervals": {
            model: intervals[HEADLINE].to_dict() for model, intervals in evaluation.intervals.items()
        },
        "against": {
            "plain EASE": compare(assessment, EASE_PLAIN),
            "best single route": compare(assessment, best_route(assessment)),
        },
        "recall_ceiling": {name: round(value, 4) for name, value in assessment.recall_ceiling.items()},
        "gate_passed": assessment.gate.passed,
        "seconds": round(perf_counter() - start, 1),
    }


def best_route(assessment: Assessment) -> str:
    """The single route with the highest headline metric."""
    means = assessment.evaluation.means
    return max(means.keys() - {TWO_STAGE, UNION, CHAMPION}, key=lambda name: means[name][HEADLINE])


def compare(assessment: Assessment, reference: str) -> dict[str, Any]:
    """The two-stage model against a reference on the same users."""
    found = assessment.evaluation.comparisons[TWO_STAGE][reference][HEADLINE]
    return {"reference": reference, "metric": HEADLINE, **found.to_dict()}


def averages(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """Mean and standard deviation over the seeds, by model and metric."""
    return {
        model: {label: _spread([row["models"][model][label] for row in rows]) for label in METRICS}
        for model in rows[0]["models"]
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"mean": round(mean(values), 5), "sd": round(stdev(values), 5) if len(values) > 1 else 0.0}


def to_markdown(report: dict[str, Any]) -> str:
    """The report as two tables."""
    rows, means = report["seeds"], report["averages"]
    order = sorted(means, key=lambda model: means[model][HEADLINE]["mean"], reverse=True)
    lines = [
        f"# {DATASET}, temporal protocol, {rows[0]['n_queries']} users",
        "",
        f"{report['measured_at']}, {in_words(report['machine'])}. Mean ± standard deviation over the seeds"
        f" {', '.join(str(row['seed']) for row in rows)}; they change sampling, ties and training alike.",
        "",
        f"| model | {' | '.join(METRICS)} |",
        "| --- |" + " ---: |" * len(METRICS),
    ]
    for model in order:
        cells = [f"{means[model][label]['mean']:.4f} ± {means[model][label]['sd']:.4f}" for label in METRICS]
        lines.append(f"| {model} | {' | '.join(cells)} |")
    lines += [
        "",
        f"Two-stage against others on {HEADLINE}, paired 95 % bootstrap intervals over the users:",
        "",
        "| seed | two-stage | against | difference | lift | gate |",
        "| --- | ---: | --- | ---: | ---: | --- |",
        *(line for row in rows for line in _comparison_lines(row)),
    ]
    return "\n".join(lines) + "\n"


def _comparison_lines(row: dict[str, Any]) -> list[str]:
    own, verdict = row["models"][TWO_STAGE][HEADLINE], "passed" if row["gate_passed"] else "refused"
    lines = []
    for name, found in row["against"].items():
        difference, lift = found["difference"], found["lift"]
        lines.append(
            f"| {row['seed']} | {own:.4f} | {name} ({found['reference']})"
            f" | {difference['estimate']:+.4f} [{difference['low']:+.4f}, {difference['high']:+.4f}]"
            f" | {lift['estimate']:+.1%} [{lift['low']:+.1%}, {lift['high']:+.1%}] | {verdict} |"
        )
    return lines


def draw(report: dict[str, Any], path: Path) -> None:
    """Each model's headline metric with its interval over the users, for the first seed."""
    row = report["seeds"][0]
    found = sorted(row["intervals"].items(), key=lambda entry: entry[1]["estimate"])
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    axes = figure.subplots()
    for place, (model, interval) in enumerate(found):
        estimate, low, high = interval["estimate"], interval["low"], interval["high"]
        colour = "#0b6e4f" if model == TWO_STAGE else "#8a9a9a"
        axes.barh(place, estimate, color=colour, height=0.62)
        axes.plot([low, high], [place, place], color="#222222", linewidth=1.4)
        axes.text(high + 0.004, place, f"{estimate:.3f}", va="center", fontsize=9)
    axes.set_yticks(range(len(found)), [LABELS.get(model, model) for model, _ in found])
    axes.set_xlim(0, max(interval["high"] for _, interval in found) + 0.04)
    axes.set_xlabel(
        f"{HEADLINE.upper()} on {DATASET}, {row['n_queries']} users after the cut, 95 % intervals"
    )
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)


def main() -> None:
    """Measure each seed, write JSON, Markdown and a picture, print the Markdown."""
    parser = argparse.ArgumentParser(description="Quality on MovieLens-100k over seeds.")
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)), help="separated by commas")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of quality.json, .md and .png")
    arguments = parser.parse_args()
    dataset, state = prepared(TrainingConfig())
    rows = [measure(dataset, state, int(seed)) for seed in arguments.seeds.split(",")]
    report = {
        "dataset": DATASET,
        "snapshot": dataset.snapshot_id,
        "protocol": "temporal",
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "notes": list(dataset.notes),
        "averages": averages(rows),
        "seeds": rows,
    }
    keep(arguments.results, "quality", report, to_markdown(report))
    draw(report, arguments.results / "quality.png")


if __name__ == "__main__":
    main()
