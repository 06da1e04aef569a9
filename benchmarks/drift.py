"""How often the drift policy cries wolf on MovieLens-100k, and which shocks it sees how soon.

    python -m benchmarks.drift
    python -m benchmarks.drift --streams 4 --results build

Each stream splits the users anew: 200 that EASE learns from, 200 to compare with, 350 held-out ones to
calibrate, the others to draw windows of 60 from, without drift by construction. EASE, asked after the first
half of each history, gives lists and NDCG@10. Shocks are put into three windows in a row after three quiet
ones; the data gate looks at each window first. Then the real order: weekly windows after the tenth week,
where nobody knows what is drift. Writes drift.json and drift.md.
"""

import argparse
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from time import process_time
from typing import Any, Final

import numpy as np
import polars as pl

from benchmarks.kept import keep
from benchmarks.machine import describe_machine, in_words
from benchmarks.movielens import DATASET
from marquee import schema
from marquee.candidates.ease import Ease, EaseConfig
from marquee.data.datasets.prepare import prepare_dataset
from marquee.data.histories import Histories
from marquee.data.interactions import Interactions, Ragged, Vocabulary
from marquee.data.warehouse import Warehouse
from marquee.errors import NotEnoughDataError
from marquee.evaluation.ranking_metrics import ndcg
from marquee.evaluation.relevance import judge
from marquee.monitoring.calibration import Null, fit_null
from marquee.monitoring.decision import QualityFacts, WindowFacts, decide_on
from marquee.monitoring.drift_config import DriftPolicyConfig
from marquee.monitoring.drift_policy import DriftState
from marquee.monitoring.quality import QualityConfig, QualityReport, look_at
from marquee.monitoring.quality_profile import Baseline
from marquee.monitoring.signals import SIGNALS, Measured, Reference
from marquee.monitoring.window import NDCG, TOP, Window, window_of
from marquee.replay.shocks import BROKEN_MODEL, FAULTS, WORLD
from marquee.replay.tables import Tables
from marquee.settings import Settings
from marquee.steps.detect_drift import DriftQuestion, detect

N: Final = 60
POOL: Final = 350
QUIET: Final = 12
RESULTS: Final = Path(__file__).with_name("results")
DAY_US: Final = 86_400_000_000
THRESHOLD: Final = DriftPolicyConfig().threshold


