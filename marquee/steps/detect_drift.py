"""Hold a window against the past: data gate, statistics, decision, report."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl

from marquee import schema
from marquee.adapters.evidently import DriftReport, write_report
from marquee.adapters.object_store import ObjectStore
from marquee.errors import ConfigError, ConflictError, ObjectMissingError, StepError
from marquee.monitoring.decision import Decision, QualityFacts, WindowFacts, as_markdown
from marquee.monitoring.drift import calibrate, judge_window
from marquee.monitoring.drift_config import DriftConfig
from marquee.monitoring.drift_policy import DriftState
from marquee.monitoring.exposure import Exposure
from marquee.monitoring.exposure_frame import to_frame
from marquee.monitoring.exposure_lines import exposure_files, read_exposures
from marquee.monitoring.quality import QualityConfig, QualityReport, look_at
from marquee.monitoring.quality_profile import EXPOSURES, Baseline
from marquee.monitoring.report_rows import report_rows
from marquee.monitoring.window import Window, window_of
from marquee.packing import Model
from marquee.steps.drift_lists import ask_bundle
from marquee.steps.drift_windows import Events, Wanted, read_windows, spans_of, window_name
from marquee.steps.notify import tell
from marquee.steps.task import Task

DECISION: Final = "decision.json"
MARKDOWN: Final = "decision.md"
SPANS_LOOKED_AT: Final = 8
"""Of the reference, by which the data gate judges the window."""
LOUD: Final = ("blocked", "surge", "report", "retrain")
"""Verdicts that people hear of; of a refresh only where there is a surge besides."""


@dataclass(frozen=True, eq=False)
class DriftQuestion:
    """What to compare with what, and how."""

    storage: str
    """The data set's name, by which decisions are kept."""
    main: Path
    """Folder of its warehouse, or of `ingest_interactions`."""
    current: str
    reference: str = ""
    """As `drift_windows`; empty for all of the main warehouse before the current window."""
    model: Model | None = None
    """Whose lists are asked for."""
    bundle_id: str = ""
    """That serves; of the model where that is given."""
    exposures: Path | None = None
    """Folder of the log of what was shown."""
    drift: DriftConfig = field(default_factory=DriftConfig)
    quality: QualityConfig = field(default_factory=QualityConfig)
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Detected:
    """What came of it."""

    decision: Decision
    report: DriftReport
    quality: QualityReport

    @property
    def markdown(self) -> str:
        """For people: the decision, and where there is no report, why."""
        text = as_markdown(self.decision)
        if not self.report.fault:
            return text
        return f"{text}\nThe decision stands without a report:\n\n```\n{self.report.fault}\n```\n"


def detect(question: DriftQuestion, state: DriftState, out: Path, *, now: datetime) -> Detected:
    """Decide, and write decision.json, decision.md and Evidently's report into a folder.

    The decision is written before the report is begun.

    Args:
        question: what to compare.
        state: of the windows before.
        out: the folder; made where it is missing.
        now: the present, with a zone: how old the newest event may be counts from it.

    Raises:
        MarqueeError: as `read_windows`; an exposure log that can't be read.
    """
    wanted = Wanted.of(question.reference, option="--reference") if question.reference else None
    reference, current = read_windows(wanted, Wanted.of(question.current, option="--current"), question.main)
    decision, quality = _decided(question, reference, current, state, now)
    out.mkdir(parents=True, exist_ok=True)
    (out / DECISION).write_bytes(decision.to_json())
    drawn = write_report(
        report_rows(reference.events, reference.users, reference.movies),
        report_rows(current.events, current.users, current.movies),
        out,
        window_end=datetime.fromtimestamp(current.end_us / 1e6, UTC),
        seed=question.seed,
    )
    detected = Detected(decision, drawn, quality)
    (out / MARKDOWN).write_text(detected.markdown, encoding="utf-8")
    return detected


