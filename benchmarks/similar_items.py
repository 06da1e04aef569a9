"""Similar items by an index beside looking at each: what is found of the exact list, how fast, at what price.

    python -m benchmarks.similar_items
    python -m benchmarks.similar_items --results build --items 10000

The ALS factors of MovieLens-100k (data from MARQUEE_DATA, `./data`, fetched where absent), and made ones of
larger catalogues: 64 factors around 1,000 centres whose sizes fall as 1 ÷ rank. All ways answer the same
items in turns within one run, on one thread. Exact is what the product does without an index, and beside it
a product with unit vectors that are kept, the least that looking at each can cost.

Promised of the product's index: a recall of .95 at 10 and at 50, and at 100,000 items a shorter median than
exact. Writes similar_items.json and similar_items.md; the exit code is 1 where a promise is broken.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.kept import keep
from benchmarks.machine import describe_machine, in_words
from marquee.candidates.als import AlsConfig, ImplicitAls
from marquee.candidates.similar_index import SimilarConfig, SimilarIndex
from marquee.candidates.union import top_items
from marquee.config import TrainingConfig
from marquee.data.datasets.load import load_dataset
from marquee.data.datasets.prepare import prepare_dataset
from marquee.data.splits import consumed
from marquee.data.warehouse import Warehouse
from marquee.settings import Settings

RESULTS = Path(__file__).with_name("results")
FACTORS = 64
CENTRES = 1_000
QUERIES = 300
WARM_UP = 10
LENGTHS = (10, 50)
PROMISED_RECALL = 0.95
SAME = 1e-6
"""Cosines that differ by less are rounded otherwise, not less."""
LARGE = 100_000
EXACT = "exact (as without an index)"
KEPT = "exact, unit vectors kept"
PRODUCT = "HNSW (the product's)"
INDEXES = {
    PRODUCT: SimilarConfig(),
    "LSH, 256 bits": SimilarConfig(index="lsh", lsh_bits=256),
    "LSH, 1024 bits": SimilarConfig(index="lsh", lsh_bits=1_024),
}
Ask = Callable[[int, int], NDArray[np.int32]]


@dataclass(frozen=True)
class Way:
    """One way to a list of similar items, and what it cost to have it."""

    ask: Ask
    build_seconds: float = 0.0
    load_seconds: float = 0.0
    megabytes: float = 0.0


def of_movielens() -> ImplicitAls:
    """The product's ALS of all events of MovieLens-100k."""
    settings, now = Settings.from_environment(), datetime.now(UTC)
    warehouse = Warehouse(settings.warehouse("ml-100k"))
    config = TrainingConfig().dataset
    found = prepare_dataset("ml-100k", warehouse=warehouse, cache=settings.cache, now=now, config=config)
    events = consumed(load_dataset("ml-100k", warehouse, found.snapshot).interactions)
    return ImplicitAls.fit(events, AlsConfig(), seed=7)


