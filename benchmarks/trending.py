"""How soon a surge of one title is seen at how many false ones, and whether traffic can be forecast.

    python -m benchmarks.trending
    python -m benchmarks.trending --trials 10 --results build

On MovieLens-100k and on a synthetic service of 180 days, with days and weeks in it. Forecasts of the traffic
are made when a window begins and judged when it is over, hour by hour. For the scorers new users are put to
one title for 48 hours at a share of the mean traffic; thresholds are those at which the stream as it is has
so many episodes a day. Nobody knows which of those are false; the same stream is asked of all. Writes
trending.json and trending.md.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import process_time
from typing import Any, Final

import numpy as np
import polars as pl

from benchmarks.kept import keep
from benchmarks.machine import describe_machine
from benchmarks.movielens import DATASET
from benchmarks.trending_report import to_markdown
from benchmarks.trending_rivals import CONFIG, PAST, SCORERS, WINS, Counts, Scorer, Windows, levels
from marquee import schema
from marquee.candidates import traffic
from marquee.candidates.surges import OUT, SurgeConfig, SurgeScorer, follow
from marquee.candidates.traffic import TrafficConfig
from marquee.data.datasets.prepare import prepare_dataset
from marquee.data.datasets.synthetic.config import SyntheticConfig
from marquee.data.datasets.synthetic.events import generate_events
from marquee.data.interactions import Interactions
from marquee.data.splits import CONSUMPTION_TYPES
from marquee.data.warehouse import Warehouse
from marquee.features.context import HOUR_US
from marquee.settings import Settings

RESULTS: Final = Path(__file__).with_name("results")
SURGE_HOURS: Final = 48
QUIET_HOURS: Final = 24
"""An item that comes back sooner is still in the same episode."""
WARM: Final = 7 * 24
"""Hours after the first baseline at which counting begins: the forecasts need three weeks, too."""
BUDGETS: Final = (1.0, 0.2)
"""Episodes a day."""
SURGES: Final = (("niche", 0.02), ("niche", 0.05), ("niche", 0.1), ("mid", 0.02))
EXPECTED: Final[dict[str, TrafficConfig | None]] = {
    "the traffic itself": None,
    "the forecast where it beats the naive one": WINS,
    "… and errs by less than a quarter": TrafficConfig(),
}
"""What shares are taken of."""
SYNTHETIC: Final = SyntheticConfig(n_events=1_000_000, n_users=5_000)


@dataclass(frozen=True, eq=False)
class Stream:
    """A past, counted hour by hour."""

    windows: Windows
    hourly: float
    """Users and items that meet in an hour, on average."""

    @classmethod
    def of(cls, choices: Interactions) -> "Stream":
        """Count it."""
        first, last = (int(choices.timestamp_us[at]) for at in (0, -1))
        ends_us = CONFIG.ends_us(last, (last - first) // HOUR_US + 1)
        windows = {hours: Counts.of(choices, ends_us, hours) for hours in CONFIG.window_hours}
        return cls(windows, float(windows[6].pairs.mean()) / 6)

    @property
    def n_hours(self) -> int:
        """Of all the past."""
        return len(self.windows[6].pairs)

    def surged(self, item: int, begin: int, share: float, rng: np.random.Generator) -> Windows:
        """One item with more users from an hour on."""
        arrived = np.zeros(self.n_hours, np.int64)
        arrived[begin : begin + SURGE_HOURS] = rng.poisson(share * self.hourly, SURGE_HOURS)
        return {hours: window.with_more(item, arrived) for hours, window in self.windows.items()}

    def some_item(self, kind: str, begin: int, rng: np.random.Generator) -> int:
        """Niche: among the less chosen half of the month before; mid: from the best 5 % to the best 20 %."""
        month = self.windows[24].users[:, max(begin - 720, 0) : begin : 24].sum(axis=1)
        ranked = np.argsort(-month, kind="stable")
        low, high = (0.5, 1.0) if kind == "niche" else (0.05, 0.2)
        return int(rng.choice(ranked[int(low * len(ranked)) : int(high * len(ranked))]))


def forecasts(stream: Stream) -> list[dict[str, Any]]:
    """Mean absolute errors over the hours at which all forecasts are there."""
    rows = []
    for hours, window in stream.windows.items():
        totals = window.pairs.astype(np.float64)
        made = {
            "nothing": np.zeros_like(totals),
            "window before": traffic.naive(totals, lead=hours),
            "hour of week": traffic.hour_of_week(totals, lead=hours, steps_per_hour=1),
            "seasonal": traffic.seasonal(totals, lead=hours, steps_per_hour=1, config=CONFIG.traffic),
        }
        where = np.isfinite(made["seasonal"])
        better = traffic.is_seasonal_better(totals, made["seasonal"], lead=hours, config=CONFIG.traffic)
        rows.append(
            {
                "hours": hours,
                "mean": round(float(totals[where].mean()), 1),
                "mae": {
                    name: round(traffic.back_test(totals, each, where=where), 1)
                    for name, each in made.items()
                },
                "believed": round(float(better[where].mean()), 3),
            }
        )
    return rows


def episodes(is_on: np.ndarray) -> int:
    """How often an item begins to be on after it was off for a day, `(n_items, n_hours)`."""
    rows = is_on[is_on.any(axis=1)]
    count = 0
    for row in rows:
        at = np.flatnonzero(row)
        count += 1 + int((np.diff(at) > QUIET_HOURS).sum())
    return count


def threshold(scores: np.ndarray, per_day: float) -> float:
    """The lowest at which the stream has no more episodes a day than this."""
    most = per_day * scores.shape[1] / 24
    candidates = np.unique(np.partition(scores.ravel(), -100_000)[-100_000:])
    low, high = 0, len(candidates) - 1
    while low < high:
        middle = (low + high) // 2
        if episodes(scores > candidates[middle]) <= most:
            high = middle
        else:
            low = middle + 1
    return float(candidates[low])


def trials_of(stream: Stream, n: int, seed: int) -> dict[str, list[tuple[int, Windows]]]:
    """The same surges for all scorers: the hour that each begins at, and the item's windows."""
    rng = np.random.default_rng(seed)
    made = {}
    for kind, share in SURGES:
        begins = rng.integers(PAST + WARM, stream.n_hours - SURGE_HOURS, n).tolist()
        made[f"{kind} +{share:.0%}"] = [
            (begin, stream.surged(stream.some_item(kind, begin, rng), begin, share, rng)) for begin in begins
        ]
    return made


