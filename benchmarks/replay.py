"""Does the loop earn its keep? Replays of MovieLens-100k and of the generator's data under several policies.

    python -m benchmarks.replay
    python -m benchmarks.replay --datasets ml-100k --seeds 19 --still 1 --results build

For each data set: the real order without a shock and then, a seed at a time, with shocks at other places;
streams without drift by construction, the same people at random times, with shocks in them; then such streams
without shocks, where each alarm that trains is a false one. Writes replay.json and replay.md, anew after each
part.
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
from benchmarks.replay_real_weeks import DRIFT, POLICIES, SHOCKS, TIMER, Seeded, as_values, data_of, recipe
from marquee.monitoring.decision import Decision
from marquee.monitoring.drift_config import DriftPolicyConfig
from marquee.monitoring.drift_policy import DriftState, decide
from marquee.monitoring.evidence import Observation
from marquee.observing import SilentObserver
from marquee.replay.run import Replay
from marquee.replay.start import Wanted, replay_dataset
from marquee.settings import Settings

RESULTS: Final = Path(__file__).with_name("results")
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


def in_order(place: Settings, dataset: str, seeds: Sequence[int], *, is_shocked: bool) -> dict[str, Any]:
    """The real weeks, a replay a seed."""
    begin, cpu = perf_counter(), process_time()
    replays = []
    for number, seed in enumerate(seeds):
        shocks = SHOCKS[number % len(SHOCKS)] if is_shocked else ()
        wanted = Wanted(dataset, POLICIES, shocks, seed=seed, training=recipe(dataset, seed))
        _, found, _ = replayed(place, wanted)
        replays.append(Seeded(seed, data_of(dataset, seed), shocks, found))
    took = {"wall_s": round(perf_counter() - begin, 1), "cpu_s": round(process_time() - cpu, 1)}
    return {**as_values(replays), **took}


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
        "# Replays: policies, false alarms, shocks",
        "",
        f"{report['measured_at']}, {in_words(report['machine'])}. Drift threshold {report['threshold']:g},"
        f" refreshed at {report['refresh_growth']:.0%} more events.",
    ]
    for name, found in report["datasets"].items():
        lines += ["", f"## {name}"]
        for part, words in (("shocked", "with shocks"), ("in_order", "without shocks")):
            if part in found:
                lines += ["", f"### The real order, {words}", *_order_lines(found[part])]
        if "with_shocks" in found:
            lines += ["", "### Shocks in streams without drift", *_shock_lines(found["with_shocks"])]
        if "without_drift" in found:
            lines += ["", "### False alarms", *_still_lines(found["without_drift"])]
    return "\n".join(lines) + "\n"


def _order_lines(found: dict[str, Any]) -> list[str]:
    share = found["trained"][DRIFT] / found["trained"][TIMER]
    together = [
        f"`{each['policy']}` − `{each['against']}`: **{each['ndcg']['estimate']:+.4f}**"
        f" ({_bounds(each['ndcg'])}; {each['people']} people)"
        for each in found["together"]
    ]
    lines = [
        "",
        f"Seeds {', '.join(str(each['seed']) for each in found['seeds'])} in {found['wall_s']:.0f} s"
        f" ({found['cpu_s']:.0f} CPU s). Trainings of `{DRIFT}`: {found['trained'][DRIFT]} for"
        f" {found['trained'][TIMER]} of `{TIMER}`, {share:.0%}. All seeds together, NDCG@10: "
        f"{'; '.join(together)}.",
    ]
    return [*lines, *(line for each in found["seeds"] for line in _seed_lines(each))]


def _seed_lines(seed: dict[str, Any]) -> list[str]:
    against = {each["policy"]: each["ndcg"] for each in seed["differences"] if each["against"] == TIMER}
    rows = [
        [each["policy"], f"{each['ndcg']['estimate']:.4f}", _difference(against.get(each["policy"])),
         each["retrains"], each["promoted"], each["refused"],
         "–" if each["refreshes"] is None else each["refreshes"],
         f"{seed['training_cpu_s'][each['policy']]:.0f}"]
        for each in seed["policies"]
    ]  # fmt: skip
    heads = ["policy", "NDCG@10", f"minus {TIMER}", "trained", "promoted", "refused", "refreshes", "CPU s"]
    seen = [
        f"`{each['policy']}`, {met['shock']}: "
        + (f"{met['verdict']} in its window {met['after_windows']}" if met["verdict"] else "not seen")
        for each in seed["policies"]
        for met in each["detections"]
    ]
    shocks = f" with {', '.join(seed['shocks'])}" if seed["shocks"] else ""
    return ["", f"Seed {seed['seed']}{shocks}:", *_table(heads, rows), *([""] if seen else []),
            *(f"- {each}" for each in seen)]  # fmt: skip


def _difference(interval: dict[str, float] | None) -> str:
    return "" if interval is None else f"{interval['estimate']:+.4f} ({_bounds(interval)})"


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
    heads = ["threshold", "windows", "alarms that train", "share", "blocked"]
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
        f"In the {quiet} windows of these streams without a shock or its echo: {alarms} alarms that train.",
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
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[25, 26, 27, 28], help="the first also without shocks"
    )
    parser.add_argument(
        "--still", type=int, default=3, help="streams without drift, and of each set of shocks"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of replay.json and .md")
    arguments = parser.parse_args()
    report: dict[str, Any] = {
        "threshold": DriftPolicyConfig().threshold,
        "refresh_growth": DriftPolicyConfig().refresh_growth,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "datasets": {},
    }
    seeds = range(1, arguments.still + 1)
    with TemporaryDirectory() as folder:
        place = Settings.from_environment().with_runs(Path(folder))
        for dataset in arguments.datasets:
            found = report["datasets"][dataset] = {}
            found["shocked"] = in_order(place, dataset, arguments.seeds, is_shocked=True)
            keep(arguments.results, "replay", report, to_markdown(report))
            found["in_order"] = in_order(place, dataset, arguments.seeds[:1], is_shocked=False)
            keep(arguments.results, "replay", report, to_markdown(report))
            found["with_shocks"] = with_shocks(place, dataset, seeds[:1])
            keep(arguments.results, "replay", report, to_markdown(report))
            found["without_drift"] = without_drift(place, dataset, seeds)
            keep(arguments.results, "replay", report, to_markdown(report))


if __name__ == "__main__":
    main()
