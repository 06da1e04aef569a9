"""What the code exports: metrics of a real registry, the jobs' gauges, and what the rules record of them."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

from prometheus_client import CollectorRegistry
from prometheus_client import Metric as Family

from marquee import schema
from marquee.adapters.exposures.log import ExposureCounts
from marquee.experiments.decision import Action
from marquee.monitoring import drift_policy, gauges, quality
from marquee.monitoring.canary_state import Phase
from marquee.monitoring.drift_readings import TIERS
from marquee.monitoring.omnibus import OMNIBUS
from marquee.monitoring.signals import SIGNALS
from marquee.online_metrics.readings import BY_METRIC
from serving.housekeeping import follow
from serving.metrics import Metrics
from tests.k8s import promql

ROOT = Path(__file__).parents[2]
SERVING_DOCS = ROOT / "docs" / "serving.md"
MOST_LABELS = 6


def degraded_reasons() -> frozenset[str]:
    """As docs/serving.md promises them."""
    text = SERVING_DOCS.read_text(encoding="utf-8")
    rows = text[text.index("| `degraded_reasons` |") :].split("\n\n", 1)[0].splitlines()[2:]
    return frozenset(name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1]))


def known_values() -> dict[tuple[str, str], frozenset[str]]:
    """The values of labels whose values are few, by metric and label."""
    counts = ExposureCounts.__dataclass_fields__
    return {
        ("marquee_requests_total", "outcome"): frozenset({"ok", "empty", "degraded", "refused", "error"}),
        ("marquee_requests_total", "surface"): frozenset({*schema.SURFACES, "unknown"}),
        ("marquee_request_seconds", "surface"): frozenset(schema.SURFACES),
        ("marquee_fallback_total", "surface"): frozenset(schema.SURFACES),
        ("marquee_stage_seconds", "stage"): frozenset({"row", "wait", "list"}),
        ("marquee_degraded_total", "reason"): degraded_reasons(),
        ("marquee_exposures", "state"): frozenset(counts),
        ("marquee_store_paused", "store"): frozenset({"online"}),
        (gauges.LAST_SUCCESS.name, "step"): frozenset(
            {"online", "drift", "canary:marquee", "experiment:new-ranker"}
        ),
        (gauges.DATA_GATE.name, "verdict"): frozenset(get_args(quality.Verdict)),
        (gauges.NEWEST_ROW.name, "source"): frozenset(quality.SOURCE_SCHEMAS),
        (gauges.DRIFT_DECISION.name, "tier"): frozenset(TIERS),
        (gauges.DRIFT_VERDICT.name, "verdict"): frozenset(get_args(drift_policy.Verdict)),
        (gauges.DRIFT_Z.name, "signal"): frozenset({*SIGNALS, OMNIBUS}),
        (gauges.CANARY_PHASE.name, "phase"): frozenset(get_args(Phase)),
        (gauges.EXPERIMENT_ACTION.name, "action"): frozenset(get_args(Action)),
        (gauges.ONLINE_LOW.name, "metric"): frozenset(BY_METRIC),
        (gauges.ONLINE_HIGH.name, "metric"): frozenset(BY_METRIC),
        (gauges.ONLINE_PERIOD_END.name, "kind"): frozenset({"outcome", "requests"}),
    }


def server_families() -> Iterable[Family]:
    """Of a registry in which everything that a server counts was counted once."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    for each in vars(metrics).values():
        if hasattr(each, "labels") and hasattr(each, "collect"):
            _count_once(each)
    counts = ExposureCounts(**dict.fromkeys(ExposureCounts.__dataclass_fields__, 0))
    follow(metrics, _engine(counts))
    return registry.collect()


def _count_once(metric: Any) -> None:
    """Make a child: the client gives no other public word on a metric's labels."""
    for n in range(1, MOST_LABELS + 1):
        try:
            metric.labels(*["?"] * n)
        except ValueError:
            continue
        return


def _engine(counts: ExposureCounts) -> Any:
    """As much of an engine as `follow` reads."""
    slot = SimpleNamespace(state_as_of_us=0, trained_at=datetime(2026, 1, 1, tzinfo=UTC))
    rows = SimpleNamespace(breaker=SimpleNamespace(is_open=False), read=None)
    slots = SimpleNamespace(current={"default": slot})
    return SimpleNamespace(slots=slots, rows=rows, exposures=SimpleNamespace(counts=counts))


def of_families(families: Iterable[Family]) -> dict[str, promql.Metric]:
    """Names as Prometheus stores them, with the bounds of histograms as values of `le`."""
    known = known_values()
    found: dict[str, dict[str, set[str]]] = {}
    families = list(families)
    base = {sample.name: family.name for family in families for sample in family.samples}
    for family in families:
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return {
        name: promql.Metric(
            {
                label: frozenset(values)
                if label == "le"
                else known.get((name, label), known.get((base[name], label)))
                for label, values in labels.items()
            }
        )
        for name, labels in found.items()
    }


def of_jobs() -> dict[str, promql.Metric]:
    """The gauges that jobs leave behind."""
    known = known_values()
    return {
        each.name: promql.Metric({label: known.get((each.name, label)) for label in each.labels})
        for each in gauges.GAUGES
    }


def exported() -> dict[str, promql.Metric]:
    """All that is exported."""
    return {**of_families(server_families()), **of_jobs()}


def with_recorded(
    metrics: Mapping[str, promql.Metric], rules: Iterable[Mapping[str, Any]]
) -> dict[str, promql.Metric]:
    """And what rules record, in their order.

    Raises:
        promql.PromqlError: a rule asks for something that there is not.
    """
    found = dict(metrics)
    for rule in rules:
        if "record" in rule:
            asked = promql.read(rule["expr"], found)
            found[rule["record"]] = promql.Metric(dict.fromkeys(asked.labels))
    return found
