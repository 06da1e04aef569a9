"""Does the loop earn its keep? Replays of MovieLens-100k and of the generator's data under four policies.

    python -m benchmarks.replay
    python -m benchmarks.replay --datasets ml-100k --still 1 --results build

For each data set: the real order under never, timer:7d, every-window and drift; then streams without drift by
construction, the same people at random times, with shocks in them; then such streams without shocks, where
each training that the drift policy orders is a false alarm. Writes replay.json and replay.md, anew after
each part.
"""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any, Final

from benchmarks.kept import keep
from benchmarks.machine import describe_machine, in_words
from marquee.monitoring.decision import Decision
from marquee.monitoring.drift_config import DriftPolicyConfig
from marquee.monitoring.drift_policy import DriftState, Observation, decide
from marquee.observing import SilentObserver
from marquee.replay.run import Replay
from marquee.replay.start import Wanted, replay_dataset
from marquee.settings import Settings

RESULTS: Final = Path(__file__).with_name("results")
POLICIES: Final = ("never", "timer:7d", "every-window", "drift")
LAYOUTS: Final = (
    ("null_column@3+2", "genre_surge@6", "broken_model@13"),
    ("scale@3+2", "influx@6", "title_surge@12"),
)
"""Far enough apart that one is over, with its cooldown, before the next."""
THRESHOLDS: Final = (3.0, 3.5, 4.0, 4.5)


def replayed(place: Settings, wanted: Wanted) -> tuple[Path, Replay, dict[str, float]]:
    """One replay and what it took."""
    begin, cpu = perf_counter(), process_time()
    folder, found = replay_dataset(wanted, place, now=datetime.now(UTC), observer=SilentObserver())
    took = {"wall_s": round(perf_counter() - begin, 1), "cpu_s": round(process_time() - cpu, 1)}
    return folder, found, took


def in_order(place: Settings, dataset: str, seed: int) -> dict[str, Any]:
    """The real weeks under four policies."""
    _, found, took = replayed(place, Wanted(dataset, POLICIES, seed=seed))
    steps = [
        {"policy": walk.policy, "window": step.window, "users": step.users, "ndcg": round(step.ndcg, 4),
         "verdict": step.verdict, "training": step.training, "reason": step.reason}
        for walk in found.walks
        for step in walk.steps
    ]  # fmt: skip
    kept = {name: found.values[name] for name in ("policies", "differences")}
    return {**kept, "training_cpu_s": found.compute["policies"], "steps": steps, **took}


def without_drift(place: Settings, dataset: str, seeds: Sequence[int]) -> dict[str, Any]:
    """Windows in which there is nothing to be heard, decided at several thresholds."""
    streams = []
    for seed in seeds:
        folder, _, _ = replayed(place, Wanted(dataset, ("drift",), seed=seed, still=True))
        files = sorted((folder / "drift" / "decisions").glob("*.json"))
        streams.append([Decision.read(path).observation for path in files])
    rows = []
    for threshold in THRESHOLDS:
        said = [each for stream in streams for each in _decided(stream, threshold)]
        trained = said.count("retrain")
        rows.append(
            {"threshold": threshold, "windows": len(said), "trainings": trained,
             "blocked": said.count("blocked"), "share": round(trained / len(said), 4)}
        )  # fmt: skip
    return {"seeds": list(seeds), "thresholds": rows}


def _decided(stream: Sequence[Observation], threshold: float) -> list[str]:
    """What the policy would have said at another threshold, of the same observations."""
    state, said = DriftState(), []
    for observation in stream:
        outcome, state = decide(state, observation, DriftPolicyConfig(threshold=threshold))
        said.append(outcome.verdict)
    return said


