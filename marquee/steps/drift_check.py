"""The drift check as a step of a pipeline: with the champion of the data set, and its memory in the store."""

import json
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

from marquee.adapters.object_store import open_store
from marquee.adapters.prometheus_text import as_text
from marquee.monitoring.drift_config import DriftConfig
from marquee.monitoring.drift_readings import readings
from marquee.monitoring.quality import QualityConfig
from marquee.packing import Model
from marquee.registering import Models
from marquee.rivals import read_kept
from marquee.run_folder import BUNDLE
from marquee.steps.detect_drift import DECISION, Detected, DriftQuestion, detect_drift, scalars
from marquee.steps.folders import Data
from marquee.steps.knobs import ConfigPart, read_part
from marquee.steps.task import Task

_PAGE: Final = "<!doctype html><meta charset='utf-8'><title>No drift report</title><pre>{}</pre>"


class _Knobs(ConfigPart):
    seed: int = 7
    drift: DriftConfig = DriftConfig()
    quality: QualityConfig = QualityConfig()


@dataclass(frozen=True)
class DriftCheck:
    """What the step hands on."""

    retrain: bool
    scalars: dict[str, float]
    artifacts: tuple[str, str, str, str, str]
    """Decision, reason, numbers, page and gauges, as texts."""


def check_drift(
    data: Path, *, config: str, current: str, reference: str, out: Path, task: Task
) -> DriftCheck:
    """Decide about the newest window of a snapshot.

    Args:
        data: the folder of `ingest_interactions`.
        config: as `read_config`.
        current: the window, as `drift_windows`.
        reference: what to compare with; empty for all before the window.
        out: folder for the report.
        task: where models, decisions and exposures are, and the present.

    Raises:
        MarqueeError: as `detect_drift`; the champion's bundle can't be read.
    """
    facts, knobs = Data.read(data), read_part(config, _Knobs)
    exposures = Path(task.settings.exposures_address)
    question = DriftQuestion(
        storage=facts.storage, main=data, current=current, reference=reference,
        model=_champion(facts.storage, task), exposures=exposures if exposures.is_dir() else None,
        drift=knobs.drift, quality=knobs.quality, seed=knobs.seed,
    )  # fmt: skip
    detected = detect_drift(question, out, store=open_store(task.settings.models_uri), task=task)
    numbers = scalars(detected.decision)
    text = (out / DECISION).read_text(encoding="utf-8")
    return DriftCheck(
        detected.decision.outcome.retrain,
        numbers,
        (
            text,
            detected.markdown,
            json.dumps(numbers, indent=1, sort_keys=True),
            _page(detected),
            as_text(readings(detected.decision, detected.quality, now=task.now)),
        ),
    )


def _champion(storage: str, task: Task) -> Model | None:
    models = Models.of(storage, task.settings, task.environment)
    champion = models.champion()
    return None if champion is None else read_kept(models, champion.bundle_id, BUNDLE)


def _page(detected: Detected) -> str:
    if detected.report.html is None:
        return _PAGE.format(escape(detected.markdown))
    return detected.report.html.read_text(encoding="utf-8")
