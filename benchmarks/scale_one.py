"""One size of `benchmarks.scale`, in this process: `python -m benchmarks.scale_one SIZE [PROFILE]`.

Apart from its parent, so that the peak of memory is its own. The last line printed is the result.
"""

import cProfile
import json
import sys
import tempfile
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from marquee.config import TrainingConfig
from marquee.data.datasets.fetch import fetch_dataset
from marquee.data.datasets.prepare import prepare_dataset
from marquee.data.warehouse import Warehouse
from marquee.observing import SilentObserver
from marquee.run import run_training
from marquee.settings import Settings

SIZES: dict[str, tuple[int, int, int]] = {
    "20k": (20_000, 150, 300),
    "100k": (100_000, 2_000, 1_000),
    "1m": (1_000_000, 20_000, 5_000),
    "5m": (5_000_000, 60_000, 8_000),
    "10m": (10_000_000, 100_000, 20_000),
}
"""Events, users, items."""


def measure(size: str, work: Path) -> dict[str, Any]:
    """Generate, ingest and train one size in this process."""
    events, users, items = SIZES[size]
    generated = {"n_events": events, "n_users": users, "n_items": items}
    config = TrainingConfig.from_values({"dataset": {"synthetic": generated}}, where=size)
    settings = Settings(data=work / "data", runs=work / "runs")
    now = datetime.now(UTC)
    start = perf_counter()
    fetch_dataset("synthetic", cache=settings.cache, config=config.dataset)
    made = perf_counter()
    warehouse = Warehouse(settings.warehouse("synthetic"))
    prepare_dataset("synthetic", warehouse=warehouse, cache=settings.cache, now=now, config=config.dataset)
    ingested = perf_counter()
    summary = run_training("synthetic", config, settings, now=now, observer=SilentObserver())
    return {
        "size": size,
        "events": events,
        "users": users,
        "items": items,
        "generate_seconds": round(made - start, 2),
        "ingest_seconds": round(ingested - made, 2),
        "training_seconds": round(perf_counter() - ingested, 2),
        "stage_seconds": summary.metrics["seconds"],
        "peak_rss_mb": summary.metrics["peak_rss_mb"],
        "ndcg@10": {
            model: round(values["ndcg@10"], 4) for model, values in summary.metrics["models"].items()
        },
    }


def main() -> None:
    """Measure in a temporary folder and print the result for the parent."""
    size, profile = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
    profiler = cProfile.Profile() if profile else None
    with tempfile.TemporaryDirectory() as work, profiler or nullcontext():
        found = measure(size, Path(work))
    if profiler is not None and profile:
        profiler.dump_stats(profile)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