def made(n_items: int, seed: int = 0) -> ImplicitAls:
    """Factors in groups of falling sizes, of lengths as different as popularities make them."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(CENTRES, FACTORS))
    share = 1 / np.arange(1, CENTRES + 1)
    group = rng.choice(CENTRES, n_items, p=share / share.sum())
    direction = centres[group] + rng.normal(scale=0.7, size=(n_items, FACTORS))
    factors = (direction * rng.lognormal(sigma=1, size=(n_items, 1))).astype(np.float32)
    return ImplicitAls(factors, np.ones(n_items, bool), 1.0, 1.0, None)


def ways(als: ImplicitAls) -> dict[str, Way]:
    """Every way, built."""
    unit = als.item_factors / np.linalg.norm(als.item_factors, axis=1, keepdims=True)

    def look_at_each(item: int, n: int) -> NDArray[np.int32]:
        return top_items(als.similar(item)[np.newaxis], n)[0]

    def multiply(item: int, n: int) -> NDArray[np.int32]:
        scores = unit @ unit[item]
        scores[item] = -np.inf
        best = np.argpartition(scores, -n)[-n:].astype(np.int32)
        return best[np.argsort(-scores[best])]

    found = {EXACT: Way(look_at_each), KEPT: Way(multiply, megabytes=unit.nbytes / 1e6)}
    return found | {name: indexed(als, config) for name, config in INDEXES.items()}


def indexed(als: ImplicitAls, config: SimilarConfig) -> Way:
    """One index, built, and read again as from a bundle."""
    hidden = np.zeros(len(als.known), bool)
    start = perf_counter()
    index = SimilarIndex.fit(als, config, seed=7)
    built = perf_counter()
    arrays = index.arrays()
    stored = perf_counter()
    again = SimilarIndex.from_arrays(als, arrays)
    loaded = perf_counter()

    def ask(item: int, n: int) -> NDArray[np.int32]:
        found = again.nearest(item, n, hidden=hidden)
        return np.empty(0, np.int32) if found is None else found.item_index

    size = sum(array.nbytes for array in arrays.values()) / 1e6
    return Way(ask, built - start, loaded - stored, size)


def recall(found: NDArray[np.float32], best: NDArray[np.float32], n: int) -> float:
    """Share of a list that is as like as the last of the exact one: of equally like items any will do.

    Of MovieLens many have the same one user, and so the same direction.
    """
    return np.count_nonzero(found >= best.min() - SAME) / n


def measure(name: str, als: ImplicitAls) -> dict[str, Any]:
    """All ways over the same items, in turns."""
    found = ways(als)
    asked = np.random.default_rng(1).choice(np.flatnonzero(als.known), QUERIES + WARM_UP).tolist()
    rows = {way: {"build_seconds": w.build_seconds, "load_seconds": w.load_seconds, "mb": w.megabytes}
            for way, w in found.items()}  # fmt: skip
    for n in LENGTHS:
        spent: dict[str, list[float]] = {way: [] for way in found}
        hits: dict[str, list[float]] = {way: [] for way in found}
        for turn, item in enumerate(asked):
            lists = {}
            for way, one in found.items():
                start = perf_counter()
                lists[way] = one.ask(item, n)
                if turn >= WARM_UP:
                    spent[way].append(perf_counter() - start)
            likeness = als.similar(item)
            for way, own in lists.items():
                hits[way].append(recall(likeness[own], likeness[lists[EXACT]], n))
        for way in found:
            rows[way][f"recall@{n}"] = float(np.mean(hits[way]))
            rows[way][f"ms_p50@{n}"] = float(np.median(spent[way])) * 1e3
            rows[way][f"ms_p99@{n}"] = float(np.quantile(spent[way], 0.99)) * 1e3
    rounded = [{"way": way, **{key: round(v, 4) for key, v in row.items()}} for way, row in rows.items()]
    return {
        "factors_of": name,
        "items": int(als.known.sum()),
        "width": als.item_factors.shape[1],
        "ways": rounded,
    }


def broken_promises(catalogues: list[dict[str, Any]]) -> list[str]:
    """What the product's index fails to keep, in words."""
    broken = []
    for catalogue in catalogues:
        rows = {row["way"]: row for row in catalogue["ways"]}
        own, exact = rows[PRODUCT], rows[EXACT]
        where = catalogue["factors_of"]
        for n in LENGTHS:
            if own[f"recall@{n}"] < PROMISED_RECALL:
                broken.append(f"{where}: recall@{n} {own[f'recall@{n}']:.3f} < {PROMISED_RECALL}")
            if catalogue["items"] >= LARGE and own[f"ms_p50@{n}"] >= exact[f"ms_p50@{n}"]:
                broken.append(f"{where}: median of lists of {n} no shorter than exact")
    return broken


def to_markdown(report: dict[str, Any]) -> str:
    """The tables."""
    lines = [
        "# Similar items",
        "",
        f"{report['measured_at']}, {in_words(report['machine'])}, one thread.",
        "",
    ]
    for catalogue in report["catalogues"]:
        lines += [
            f"## {catalogue['factors_of']}: {catalogue['items']:,} items × {catalogue['width']} factors",
            "",
            "| way | recall@10 | recall@50 | ms, list of 10: p50 | p99 | ms, list of 50: p50 | p99"
            " | build s | read s | index MB |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        ]
        for row in catalogue["ways"]:
            times = [f"{row[f'ms_{part}@{n}']:.3f}" for n in LENGTHS for part in ("p50", "p99")]
            recall = [f"{row[f'recall@{n}']:.3f}" for n in LENGTHS]
            cost = [f"{row['build_seconds']:.2f}", f"{row['load_seconds']:.3f}", f"{row['mb']:.1f}"]
            lines.append(f"| {' | '.join([row['way'], *recall, *times, *cost])} |")
        lines.append("")
    lines.append("Promises: " + ("; ".join(report["broken_promises"]) or "all kept") + ".")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure, print and write; 1 where a promise is broken."""
    parser = argparse.ArgumentParser(description="Similar items by an index beside looking at each.")
    parser.add_argument("--items", default="10000,100000", help="sizes of the made catalogues")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of similar_items.json and .md")
    arguments = parser.parse_args()
    with threadpool_limits(1):
        catalogues = [measure("ALS of MovieLens-100k", of_movielens())]
        catalogues += [measure("made", made(int(size))) for size in arguments.items.split(",")]
    report = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "queries": QUERIES,
        "catalogues": catalogues,
        "broken_promises": broken_promises(catalogues),
    }
    keep(arguments.results, "similar_items", report, to_markdown(report))
    return 1 if report["broken_promises"] else 0


if __name__ == "__main__":
    sys.exit(main())