def seen(is_on: np.ndarray, begin: int) -> int | None:
    """Hours from a surge's beginning until it is on, None where it never is."""
    found = np.flatnonzero(is_on[0, begin - PAST : begin - PAST + SURGE_HOURS])
    return int(found[0]) + 1 if len(found) else None


def recall(delays: list[int | None]) -> dict[str, float | None]:
    """Share that is seen, and the median delay of those in hours."""
    found = [delay for delay in delays if delay is not None]
    return {
        "recall": round(len(found) / len(delays), 3),
        "delay_hours": float(np.median(found)) if found else None,
    }


def detections(stream: Stream, trials: Mapping[str, list[tuple[int, Windows]]]) -> list[dict[str, Any]]:
    """Every scorer at every budget."""
    rows = []
    for name, scorer in SCORERS.items():
        quiet = scorer(stream.windows)[:, WARM:]
        for budget in BUDGETS:
            limit = threshold(quiet, budget)
            found = {kind: recall(_delays(scorer, limit, own)) for kind, own in trials.items()}
            rows.append({"scorer": name, "per_day": budget, "threshold": round(limit, 2), "surges": found})
    return rows


def _delays(scorer: Scorer, limit: float, trials: list[tuple[int, Windows]]) -> list[int | None]:
    return [seen(scorer(windows) > limit, begin) for begin, windows in trials]


def as_shipped(stream: Stream, trials: Mapping[str, list[tuple[int, Windows]]]) -> list[dict[str, Any]]:
    """The library's own thresholds with their memory, on the traffic itself and on its forecast."""
    rows = []
    for name, believe in EXPECTED.items():
        quiet = follow(levels(stream.windows, believe=believe), CONFIG)[:, WARM:] != OUT
        found = {
            kind: recall(
                [
                    seen(follow(levels(windows, believe=believe), CONFIG) != OUT, begin)
                    for begin, windows in own
                ]
            )
            for kind, own in trials.items()
        }
        rows.append(
            {
                "shares_of": name,
                "per_day": round(episodes(quiet) / (quiet.shape[1] / 24), 3),
                "on_at_once": round(float(quiet.sum(axis=0).mean()), 2),
                "surges": found,
            }
        )
    return rows


