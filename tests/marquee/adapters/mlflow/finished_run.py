"""A finished run of plain files, without the training."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from marquee.bundle import Parts, write_bundle

CREATED = "2026-01-02T03:04:05+00:00"
CREATED_MS = 1_767_323_045_000
SNAPSHOT = "69ecf221" * 8


@dataclass(frozen=True)
class FinishedRun:
    """A run folder with what its metrics.json holds."""

    folder: Path
    measured: dict[str, Any]
    bundle_id: str

    @property
    def bundle(self) -> Path:
        return self.folder / "bundle"


def measured(*, passed: bool = True) -> dict[str, Any]:
    """Two models, one of them with an interval, and a verdict."""
    check = {
        "name": "inputs",
        "passed": passed,
        "observed": 3,
        "threshold": 2,
        "reason": "3 aligned queries.",
    }
    fine = {"name": "route", "passed": True, "observed": 0.1, "threshold": 0, "reason": "better than ease."}
    return {
        "dataset": "ml-100k",
        "snapshot": SNAPSHOT,
        "protocol": "temporal",
        "headline": {"model": "two_stage", "metric": "ndcg@10"},
        "seed": 7,
        "n_queries": 3,
        "models": {"two_stage": {"ndcg@10": 0.5, "gini@1": 0.25}, "ease": {"ndcg@10": 0.4, "gini@1": None}},
        "intervals": {"two_stage": {"ndcg@10": {"estimate": 0.5, "low": 0.375, "high": 0.625}}},
        "recall_ceiling": {"union": 0.75},
        "gate": {"passed": passed, "checks": [check, fine], "notes": ["age_band is no guardrail."]},
        "seconds": {"training set": 2.0, "ranker": 1.5},
        "data": {"users": 5},
        "source": "a folder",
    }


def write_run(root: Path, name: str = "run-1", *, passed: bool = True, weight: float = 1.0) -> FinishedRun:
    """A run folder; another weight is another bundle."""
    folder = root / name
    folder.mkdir(parents=True)
    numbers = measured(passed=passed)
    content = {
        "dataset": "ml-100k",
        "snapshot": SNAPSHOT,
        "config": {"seed": 7, "routes": {"enabled": ["als", "ease"], "popular": {}}, "text": "x" * 7000},
        "metrics": numbers["models"]["two_stage"],
    }
    provenance = {"run_id": name, "created_at": CREATED, "git_commit": "3c83e6e", "marquee": "0.1.0"}
    parts = Parts(arrays={"weights": np.array([weight])})
    manifest = write_bundle(folder / "bundle", parts, content=content, provenance=provenance)
    (folder / "metrics.json").write_text(json.dumps(numbers), encoding="utf-8")
    (folder / "report.html").write_text("<h1>report</h1>", encoding="utf-8")
    (folder / "config.yaml").write_text("seed: 7\n", encoding="utf-8")
    (folder / "bundle.txt").write_text("bundle\n", encoding="utf-8")
    return FinishedRun(folder, numbers, manifest.bundle_id)
