"""One whole run: a data set's name in, a finished run folder out."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from marquee.adapters.object_store import open_store
from marquee.config import TrainingConfig
from marquee.data.dataset import Dataset
from marquee.data.datasets.load import load_dataset
from marquee.data.datasets.prepare import Prepared, prepare_dataset, storage_name
from marquee.data.warehouse import Warehouse
from marquee.feature_state import FeatureState
from marquee.features.calendar import with_calendar
from marquee.feed_gate import look_at_snapshot, require_fit
from marquee.observing import MemoryWatch, Observer, StageClock
from marquee.outcome import provenance_of, run_metrics, write_bundles, write_outcome
from marquee.registering import CHAMPION, Models
from marquee.rivals import rival_of
from marquee.run_folder import champion_config, crown, finished_path, new_run, point_at_bundle
from marquee.run_page import include_study
from marquee.settings import Settings
from marquee.studies import StudyOfRun
from marquee.training import Rival, TrainingResult, train


@dataclass(frozen=True, eq=False)
class RunSummary:
    """A finished run."""

    folder: Path
    bundle_id: str
    dataset: Dataset
    prepared: Prepared
    result: TrainingResult
    metrics: dict[str, Any]
    study: StudyOfRun
    """The search that the run's page shows, or why it shows none."""


def run_training(
    name: str,
    config: TrainingConfig,
    settings: Settings,
    *,
    now: datetime,
    observer: Observer,
    source: str | None = None,
    pinned: Prepared | None = None,
) -> RunSummary:
    """Fetch, ingest, train, evaluate, gate, and leave a run folder.

    Args:
        name: a data set of the catalogue.
        config: the run's knobs.
        settings: where data and runs lie.
        now: the present, with a zone.
        observer: hears the stages.
        source: folder, zip or URL of the data set, instead of the publisher's.
        pinned: what the warehouse of the settings is to hold, as it was at some revision: nothing is
            fetched or ingested then, and the run does not become champion of the present data.

    Raises:
        MarqueeError: whatever a user can cause on the way; no run folder is left then.
    """
    watch = MemoryWatch(observer)
    clock = StageClock(watch)
    with new_run(settings.runs, now=now) as partial:
        with clock.stage("fetch and ingest") as report:
            storage = storage_name(name, source=source, config=config.dataset)
            warehouse = Warehouse(settings.warehouse(storage))
            prepared = pinned or prepare_dataset(
                name,
                warehouse=warehouse,
                cache=settings.cache,
                now=now,
                source=source,
                config=config.dataset,
                on_progress=lambda _what, done, total: report(done, total),
            )
        with clock.stage("load"):
            dataset = load_dataset(name, warehouse, prepared.snapshot, notes=prepared.notes)
            dataset = with_calendar(dataset, config.dataset.calendar_country)
            if pinned is None:  # a revision of the past is held against no later one
                _require_fit_feeds(warehouse, prepared, config, settings, storage=storage, now=now)
        state = FeatureState.of(storage, settings, environment=os.environ)
        with clock.stage("feature state") as report:
            state_id = state.build(warehouse, prepared.snapshot, dataset, on_progress=report)
        with clock.stage("feature store"):
            reader = state.declare()
        models = Models.of(storage, settings, os.environ)
        champion = models.champion()
        rival = rival_of(champion, models) or _by_recipe(champion_config(settings.runs, storage))
        result = train(dataset, config, reader, champion=rival, observer=watch)
        with clock.stage("write bundle"):
            provenance = provenance_of(finished_path(partial).name, storage, now=now)
            features = {"state": state_id, "services": dict(reader.contracts)}
            bundle_id = write_bundles(
                partial, result, dataset, config, features=features, provenance=provenance
            )
        with clock.stage("bring online") as report:
            as_of = datetime.fromtimestamp(
                int(result.recommender.catalogue.states.moments_us[-1]) / 1e6, tz=UTC
            )
            state.bring_online(reader.door, as_of=as_of, now=now, on_progress=report)
        seconds = {**clock.seconds, **result.seconds}
        metrics = run_metrics(dataset, config, result, seconds=seconds, memory_mb=watch.memory_mb)
        folder = finished_path(partial)
        written = {
            **metrics,
            "bundle_id": bundle_id,
            "source": prepared.source,
            "storage": storage,
            CHAMPION: champion.bundle_id if champion else None,
        }
        write_outcome(partial, written, config, run_id=folder.name)
        point_at_bundle(partial)
    study = include_study(folder, settings)
    if result.assessment.gate.passed and pinned is None:
        with clock.stage("register"):
            models.register(folder, written)
            models.promote(bundle_id, written, now=now)
        crown(settings.runs, folder, storage)
    return RunSummary(folder, bundle_id, dataset, prepared, result, metrics, study)


def _require_fit_feeds(
    warehouse: Warehouse,
    prepared: Prepared,
    config: TrainingConfig,
    settings: Settings,
    *,
    storage: str,
    now: datetime,
) -> None:
    """Stop before anything learns from a broken feed.

    Raises:
        DataQualityError: the data gate blocks.
    """
    report = look_at_snapshot(
        warehouse, prepared.snapshot, storage=storage, store=open_store(settings.models_uri),
        config=config.quality, now=now,
    )  # fmt: skip
    require_fit(report, f"snapshot {prepared.snapshot.id[:12]} of {prepared.name}")


def _by_recipe(config: TrainingConfig | None) -> Rival | None:
    """A champion of before there was a registry."""
    return None if config is None else Rival(config)
