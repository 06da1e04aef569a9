"""One whole run: a data set's name in, a finished run folder out."""

import math
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from marquee import __version__, schema
from marquee.assessment import HEADLINE, TWO_STAGE
from marquee.bundle import write_bundle
from marquee.config import Settings, TrainingConfig
from marquee.data.dataset import Dataset
from marquee.data.datasets.catalogue import home_country
from marquee.data.datasets.prepare import Prepared, load_dataset, prepare_dataset, storage_name
from marquee.data.warehouse import Warehouse
from marquee.evaluation.report import render_evaluation
from marquee.feature_state import FeatureState
from marquee.features.calendar import calendar_around
from marquee.observing import MemoryWatch, Observer, StageClock, peak_rss_mb
from marquee.packing import pack
from marquee.recommend import Recommender
from marquee.run_folder import (
    BUNDLE,
    EVALUATED,
    METRICS,
    REPORT,
    champion_config,
    crown,
    finished_path,
    new_run,
    write_config,
    write_json,
)
from marquee.training import TrainingResult, train

LIBRARIES: Final = ("numpy", "scipy", "polars", "lightgbm", "xgboost", "implicit", "feast", "holidays")
"""Libraries whose version may change what a model computes; named in the manifest."""


@dataclass(frozen=True, eq=False)
class RunSummary:
    """A finished run."""

    folder: Path
    bundle_id: str
    dataset: Dataset
    prepared: Prepared
    result: TrainingResult
    metrics: dict[str, Any]


