"""Milliseconds that a ranker takes for the candidates of one request, each booster asked in its ways.

    python -m benchmarks.ranker_speed
    python -m benchmarks.ranker_speed --results build

Both boosters learn with the product's defaults on made rows of the product's shape. All ways are measured
in turns within one run, so that a busy machine is busy for all of them; the CPU's time stands beside the
clock's. Compiled trees are measured where their libraries are installed: `pip install treelite tl2cgen`.
Writes ranker_speed.json and ranker_speed.md.
"""

import argparse
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import numpy as np
import xgboost as xgb

from benchmarks.kept import keep
from benchmarks.machine import describe_machine, in_words
from marquee.config import TrainingConfig
from marquee.ranking.lightgbm import LightGbmRanker
from marquee.ranking.ranker import TrainingSet
from marquee.ranking.xgboost import XgBoostRanker

ROWS = 300
FEATURES = 65
QUERIES = 200
WARM_UP = 20
RESULTS = Path(__file__).with_name("results")
Way = Callable[[], np.ndarray]


def made_rows(seed: int = 0) -> TrainingSet:
    """Noisy rows of which a few columns and a product of two tell something; some values are unknown."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(QUERIES * ROWS, FEATURES)).astype(np.float32)
    signal = features[:, 1] + features[:, 2] * features[:, 3] + rng.normal(size=len(features))
    features[rng.random(features.shape) < 0.05] = np.nan
    sizes = np.full(QUERIES, ROWS, np.int32)
    names = tuple(f"feature_{number}" for number in range(FEATURES))
    return TrainingSet(features, (signal > 2).astype(np.int8), sizes, names)


def ways(folder: Path) -> dict[str, tuple[str, Way]]:
    """By name: the booster, and how its scores of one request are had."""
    config, training = TrainingConfig().ranker, made_rows()
    rows = training.features[:ROWS].copy()
    light = LightGbmRanker.fit(training, config.lightgbm, seed=1)
    extreme = XgBoostRanker.fit(training, config.xgboost, seed=1)
    names = list(training.feature_names)
    found: dict[str, tuple[str, Way]] = {
        "LightGBM, all threads": ("lightgbm", lambda: light.booster.predict(rows, raw_score=True)),
        "LightGBM, one thread (ours)": ("lightgbm", lambda: light.score(rows)),
        "XGBoost, DMatrix": (
            "xgboost",
            lambda: extreme.booster.predict(xgb.DMatrix(rows, feature_names=names), output_margin=True),
        ),
        "XGBoost, in place, one thread (ours)": ("xgboost", lambda: extreme.score(rows)),
    }
    if find_spec("treelite"):
        import treelite  # noqa: PLC0415 - where it is installed

        model = treelite.frontend.from_lightgbm(light.booster)
        found["LightGBM by treelite's GTIL"] = (
            "lightgbm",
            lambda: treelite.gtil.predict(model, rows, nthread=1, pred_margin=True).ravel(),
        )
        if find_spec("tl2cgen"):
            found["LightGBM compiled by tl2cgen"] = ("lightgbm", compiled(model, rows, folder))
    return found


def compiled(model: Any, rows: np.ndarray, folder: Path) -> Way:  # noqa: ANN401 - a library of choice
    """Trees as machine code; needs a C compiler here, and where they are to serve."""
    import tl2cgen  # noqa: PLC0415 - where it is installed

    start = perf_counter()
    tl2cgen.export_lib(model, toolchain="gcc", libpath=str(folder / "trees.so"), params={"parallel_comp": 2})
    print(f"compiled in {perf_counter() - start:.1f} s")
    predictor = tl2cgen.Predictor(str(folder / "trees.so"), nthread=1)
    doubles = rows.astype(np.float64)
    return lambda: predictor.predict(tl2cgen.DMatrix(doubles), pred_margin=True).ravel()


def measure(found: dict[str, tuple[str, Way]], runs: int) -> list[dict[str, Any]]:
    """Each way `runs` times, in turns."""
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in found}
    for turn in range(runs + WARM_UP):
        for name, (_, way) in found.items():
            clock, cpu = perf_counter(), process_time()
            way()
            if turn >= WARM_UP:
                spent[name].append((perf_counter() - clock, process_time() - cpu))
    scores = {name: np.asarray(way(), np.float64) for name, (_, way) in found.items()}
    reference = {booster: scores[name] for name, (booster, _) in found.items() if "ours" in name}
    return [
        {
            "way": name,
            "ms_p50": round(float(np.median([clock for clock, _ in spent[name]])) * 1e3, 3),
            "ms_p99": round(float(np.quantile([clock for clock, _ in spent[name]], 0.99)) * 1e3, 3),
            "cpu_ms_p50": round(float(np.median([cpu for _, cpu in spent[name]])) * 1e3, 3),
            "largest_difference": float(np.abs(scores[name] - reference[booster]).max()),
        }
        for name, (booster, _) in found.items()
    ]


def to_markdown(report: dict[str, Any]) -> str:
    """The report as a table."""
    lines = [
        f"# {ROWS} rows of {FEATURES} features, the default number of trees",
        "",
        f"{report['measured_at']}, {in_words(report['machine'])}. {report['runs']} runs of each, in turns.",
        "",
        "| way | p50, ms | p99, ms | CPU p50, ms | largest difference in score |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(
            f"| {row['way']} | {row['ms_p50']:.2f} | {row['ms_p99']:.2f} | {row['cpu_ms_p50']:.2f}"
            f" | {row['largest_difference']:.1e} |"
            for row in report["ways"]
        ),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, write JSON and Markdown, print the Markdown."""
    parser = argparse.ArgumentParser(description="Speed of the rankers for one request.")
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of ranker_speed.json and .md")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        rows = measure(ways(Path(folder)), arguments.runs)
    report = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "runs": arguments.runs,
        "ways": rows,
    }
    keep(arguments.results, "ranker_speed", report, to_markdown(report))


if __name__ == "__main__":
    main()