def _decided(
    question: DriftQuestion, reference: Events, current: Events, state: DriftState, now: datetime
) -> tuple[Decision, QualityReport]:
    spans = list(spans_of(reference, current.length_us))
    exposures = None if question.exposures is None else _exposures(question.exposures)
    quality = _looked_at(question, reference, current, spans, exposures, now)
    model_id = question.bundle_id or (question.model.manifest.bundle_id if question.model else "")
    learned = _learned(question.model, current)
    facts = WindowFacts(
        window_id=window_name(question.storage, current), ended_at_us=current.end_us, bundle_id=model_id,
        users=0, users_in_window=0, reference_users=0, pool=0,
        learned_events=len(learned), known_events=len(current.history),
        learned_users=learned[schema.USER_ID].n_unique(),
        known_users=current.history[schema.USER_ID].n_unique(),
        inputs={
            "reference": f"{reference.id} {window_name(question.storage, reference)}",
            "current": f"{current.id} {window_name(question.storage, current)}",
            "bundle": question.model.manifest.bundle_id if question.model else "",
        },
    )  # fmt: skip
    past, notes = _window(question, reference, spans, exposures, cut_us=current.length_us)
    new, more = _window(question, current, [(current.start_us, current.end_us)], exposures, cut_us=None)
    decision = judge_window(
        calibrate(past, config=question.drift, seed=question.seed),
        new,
        facts,
        state=state,
        quality=QualityFacts(verdict=quality.verdict, words=quality.words),
        notes=tuple(dict.fromkeys((*notes, *more))),
    )
    return decision, quality


def _learned(model: Model | None, current: Events) -> pl.DataFrame:
    """Events that a model had when it was trained, of those that are there now; none without a model."""
    if model is None:
        return current.history.clear()
    until_us = int(model.manifest.content.get("learned_until_us", 0))
    return current.history.filter(pl.col(schema.TIMESTAMP).dt.epoch("us") <= until_us)


def _window(
    question: DriftQuestion,
    window: Events,
    spans: Sequence[tuple[int, int]],
    exposures: pl.DataFrame | None,
    *,
    cut_us: int | None,
) -> tuple[Window, tuple[str, ...]]:
    shown, notes = (None if exposures is None else _between(exposures, window)), []
    asked = None
    if question.model is not None:
        asked = ask_bundle(question.model, window, spans, seed=question.seed)
        if asked is None:
            notes.append(
                "the bundle learned from a window, or nobody did enough in it to be asked: no lists of it"
            )
    if shown is None or shown.is_empty():
        shown = asked.shown if asked else None
    whole = [each for each in spans if each[0] >= window.start_us]
    events = _between(
        window.events, window, start_us=min((start for start, _ in whole), default=window.start_us)
    )
    made = window_of(
        window.id, _ending(events, window.end_us), users=window.users, movies=window.movies, shown=shown,
        quality=asked.quality if asked else None, span_us=cut_us, last_us=window.end_us - 1,
    )  # fmt: skip
    return made, tuple(notes)


def _ending(events: pl.DataFrame, end_us: int) -> pl.DataFrame:
    return events.filter(pl.col(schema.TIMESTAMP).dt.epoch("us") < end_us)


def _between(table: pl.DataFrame, window: Events, *, start_us: int | None = None) -> pl.DataFrame:
    time = pl.col(schema.TIMESTAMP).dt.epoch("us")
    start = window.start_us if start_us is None else start_us
    return table.filter((time >= start) & (time < window.end_us))


def _exposures(folder: Path) -> pl.DataFrame:
    """What was shown on the home surface, once each: other lists have no ranker's scores."""
    read = (entry for file in exposure_files(folder) for entry in read_exposures(file))
    table = to_frame(entry for entry in read if isinstance(entry, Exposure) and entry.surface == "home")
    return table.unique([schema.REQUEST_ID, schema.POSITION], keep="first", maintain_order=True)


def _looked_at(
    question: DriftQuestion,
    reference: Events,
    current: Events,
    spans: Sequence[tuple[int, int]],
    exposures: pl.DataFrame | None,
    now: datetime,
) -> QualityReport:
    """The data gate of the window, by the reference's newest spans."""
    baseline = Baseline()
    for start, end in reversed(spans[:SPANS_LOOKED_AT]):
        name = f"{start}..{end}"
        baseline = baseline.with_profile(
            look_at(name, _tables(reference, exposures, start, end), Baseline()).profile
        )
    tables = _tables(current, exposures, current.start_us, current.end_us)
    now_us = round(now.timestamp() * 1e6)
    return look_at("current", tables, baseline, config=question.quality, now_us=now_us)


