"""What a finished training leaves: its bundles, its metrics, and where they came from."""

import math
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from marquee import __version__
from marquee.assessment import HEADLINE, TWO_STAGE
from marquee.bundle import write_bundle
from marquee.config import TrainingConfig
from marquee.data.dataset import Dataset
from marquee.evaluation.report import render_evaluation
from marquee.observing import peak_rss_mb
from marquee.packing import describe, pack
from marquee.recommend import Recommender
from marquee.run_folder import BUNDLE, CONFIG, EVALUATED, METRICS, REPORT, write_config, write_json
from marquee.training import TrainingResult

LIBRARIES: Final = ("numpy", "scipy", "polars", "lightgbm", "xgboost", "implicit", "feast", "holidays")
"""Libraries whose version may change what a model computes; named in the manifest."""


def run_metrics(
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
        "second_stage": result.second_stage.to_dict(),
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


def write_bundles(
    folder: Path,
    result: TrainingResult,
    dataset: Dataset,
    config: TrainingConfig,
    *,
    features: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> str:
    """Write the model to serve and the one that was measured into a folder; returns the id of the first.

    Raises:
        BundleError: one is there already, or the disk refuses.
    """
    events = dataset.interactions
    variants: dict[str, tuple[Recommender, int]] = {
        BUNDLE: (result.recommender, int(events.timestamp_us[-1])),
        EVALUATED: (result.evaluated, result.split.cut_us),
    }
    ids = {}
    for kind, (recommender, until_us) in variants.items():
        content = {
            "kind": kind,
            "dataset": dataset.name,
            "snapshot": dataset.snapshot_id,
            "learned_until_us": until_us,
            **describe(recommender, config.as_trained),
            "features": dict(features),
            "metrics": {
                label: value
                for label, value in result.assessment.evaluation.means[TWO_STAGE].items()
                if not math.isnan(value)  # JSON knows no NaN
            },
        }
        manifest = write_bundle(
            folder / kind,
            pack(recommender, dataset.movies),
            content=content,
            provenance=provenance,
        )
        ids[kind] = manifest.bundle_id
    return ids[BUNDLE]


def write_outcome(folder: Path, metrics: Mapping[str, Any], config: TrainingConfig, *, run_id: str) -> None:
    """Write what people read of a run beside its bundles: metrics.json, report.html, config.yaml.

    Raises:
        OSError: the disk refuses.
    """
    write_json(folder / METRICS, metrics)
    (folder / REPORT).write_text(render_evaluation(metrics, run=run_id), encoding="utf-8")
    write_config(folder / CONFIG, config)


def provenance_of(run_id: str, storage: str, *, now: datetime) -> dict[str, Any]:
    """Where and when a bundle was made, by what."""
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