def run_training(
    name: str,
    config: TrainingConfig,
    settings: Settings,
    *,
    now: datetime,
    observer: Observer,
    source: str | None = None,
) -> RunSummary:
    """Fetch, ingest, train, evaluate, gate, and leave a run folder.

    Args:
        name: a data set of the catalogue.
        config: the run's knobs.
        settings: where data and runs lie.
        now: the present, with a zone.
        observer: hears the stages.
        source: folder, zip or URL of the data set, instead of the publisher's.

    Raises:
        MarqueeError: whatever a user can cause on the way; no run folder is left then.
    """
    watch = MemoryWatch(observer)
    clock = StageClock(watch)
    with new_run(settings.runs, now=now) as partial:
        with clock.stage("fetch and ingest") as report:
            storage = storage_name(name, source=source, config=config.dataset)
            warehouse = Warehouse(settings.warehouse(storage))
            prepared = prepare_dataset(
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
            dataset = with_calendar(dataset, config)
        state = FeatureState.of(storage, settings, environment=os.environ)
        with clock.stage("feature state") as report:
            state_id = state.build(warehouse, prepared.snapshot, dataset, on_progress=report)
        with clock.stage("feature store"):
            reader = state.declare()
        champion = champion_config(settings.runs, storage)
        result = train(dataset, config, reader, champion=champion, observer=watch)
        with clock.stage("write bundle"):
            provenance = _provenance(finished_path(partial).name, storage, now=now)
            features = {"state": state_id, "services": dict(reader.contracts)}
            bundle_id = _write_bundles(
                partial, result, dataset, config, features=features, provenance=provenance
            )
        with clock.stage("bring online") as report:
            as_of = datetime.fromtimestamp(
                int(result.recommender.catalogue.states.moments_us[-1]) / 1e6, tz=UTC
            )
            state.bring_online(reader.door, as_of=as_of, now=now, on_progress=report)
        seconds = {**clock.seconds, **result.seconds}
        metrics = _metrics(dataset, config, result, seconds=seconds, memory_mb=watch.memory_mb)
        folder = finished_path(partial)
        written = {**metrics, "bundle_id": bundle_id, "source": prepared.source}
        write_json(partial / METRICS, written)
        (partial / REPORT).write_text(render_evaluation(written, run=folder.name), encoding="utf-8")
        write_config(partial / "config.yaml", config)
        (partial / "bundle.txt").write_text(f"{(folder / BUNDLE).resolve()}\n", encoding="utf-8")
    if result.assessment.gate.passed:
        crown(settings.runs, folder, storage)
    return RunSummary(folder, bundle_id, dataset, prepared, result, metrics)


def with_calendar(dataset: Dataset, config: TrainingConfig) -> Dataset:
    """The data set with the calendar of its country; as it is where it has its own, or no country is known.

    Raises:
        ConfigError: the configured country is unknown.
    """
    country = config.dataset.calendar_country or home_country(dataset.name)
    if dataset.calendar is not None or country is None or not len(dataset.interactions):
        return dataset
    first_us, last_us = (int(dataset.interactions.timestamp_us[at]) for at in (0, -1))
    return replace(dataset, calendar=calendar_around(first_us, last_us, country=country))


def _metrics(
    dataset: Dataset,
    config: TrainingConfig,
    result: TrainingResult,
    *,
    seconds: Mapping[str, float],
    memory_mb: Mapping[str, float],
) -> dict[str, Any]:
    """What `metrics.json` holds beside the bundle's id."""
    events = dataset.interactions
    return {
        "dataset": dataset.name,
        "snapshot": dataset.snapshot_id,
        "protocol": "temporal",
        "k": int(HEADLINE.partition("@")[2]),
        "headline": {"model": TWO_STAGE, "metric": HEADLINE},
        "seed": config.seed,
        "cut_us": result.split.cut_us,
        **result.assessment.to_dict(),
        "notes": list(dataset.notes),
        "data": {
            "users": len(events.users),
            "items": len(events.items),
            "events": len(events),
            "first_us": int(events.timestamp_us[0]),
            "last_us": int(events.timestamp_us[-1]),
        },
        # In the order in which the stages ended.
        "seconds": {stage: round(seconds[stage], 3) for stage in memory_mb},
        "memory_mb": dict(memory_mb),
        "peak_rss_mb": round(peak_rss_mb(), 1),
    }


def _write_bundles(
    partial: Path,
    result: TrainingResult,
    dataset: Dataset,
    config: TrainingConfig,
    *,
    features: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> str:
    """Write the model to serve and the one that was measured; returns the id of the first."""
    events = dataset.interactions
    variants: dict[str, tuple[Recommender, int]] = {
        BUNDLE: (result.recommender, int(events.timestamp_us[-1])),
        EVALUATED: (result.evaluated, result.split.cut_us),
    }
    ids = {}
    for folder, (recommender, until_us) in variants.items():
        content = {
            "kind": folder,
            "dataset": dataset.name,
            "snapshot": dataset.snapshot_id,
            "learned_until_us": until_us,
            "config": config.model_dump(mode="json"),
            "routes": list(recommender.routes),
            "features": dict(features),
            "movie_state_order": list(schema.MOVIE_STATE),
            "feature_order": list(recommender.feature_names),
            "metrics": {
                label: value
                for label, value in result.assessment.evaluation.means[TWO_STAGE].items()
                if not math.isnan(value)  # JSON knows no NaN
            },
        }
        manifest = write_bundle(
            partial / folder,
            pack(recommender, dataset.movies),
            content=content,
            provenance=provenance,
        )
        ids[folder] = manifest.bundle_id
    return ids[BUNDLE]


def _provenance(run_id: str, storage: str, *, now: datetime) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "warehouse": storage,  # may tell a path of this machine apart: no part of the bundle's id
        "created_at": now.isoformat(timespec="seconds"),
        "git_commit": _git_commit(),
        "marquee": __version__,
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "cpus": os.cpu_count(),
    }


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:  # XGBoost's wheel without GPU has another name
        return version(f"{library}-cpu")


def _git_commit() -> str | None:
    """The commit of the source tree, None where the package is installed without one."""
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None
    try:
        found = subprocess.run(  # noqa: S603 - fixed arguments
            ["git", "-C", str(root), "rev-parse", "HEAD"],  # noqa: S607 - git is where the user has it
            capture_output=True, text=True, check=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()
