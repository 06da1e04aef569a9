"""Whether the canary's verdicts are right: simulated rollouts, bad ones and good ones.

    python -m benchmarks.canary                     # --runs 200  --seed 7

A rollout meets 50 requests a second (a Poisson stream), looks once a minute, ends promoted or rolled back.
"All requests" are those of the period that the rollout takes at the least where nothing is wrong: the
minutes of its steps, bake time included, at 50 a second (181 min, 543,000 requests); a bad canary may meet
2 % of them (10,860) before it is gone. What it meets in the minute of the last check counts. The time that
the cluster takes for a change of weight is left out. Writes benchmarks/results/canary.{json,md}.
"""

import argparse
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import numpy as np

from benchmarks.canary_traffic import CHAMPION, MINUTE, Behaviour, Traffic
from benchmarks.kept import keep
from benchmarks.machine import describe_machine, in_words
from marquee.monitoring.canary import decide, start
from marquee.monitoring.canary_config import CanaryConfig
from marquee.monitoring.canary_counts import Observation

RESULTS = Path(__file__).with_name("results")
START = datetime(2026, 1, 5, tzinfo=UTC)
RPS = 50.0
HARM = 0.02
SHARE = 0.95
VARIANTS: Mapping[str, tuple[Behaviour, str]] = {
    "the same as the champion (A/A)": (CHAMPION, "promoted"),
    "better: half the errors, 10 % faster": (replace(CHAMPION, errors=0.0005, slow_factor=0.9), "promoted"),
    "+2 pp errors": (replace(CHAMPION, errors=0.021), "rolled_back"),
    "1.5 × p99, all times": (replace(CHAMPION, slow_factor=1.5), "rolled_back"),
    "1.5 × p99, only the tail": (CHAMPION.with_tail(1.5), "rolled_back"),
    "+5 pp degraded": (replace(CHAMPION, degraded=0.06), "rolled_back"),
    "+5 pp empty": (replace(CHAMPION, empty=0.052), "rolled_back"),
    "40 % errors": (replace(CHAMPION, errors=0.4), "rolled_back"),
    "scores of another model": (replace(CHAMPION, score_mean=5.0), "rolled_back"),
}
BORDER: Mapping[str, Behaviour] = {
    "errors just at the limit (+.5 pp)": replace(CHAMPION, errors=0.006),
    "1.2 × p99, just at the limit": replace(CHAMPION, slow_factor=1.2),
    "+1 pp degraded, just at the limit": replace(CHAMPION, degraded=0.02),
}
"""What the promise says nothing of: how it ends is chance and time."""
ALPHAS = (0.05, 0.01, 0.001)


@dataclass(frozen=True)
class Outcome:
    """How one rollout ended."""

    phase: str
    minutes: float
    met: int
    """Requests that the canary answered."""
    percent: int
    """The step that it ended at."""
    reason: str


def all_requests(config: CanaryConfig, rps: float = RPS) -> float:
    """Of the least period of a whole rollout."""
    return 60 * rps * sum(step.minutes for step in config.steps)


def roll_out(canary: Behaviour, config: CanaryConfig, *, seed: int, rps: float = RPS) -> Outcome:
    """One rollout, from the first minute to its end."""
    traffic = Traffic(canary, np.random.default_rng(seed), START, rps)
    now, met = START, 0
    state = start("champion", "canary", now=now, config=config).model_copy(update={"step_since": now})
    recent = timedelta(minutes=config.recent_minutes)
    while state.phase == "stepping":
        met += traffic.pass_minute(state.current.percent)
        now += MINUTE
        assert state.step_since is not None  # noqa: S101 - the cluster follows at once
        observation = Observation(
            is_ready=True,
            whole=traffic.between(state.step_since, now),
            recent=traffic.between(max(state.step_since, now - recent), now),
        )
        state, decision = decide(state, observation, now=now)
        if state.step_since is None:
            state = state.model_copy(update={"step_since": now})
    phase = {"promoting": "promoted", "rolling_back": "rolled_back"}[state.phase]
    return Outcome(phase, (now - START) / MINUTE, met, state.current.percent, decision.reason)


def one(task: tuple[Behaviour, CanaryConfig, int]) -> Outcome:
    """For a pool."""
    canary, config, seed = task
    return roll_out(canary, config, seed=seed)


def many(
    pool: ProcessPoolExecutor, canary: Behaviour, config: CanaryConfig, *, runs: int, seed: int
) -> list[Outcome]:
    """Runs with seeds of their own."""
    return list(pool.map(one, [(canary, config, 1_000 * seed + run) for run in range(runs)], chunksize=4))