def _tables(
    window: Events, exposures: pl.DataFrame | None, start_us: int, end_us: int
) -> dict[str, pl.LazyFrame | pl.DataFrame]:
    """The rows of a span, its users, and the catalogue, which is of no time."""
    inside = pl.col(schema.TIMESTAMP).dt.epoch("us").is_between(start_us, end_us, closed="left")
    events = window.events.filter(inside)
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in _UNREAD.items()]
    tables: dict[str, pl.LazyFrame | pl.DataFrame] = {schema.INTERACTIONS: events.with_columns(absent)}
    if len(window.users):
        tables[schema.USERS] = window.users.join(events, on=schema.USER_ID, how="semi")
    if len(window.movies):
        tables[schema.MOVIES] = window.movies
    if exposures is not None and len(shown := exposures.filter(inside)):
        tables[EXPOSURES] = shown
    return tables


_UNREAD: Final = {
    name: dtype
    for name, dtype in schema.INTERACTIONS_SCHEMA.items()
    if name not in {*schema.REQUIRED_COLUMNS, schema.VALUE}
}
"""Columns that no signal reads; they are looked at where they are ingested."""


def detect_drift(question: DriftQuestion, out: Path, *, store: ObjectStore, task: Task) -> Detected:
    """`detect` with its memory in the object store, and a message to people where there is something to say.

    The decision is kept as `drift/<data set>/<key>.json` before the state that it leads to, so that a step
    that is tried again finds the state of before, or the very decision.

    Raises:
        StepError: another check of the same data set decided at the same moment.
        MarqueeError: as `detect`; the store does not answer.
    """
    state, version = _state(store, question.storage)
    detected = detect(question, state, out, now=task.now)
    decision = detected.decision
    if decision.state_after != decision.state_before:
        kept = f"drift/{question.storage}/{decision.outcome.key}.json"
        store.put_file(kept, out / DECISION)
        try:
            content = decision.state_after.model_dump_json(indent=1).encode()
            store.write(_state_key(question.storage), content, expected=version)
        except ConflictError as error:
            raise StepError(
                f"Another check of {question.storage} decided at the same moment.",
                remedy="Run this one again.",
            ) from error
        _say(decision, task)
    return detected


def _state_key(storage: str) -> str:
    return f"drift/{storage}/state.json"


def _state(store: ObjectStore, storage: str) -> tuple[DriftState, str | None]:
    try:
        document = store.read(_state_key(storage))
    except ObjectMissingError:
        return DriftState(), None
    try:
        return DriftState.model_validate_json(document.content), document.version
    except ValueError as error:
        raise ConfigError(
            f"{store.uri}/{_state_key(storage)} holds no state of the drift policy.",
            remedy="Remove it to begin anew.",
        ) from error


def _say(decision: Decision, task: Task) -> None:
    """Log a verdict, and post those that somebody should hear of; a message that fails fails nothing."""
    outcome = decision.outcome
    text = f"marquee drift, {decision.window.window_id}: {outcome.verdict}. {outcome.reason}"
    is_for_people = outcome.verdict in LOUD or outcome.tier == "C"
    tell("\n".join([text, *decision.quality.words]), task, is_for_people=is_for_people)


def scalars(decision: Decision) -> dict[str, float]:
    """What is drawn over time: the z's, the window's size, and how far the data has grown."""
    measured = {f"z_{name}": round(z, 4) for name, z in decision.z.items() if z is not None}
    if (growth := decision.observation.growth) is not None:
        measured["growth"] = round(growth, 4)
    return {"users": decision.window.users, "pool": decision.window.pool, **measured}


def as_json(values: dict[str, float]) -> str:
    """Metrics as a file."""
    return json.dumps(values, indent=1, sort_keys=True)
