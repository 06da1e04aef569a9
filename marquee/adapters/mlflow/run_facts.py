"""A finished run in MLflow's three words: parameters, metrics and tags, within its limits."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from marquee.bundle import Manifest

LONGEST_PARAM: Final = 6000
"""Characters of a parameter's value that MLflow keeps; the whole lies in the artifact config.yaml."""
LONGEST_TAG: Final = 8000
"""The same of a tag's."""

RUN: Final = "marquee.run_id"
BUNDLE: Final = "marquee.bundle_id"
DATASET: Final = "marquee.dataset"
SNAPSHOT: Final = "marquee.snapshot"
GATE: Final = "marquee.gate"
PASSED: Final = "passed"
REFUSED: Final = "refused"


def params_of(config: Mapping[str, Any]) -> dict[str, str]:
    """A configuration as flat parameters: `ranker.lightgbm.num_leaves` → "31".

    Lists are JSON, empty sections are left out, what is too long is cut and ends in "…".
    """
    return {key: _shortened(_text(value), LONGEST_PARAM) for key, value in _leaves(config, "")}


def _leaves(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def metrics_of(measured: Mapping[str, Any]) -> dict[str, float]:
    """What `metrics.json` measured as flat numbers.

    `two_stage/ndcg_at_10` is a model's mean, `two_stage/ndcg_at_10_low` and `…_high` the bounds of its
    interval; `ceiling/union` the recall that candidates allow; `seconds/ranker` a stage's time. MLflow
    takes no "@" in a name, and makes a section of what stands before the "/".
    """
    found = {
        f"{model}/{_name(label)}": value
        for model, means in measured["models"].items()
        for label, value in means.items()
    }
    for model, intervals in measured["intervals"].items():
        for label, interval in intervals.items():
            found |= {f"{model}/{_name(label)}_{end}": interval[end] for end in ("low", "high")}
    groups = {"ceiling": "recall_ceiling", "seconds": "seconds", "data": "data"}
    for group, key in groups.items():
        found |= {f"{group}/{_name(name)}": value for name, value in measured.get(key, {}).items()}
    found["queries"] = measured["n_queries"]
    found["peak_rss_mb"] = measured.get("peak_rss_mb")
    return {name: float(value) for name, value in found.items() if _is_number(value)}


def _name(label: str) -> str:
    """A name that MLflow takes: `ndcg@10` → `ndcg_at_10`, "training set" → `training_set`."""
    return label.replace("@", "_at_").replace(" ", "_")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def tags_of(measured: Mapping[str, Any], manifest: Manifest) -> dict[str, str]:
    """What the run was: data, commit, bundle, verdict; and a few lines for MLflow's page of the run."""
    gate, provenance = measured["gate"], manifest.provenance
    tags = {
        RUN: provenance["run_id"],
        BUNDLE: manifest.bundle_id,
        DATASET: measured["dataset"],
        SNAPSHOT: measured["snapshot"],
        GATE: verdict(gate),
        "marquee.gate_reasons": "\n".join(gate_reasons(gate)),
        "marquee.protocol": measured["protocol"],
        "marquee.seed": str(measured["seed"]),
        "marquee.version": provenance["marquee"],
        "mlflow.source.name": "marquee",
        "mlflow.source.git.commit": provenance.get("git_commit"),
        "mlflow.note.content": description(measured, manifest),
    }
    return {key: _shortened(value, LONGEST_TAG) for key, value in tags.items() if value}


def verdict(gate: Mapping[str, Any]) -> str:
    """The gate's word."""
    return PASSED if gate["passed"] else REFUSED


def gate_reasons(gate: Mapping[str, Any]) -> list[str]:
    """Why: the checks that stopped the run, or all of them where none did; then what was not checked."""
    checks: Sequence[Mapping[str, Any]] = gate["checks"]
    told = [check for check in checks if gate["passed"] or not check["passed"]]
    return [*(f"{check['name']}: {check['reason']}" for check in told), *gate["notes"]]


def description(measured: Mapping[str, Any], manifest: Manifest) -> str:
    """The run in a few lines of Markdown."""
    label = measured["headline"]["metric"]
    rows = [
        f"| {model} | {means[label]:.4f} | {_interval(measured, model, label)} |"
        for model, means in sorted(measured["models"].items(), key=lambda entry: -entry[1].get(label, 0.0))
        if label in means
    ]
    return "\n".join(
        [
            f"Bundle `{manifest.bundle_id}` from {measured['dataset']}: "
            f"the gate {verdict(measured['gate'])} it ({measured['n_queries']} queries).",
            "",
            f"| model | {label} | interval |",
            "|---|---|---|",
            *rows,
        ]
    )


def _interval(measured: Mapping[str, Any], model: str, label: str) -> str:
    interval = measured["intervals"].get(model, {}).get(label)
    return f"{interval['low']:.4f} – {interval['high']:.4f}" if interval else ""