def crowded(choices: Interactions, trials: int, seed: int) -> dict[str, float]:
    """Episodes more than else in two days to which those of the week before are added: nothing surges."""
    rng = np.random.default_rng(seed)
    first, last = (int(choices.timestamp_us[at]) for at in (0, -1))
    n_hours = (last - first) // HOUR_US + 1
    more: dict[str, list[int]] = {name: [] for name in EXPECTED}
    for begin in rng.integers(PAST + WARM, n_hours - SURGE_HOURS, trials).tolist():
        until_us = first + (begin + SURGE_HOURS) * HOUR_US
        week_us = 7 * 24 * HOUR_US
        earlier = choices.timestamp_us + week_us
        again = np.flatnonzero((earlier >= first + begin * HOUR_US) & (earlier < until_us))
        busy = choices.take(np.concatenate([np.arange(len(choices)), again]))
        busy.timestamp_us[len(choices) :] += week_us
        busy.user_index[len(choices) :] += len(choices.users)  # others, who do the same
        for name, counts in more.items():
            total = {"expected_total": "auto", "traffic": EXPECTED[name]} if EXPECTED[name] else {}
            config = CONFIG.model_copy(update={**total, "replay_hours": 2 * SURGE_HOURS})
            on = [_on_lately(past, until_us, config) for past in (choices, busy)]
            counts.append(on[1] - on[0])
    return {name: round(float(np.mean(counts)), 2) for name, counts in more.items()}


def _on_lately(choices: Interactions, until_us: int, config: SurgeConfig) -> int:
    scorer = SurgeScorer(choices, until_us, config)
    if not len(scorer.hot):
        return 0
    n_steps = config.replay_hours + 1
    found = [scorer.level(hours, scorer.hot, n_steps) for hours in config.window_hours]
    return episodes(follow(found, config)[:, -SURGE_HOURS:] != OUT)


def measure(choices: Interactions, trials: int, seed: int) -> dict[str, Any]:
    """All of it on one stream."""
    stream = Stream.of(choices)
    made = trials_of(stream, trials, seed)
    return {
        "events": len(choices),
        "items": len(choices.items),
        "days": round(stream.n_hours / 24, 1),
        "events_per_hour": round(stream.hourly, 1),
        "forecasts": forecasts(stream),
        "as_shipped": as_shipped(stream, made),
        "crowded": crowded(choices, min(trials, 8), seed),
        "scorers": detections(stream, made),
    }


def read_streams() -> dict[str, Interactions]:
    """The two pasts, consumed events alone."""
    settings = Settings.from_environment()
    warehouse = Warehouse(settings.warehouse(DATASET))
    prepare_dataset(DATASET, warehouse=warehouse, cache=settings.cache, now=datetime.now(UTC))
    is_choice = pl.col(schema.INTERACTION_TYPE).is_in(CONSUMPTION_TYPES)
    blocks = [block.filter(is_choice) for block in generate_events(SYNTHETIC)]
    return {
        DATASET: Interactions.from_table(warehouse.read_interactions().filter(is_choice)),
        "synthetic": Interactions.from_table(pl.concat(blocks)),
    }


def main() -> None:
    """Measure, write JSON and Markdown, print the Markdown."""
    parser = argparse.ArgumentParser(description="Recall, delay and false episodes of surge scorers.")
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of trending.json and .md")
    arguments = parser.parse_args()
    begin = process_time()
    streams = read_streams()
    report: dict[str, Any] = {
        "seed": arguments.seed,
        "trials": arguments.trials,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "streams": {
            name: measure(choices, arguments.trials, arguments.seed) for name, choices in streams.items()
        },
    }
    report["cpu_s"] = round(process_time() - begin, 1)
    keep(arguments.results, "trending", report, to_markdown(report))


if __name__ == "__main__":
    main()
