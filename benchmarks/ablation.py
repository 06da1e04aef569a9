"""What each feature view is worth on ml-100k: `python -m benchmarks.ablation [--seeds 7 11 13]`.

Through the feature store, as `make run` does. Writes benchmarks/results/ablation.{json,md}; the feature
report shows it: `marquee features report --ablation benchmarks/results/ablation.json`.
"""

import argparse
from pathlib import Path

from benchmarks.machine import describe_machine, in_words
from benchmarks.movielens import prepared
from marquee.ablation import ablate
from marquee.config import TrainingConfig
from marquee.features.report.ablation import Ablation

RESULTS = Path(__file__).parent / "results"


def measure(seeds: list[int]) -> Ablation:
    """Prepare the data set and its feature store, and ablate."""
    config = TrainingConfig()
    dataset, state = prepared(config)
    return ablate(
        dataset,
        config,
        state,
        seeds=seeds,
        on_progress=lambda done, total: print(f"\r{done:.0f} of {total:.0f} rankers", end="", flush=True),
    )


def table(found: Ablation) -> str:
    """The result in Markdown."""
    full = found.full
    rows = {f"`{view}`": measured for view, measured in found.without.items()}
    if found.frozen:
        rows["nothing, but the movies' state is frozen at the cut"] = found.frozen
    lines = [
        f"NDCG@10 of the two-stage, ml-100k, temporal protocol, {found.n_queries} queries, mean of seeds "
        f"{', '.join(map(str, found.seeds))}; paired bootstrap 95 % intervals over queries.",
        "",
        "| without | NDCG@10 | difference | 95 % |",
        "|---|---|---|---|",
        f"| nothing | {full.mean:.4f} | | {full.low:.4f} … {full.high:.4f} |",
    ]
    for name, each in sorted(rows.items(), key=lambda row: row[1].difference):
        lines.append(
            f"| {name} | {each.mean:.4f} | {each.difference:+.4f} | {each.low:+.4f} … {each.high:+.4f} |"
        )
    lines += [
        "",
        "Publicity counts as known since each movie's release although it was observed in 2026: hindsight."
        " The row without `movie_publicity` is the figure without it.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[7, 11, 13])
    machine = describe_machine()
    found = measure(parser.parse_args().seeds).model_copy(update={"machine": machine})
    text = f"{table(found)}\nMachine: {in_words(machine)}.\n"
    print(f"\n{text}")
    (RESULTS / "ablation.json").write_text(found.model_dump_json(indent=2) + "\n", encoding="utf-8")
    (RESULTS / "ablation.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