def lists_of(
    events: pl.DataFrame, model: Ease, items: Vocabulary, *, broken: bool, rng: np.random.Generator
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Ten movies for each user after the first half of the history, and their NDCG@10 on the rest."""
    indexed = Interactions.from_table(events, items=items)
    order = np.argsort(indexed.user_index, kind="stable")
    rows = np.split(order, np.flatnonzero(np.diff(indexed.user_index[order])) + 1)
    halves = [(row[: len(row) // 2], row[len(row) // 2 :]) for row in rows]
    histories = Histories.of_rows(indexed, [past for past, _ in halves])
    score = model.score(histories)
    score[histories.row, histories.item_index] = -np.inf
    best = np.argsort(-score, axis=1, kind="stable")[:, :TOP].astype(np.int32)
    if broken:  # everybody gets a list of random movies
        best = np.argsort(rng.random(score.shape), axis=1)[:, :TOP].astype(np.int32)
    targets = Ragged.of([np.unique(indexed.item_index[future]) for _, future in halves])
    users = indexed.users.ids
    shown = pl.DataFrame(
        {
            schema.USER_ID: users.gather(np.repeat(np.arange(len(rows)), TOP)),
            schema.POSITION: np.tile(np.arange(1, TOP + 1), len(rows)),
            schema.SCORE: np.sort(score, axis=1)[:, : -TOP - 1 : -1].ravel().astype(np.float64),
        }
    )
    return shown, pl.DataFrame({schema.USER_ID: users, NDCG: ndcg(judge(best, targets), TOP)})


SHOCKS: Final = {
    "genre surge, 20 % of events": "genre_surge",
    "influx of new users": "influx",
    "rating × 2": "scale",
    "rating to thumbs": "thumbs",
    "broken model": BROKEN_MODEL,
    "age = −1": "default_column",
    "age null": "null_column",
}
"""By how people call them: the shocks of a replay."""
INJECTORS: Final = {**WORLD, **FAULTS}


class Stream:
    """One split of the users."""

    def __init__(self, tables: Tables, seed: int) -> None:
        self.tables, self.rng = tables, np.random.default_rng(seed)
        users = self.rng.permutation(tables.events[schema.USER_ID].unique().sort().to_numpy())
        self.learners, self.compared, held_out, self.others = np.split(users, [200, 400, 400 + POOL])
        self.items = Vocabulary.of(tables.movies[schema.ITEM_ID])
        learned = Interactions.from_table(self._events(self.learners), items=self.items)
        self.model = Ease.fit(learned, EaseConfig())
        self.baseline = Baseline()
        reference, report = self.look(self.compared)
        self.baseline = self.baseline.with_profile(report.profile.model_copy(update={"id": "past"}))
        pool, _ = self.look(held_out)
        self.reference = Reference.of(reference, pool)
        self.null: Null = fit_null(self.reference.measure(pool), N, rng=self.rng)

    def _events(self, users: np.ndarray) -> pl.DataFrame:
        return self.tables.events.filter(pl.col(schema.USER_ID).is_in(users.tolist()))

    def look(self, users: np.ndarray, shock: str = "") -> tuple[Window, QualityReport]:
        """The window of these users, and what the data gate says of it."""
        own = self.tables.users.filter(pl.col(schema.USER_ID).is_in(users.tolist()))
        made = Tables(self._events(users), own, self.tables.movies)
        made = INJECTORS[shock](made, self.rng) if shock in INJECTORS else made
        shown, quality = lists_of(
            made.events, self.model, self.items, broken=shock == BROKEN_MODEL, rng=self.rng
        )
        window = window_of(
            "w", made.events, users=made.users, movies=made.movies, shown=shown, quality=quality
        )
        feeds = {schema.INTERACTIONS: made.events, schema.USERS: made.users}
        # The windows of these streams have no length in time, and so no volume.
        return window, look_at("w", feeds, self.baseline, config=QualityConfig(min_volume_share=0))

    def drawn(self) -> np.ndarray:
        """Users of a window."""
        return self.rng.choice(self.others, N, replace=False)

    def measured(self, shock: str = "") -> tuple[Measured, QualityFacts]:
        """One window in the reference's terms, and the gate's word on it."""
        window, report = self.look(self.drawn(), shock)
        return self.reference.measure(window), QualityFacts(verdict=report.verdict, words=report.words)


def verdicts(
    stream: Stream, windows: list[tuple[Measured, QualityFacts]], threshold: float
) -> tuple[list[str], list[float]]:
    """What the policy says of windows one after the other, and the largest z of each."""
    state, said, loudest = DriftState(), [], []
    for number, (measured, quality) in enumerate(windows):
        facts = WindowFacts(
            window_id=f"{number}", ended_at_us=(number + 1) * 7 * DAY_US, bundle_id="b", users=N,
            users_in_window=N, reference_users=len(stream.compared), pool=POOL,
        )  # fmt: skip
        policy = DriftPolicyConfig(threshold=threshold)
        made = decide_on(
            facts, raw=measured.raw(), null=stream.null, quality=quality, state=state, policy=policy
        )
        state = made.state_after
        said.append(made.outcome.verdict)
        loudest.append(max(z for z in made.z.values() if z is not None))
    return said, loudest


def false_alarms(streams: list[Stream]) -> list[dict[str, Any]]:
    """Windows without drift, at three thresholds."""
    windows = [[stream.measured() for _ in range(QUIET)] for stream in streams]
    rows = []
    for threshold in (3.0, 3.5, 4.0):
        found = [verdicts(stream, own, threshold) for stream, own in zip(streams, windows, strict=True)]
        loudest = np.concatenate([each[1] for each in found])
        said = Counter(verdict for each in found for verdict in each[0])
        rows.append(
            {
                "threshold": threshold,
                "windows": len(loudest),
                "speaking": round(float((loudest > threshold).mean()), 4),
                "trainings": said["retrain"],
                "blocked": said["blocked"],
            }
        )
    return rows


def detections(streams: list[Stream]) -> list[dict[str, Any]]:
    """For each shock how many windows after its beginning it was answered, and how; 0 where it was not."""
    rows = []
    for name, shock in SHOCKS.items():
        delays, seen, how = [], Counter[str](), Counter[str]()
        for stream in streams:
            windows = [stream.measured() for _ in range(3)] + [stream.measured(shock) for _ in range(3)]
            said, _ = verdicts(stream, windows, THRESHOLD)
            answers = [number + 1 for number, each in enumerate(said[3:]) if each in {"retrain", "blocked"}]
            delays.append(answers[0] if answers else 0)
            how.update({said[2 + answers[0]]} if answers else {"nothing"})
            z = stream.null.z(windows[3][0].statistics())
            seen.update(signal for signal, value in zip(SIGNALS, z, strict=True) if value > THRESHOLD)
        within = [delay for delay in delays if 0 < delay <= 2]
        top = [f"{signal} {count}/{len(streams)}" for signal, count in seen.most_common(3)]
        row = {"shock": name, "within_2": len(within) / len(streams), "delays": delays, "seen_by": top}
        row["answer"] = [f"{answer} {count}" for answer, count in how.most_common()]
        rows.append(row)
    return rows


def real_weeks(folder: Path, main: Path) -> list[dict[str, Any]]:
    """The command's own way through the real order, a week at a time."""
    times = Warehouse(main).read_interactions(columns=[schema.TIMESTAMP])[schema.TIMESTAMP].dt.epoch("us")
    first, last = int(times.min()), int(times.max())  # type: ignore[arg-type] - there are events
    state, rows = DriftState(), []
    begin = first + 70 * DAY_US
    while (begin := begin + 7 * DAY_US) <= last:
        end = datetime.fromtimestamp(begin / 1e6, UTC)
        start = datetime.fromtimestamp(begin / 1e6 - 7 * 86_400, UTC)
        question = DriftQuestion(
            storage=DATASET, main=main, current=f"{start:%Y-%m-%d}..{end:%Y-%m-%d}", reference="", seed=7
        )
        try:
            made = detect(question, state, folder, now=end).decision
        except NotEnoughDataError:
            continue
        state = made.state_after
        loudest = max((z, name) for name, z in {**dict.fromkeys(SIGNALS, -9.0), **_known(made.z)}.items())
        rows.append(
            {
                "week": f"{start:%Y-%m-%d}", "users": made.window.users_in_window, "pool": made.window.pool,
                "verdict": made.outcome.verdict, "loudest": loudest[1], "z": round(loudest[0], 2),
                "gate": list(made.quality.words),
            }
        )  # fmt: skip
    return rows


def _known(z: dict[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in z.items() if value is not None}


def to_markdown(report: dict[str, Any]) -> str:
    """The report as tables."""
    lines = [
        f"# Drift policy on {DATASET}: windows of {N} users, {report['streams']} splits of the users",
        "",
        f"{report['measured_at']}, {in_words(report['machine'])}; {report['cpu_s']:.0f} CPU s."
        f" Seed {report['seed']}.",
        "",
        "| threshold | windows without drift | some z above it | trainings | blocked |",
        "| ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| {row['threshold']:g} | {row['windows']} | {row['speaking']:.1%} | {row['trainings']}"
            f" | {row['blocked']} |"
            for row in report["false_alarms"]
        ),
        "",
        "| shock | answered within 2 windows | answer | first seen by |",
        "| --- | ---: | --- | --- |",
        *(
            f"| {row['shock']} | {row['within_2']:.0%} | {', '.join(row['answer'])}"
            f" | {', '.join(row['seen_by'])} |"
            for row in report["detections"]
        ),
        "",
        "The real weeks, in order; what is drift in them nobody knows.",
        "",
        "| week | users | held out | verdict | loudest | z |",
        "| --- | ---: | ---: | --- | --- | ---: |",
        *(
            f"| {row['week']} | {row['users']} | {row['pool']} | {row['verdict']} | {row['loudest']}"
            f" | {row['z']} |"
            for row in report["real_weeks"]
        ),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, write JSON and Markdown, print the Markdown."""
    parser = argparse.ArgumentParser(description="False alarms and detections of the drift policy.")
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of drift.json and .md")
    arguments = parser.parse_args()
    begin = process_time()
    settings = Settings.from_environment()
    warehouse = Warehouse(settings.warehouse(DATASET))
    prepare_dataset(DATASET, warehouse=warehouse, cache=settings.cache, now=datetime.now(UTC))
    tables = Tables(
        warehouse.read_interactions(),
        warehouse.read_table(schema.USERS),
        warehouse.read_table(schema.MOVIES),
    )
    streams = [Stream(tables, arguments.seed + number) for number in range(arguments.streams)]
    report = {
        "dataset": DATASET,
        "seed": arguments.seed,
        "streams": arguments.streams,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "false_alarms": false_alarms(streams),
        "detections": detections(streams),
        "real_weeks": real_weeks(settings.runs / "drift-benchmark", warehouse.root),
    }
    report["cpu_s"] = round(process_time() - begin, 1)
    keep(arguments.results, "drift", report, to_markdown(report))


if __name__ == "__main__":
    main()