def summary(outcomes: list[Outcome], config: CanaryConfig) -> dict[str, Any]:
    """Shares and quantiles over runs."""
    allowed = HARM * all_requests(config)
    met = sorted(each.met for each in outcomes)
    return {
        "runs": len(outcomes),
        "promoted": sum(each.phase == "promoted" for each in outcomes) / len(outcomes),
        "rolled_back": sum(each.phase == "rolled_back" for each in outcomes) / len(outcomes),
        "rolled_back_in_time": sum(each.phase == "rolled_back" and each.met < allowed for each in outcomes)
        / len(outcomes),
        "minutes_median": median(each.minutes for each in outcomes),
        "minutes_p95": sorted(each.minutes for each in outcomes)[int(0.95 * len(outcomes))],
        "met_median": median(met),
        "met_p95": met[int(0.95 * len(met))],
        "met_max": met[-1],
        "ended_at_percent": {
            str(percent): sum(each.percent == percent for each in outcomes)
            for percent in sorted({each.percent for each in outcomes})
        },
        "a_reason": outcomes[0].reason,
    }


def as_markdown(report: Mapping[str, Any]) -> str:
    """The tables."""
    head = (
        "| canary | promoted | rolled back | before 2 % met it | minutes, median (p95) |"
        " requests met, median (p95, most) | promise |"
    )
    lines = [
        "# Canary: are the verdicts right?",
        "",
        f"{report['runs']} seeded rollouts each (a fifth just at a limit), seed {report['seed']};"
        f" {RPS:.0f} requests a second, one look a minute. All requests of a rollout's least period:"
        f" {report['all_requests']:,.0f}; 2 % of them: {HARM * report['all_requests']:,.0f}.",
        f"{in_words(report['machine'])}.",
        "",
        head,
        "| --- | --: | --: | --: | --: | --: | --- |",
    ]
    for name, row in report["variants"].items():
        lines.append(_row(name, row, row["promise"]))
    lines += [
        "",
        "Just at a limit, where nothing is promised:",
        "",
        head,
        "| --- | --: | --: | --: | --: | --: | --- |",
    ]
    lines += [_row(name, row, "") for name, row in report["border"].items()]
    lines += [
        "",
        "False roll-backs of equal arms by the error of one failed check, and by how many in a row it takes:",
        "",
        "| α of a failed check | 1 check | 2 checks |",
        "| --- | --: | --: |",
    ]
    lines += [
        f"| {alpha} | {row['1']:.1%} | {row['2']:.1%} |" for alpha, row in report["false_roll_backs"].items()
    ]
    lines += ["", f"A verdict takes {report['decide_ms']:.2f} ms of CPU.", ""]
    return "\n".join(lines)


def _row(name: str, row: Mapping[str, Any], promise: str) -> str:
    return (
        f"| {name} | {row['promoted']:.1%} | {row['rolled_back']:.1%} | {row['rolled_back_in_time']:.1%} |"
        f" {row['minutes_median']:.0f} ({row['minutes_p95']:.0f}) |"
        f" {row['met_median']:,.0f} ({row['met_p95']:,.0f}, {row['met_max']:,.0f}) | {promise} |"
    )


def judged(row: dict[str, Any], expected: str) -> dict[str, Any]:
    """With what was promised, and whether it holds."""
    measured = row["promoted"] if expected == "promoted" else row["rolled_back_in_time"]
    words = f"{expected.replace('_', ' ')} in ≥ {SHARE:.0%}: {'kept' if measured >= SHARE else 'BROKEN'}"
    return row | {"promise": words, "kept": measured >= SHARE}


def cost_of_a_verdict(config: CanaryConfig) -> float:
    """Milliseconds of CPU."""
    traffic = Traffic(CHAMPION, np.random.default_rng(0), START)
    traffic.pass_minute(5)
    arms = traffic.between(START, START + MINUTE)
    state = start("a", "b", now=START, config=config).model_copy(update={"step": 2, "step_since": START})
    began = process_time()
    for _ in range(200):
        decide(state, Observation(is_ready=True, whole=arms, recent=arms), now=START + MINUTE)
    return 5 * (process_time() - began)


def main() -> int:
    """Measure, keep, and say by the exit code whether the promises hold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    config = CanaryConfig()
    with ProcessPoolExecutor(2) as pool:
        runs = partial(many, pool, runs=arguments.runs, seed=arguments.seed)
        variants = {
            name: judged(summary(runs(how, config), config), expected)
            for name, (how, expected) in VARIANTS.items()
        }
        few = partial(many, pool, runs=max(1, arguments.runs // 5), seed=arguments.seed)
        border = {name: summary(few(how, config), config) for name, how in BORDER.items()}
        false = {
            str(alpha): {
                str(checks): summary(
                    runs(CHAMPION, config.model_copy(update={"fail_alpha": alpha, "failed_checks": checks})),
                    config,
                )["rolled_back"]
                for checks in (1, 2)
            }
            for alpha in ALPHAS
        }
    report = {
        "machine": describe_machine(),
        "runs": arguments.runs,
        "seed": arguments.seed,
        "all_requests": all_requests(config),
        "config": config.model_dump(mode="json"),
        "variants": variants,
        "border": border,
        "false_roll_backs": false,
        "decide_ms": cost_of_a_verdict(config),
    }
    keep(arguments.results, "canary", report, as_markdown(report))
    return 0 if all(row["kept"] for row in variants.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