def with_shocks(place: Settings, dataset: str, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Streams without drift but for the shocks."""
    rows = []
    for shocks in LAYOUTS:
        for seed in seeds:
            wanted = Wanted(dataset, ("drift", "never"), shocks, seed=seed, still=True)
            _, found, _ = replayed(place, wanted)
            drift = found.values["policies"][0]
            steps = [step.verdict for step in found.walks[0].steps]
            rows.append(
                {"seed": seed, "detections": drift["detections"], "verdicts": steps,
                 "trainings": [step.training for step in found.walks[0].steps],
                 "false_alarms": drift["false_alarms"], "quiet": drift["windows_without_shock"],
                 "never_minus_drift": found.values["differences"][0]["ndcg"]}
            )  # fmt: skip
    return rows


def to_markdown(report: dict[str, Any]) -> str:
    """The report as tables."""
    lines = [
        "# Replays: four policies, false alarms, shocks",
        "",
        f"{report['measured_at']}, {in_words(report['machine'])}. Drift threshold {report['threshold']:g}.",
    ]
    for name, found in report["datasets"].items():
        lines += ["", f"## {name}", "", *_order_lines(found["in_order"])]
        if "without_drift" in found:
            lines += _still_lines(found["without_drift"])
        if "with_shocks" in found:
            lines += _shock_lines(found["with_shocks"])
    return "\n".join(lines) + "\n"


def _order_lines(found: dict[str, Any]) -> list[str]:
    policies = [
        [each["policy"], f"{each['ndcg']['estimate']:.4f}", _bounds(each["ndcg"]), each["retrains"],
         each["promoted"], each["refused"], f"{found['training_cpu_s'][each['policy']]:.0f}"]
        for each in found["policies"]
    ]  # fmt: skip
    pairs = [
        [each["policy"], each["against"], f"{each['ndcg']['estimate']:+.4f}", _bounds(each["ndcg"])]
        for each in found["differences"]
    ]
    heads = ["policy", "NDCG@10", "95 %", "trained", "promoted", "refused", "training CPU s"]
    return [
        f"The real order, all four policies in {found['wall_s']:.0f} s ({found['cpu_s']:.0f} CPU s).",
        *_table(heads, policies),
        *_table(["policy", "against", "difference of NDCG@10", "95 %"], pairs),
    ]


def _still_lines(found: dict[str, Any]) -> list[str]:
    rows = [
        [
            f"{each['threshold']:g}",
            each["windows"],
            each["trainings"],
            f"{each['share']:.1%}",
            each["blocked"],
        ]
        for each in found["thresholds"]
    ]
    heads = ["threshold", "windows", "trainings", "share", "blocked"]
    return ["", f"Without drift, {len(found['seeds'])} streams:", *_table(heads, rows)]


def _shock_lines(found: list[dict[str, Any]]) -> list[str]:
    rows = [
        [row["seed"], each["shock"], each["after_windows"] or "–", each["verdict"] or "none"]
        for row in found
        for each in row["detections"]
    ]
    quiet, alarms = (sum(row[name] for row in found) for name in ("quiet", "false_alarms"))
    return [
        *_table(["seed", "shock", "seen in its window", "answer"], rows),
        "",
        f"In the {quiet} windows of these streams without a shock or its echo: {alarms} trainings.",
    ]


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    cells = [[str(each) for each in row] for row in (heads, ["---"] * len(heads), *rows)]
    return ["", *(f"| {' | '.join(row)} |" for row in cells)]


def _bounds(interval: dict[str, float]) -> str:
    return f"{interval['low']:+.4f} to {interval['high']:+.4f}"


def main() -> None:
    """Measure, write JSON and Markdown after each part, print the Markdown."""
    parser = argparse.ArgumentParser(description="Policies of retraining, replayed.")
    parser.add_argument("--datasets", nargs="+", default=["ml-100k", "synthetic"])
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--still", type=int, default=3, help="streams without drift, and of each set of shocks"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of replay.json and .md")
    arguments = parser.parse_args()
    report: dict[str, Any] = {
        "seed": arguments.seed,
        "threshold": DriftPolicyConfig().threshold,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "datasets": {},
    }
    seeds = range(1, arguments.still + 1)
    with TemporaryDirectory() as folder:
        place = Settings.from_environment().with_runs(Path(folder))
        for dataset in arguments.datasets:
            found = report["datasets"][dataset] = {"in_order": in_order(place, dataset, arguments.seed)}
            keep(arguments.results, "replay", report, to_markdown(report))
            found["with_shocks"] = with_shocks(place, dataset, seeds[:1])
            keep(arguments.results, "replay", report, to_markdown(report))
            found["without_drift"] = without_drift(place, dataset, seeds)
            keep(arguments.results, "replay", report, to_markdown(report))


if __name__ == "__main__":
    main()
