"""How two bundles fared, from Prometheus' HTTP API.

The server counts `marquee_requests_total{surface, variant, bundle, outcome}`, and seconds and scores by
surface and variant only; errors carry no bundle, since nobody knows whose list failed. What a process
counts is therefore given to the bundle that its `marquee_bundle_info` names for the default slot: the arms of
a canary are pods of their own, each with one bundle.

Increases are made here, from sampled counters, and not by PromQL's increase(): that loses what a series
counted before its first sample, and a canary's first errors are just that.
"""

from collections.abc import Sequence
from datetime import datetime
from math import inf, isfinite
from re import escape
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from marquee.adapters.prometheus_api import PrometheusApi, Series
from marquee.monitoring.canary_counts import Arm, Arms, Histogram

_OUTCOMES: Final = ("ok", "empty", "degraded", "error")
_NAME: Final = r"[a-zA-Z_][a-zA-Z0-9_]*"


class MetricsConfig(BaseModel):
    """Which of Prometheus' series are the servers'."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    instance_label: str = Field(default="instance", pattern=f"^{_NAME}$")
    """What tells one server process from another."""
    slot: str = "default"
    """The servers' slot whose bundle is the arm's."""
    source_metric: str = Field(default="", pattern=f"^({_NAME})?$")
    """A counter of shown items by `variant` and `route`; empty where the servers have none."""


class PrometheusMetrics:
    """As `CanaryMetrics`."""

    def __init__(self, api: PrometheusApi, config: MetricsConfig | None = None) -> None:
        self.api = api
        self.config = config or MetricsConfig()

    def read(self, champion: str, canary: str, *, since: datetime, until: datetime) -> Arms | None:
        """As `CanaryMetrics`."""
        window = _Window(self.api, self.config, since, until)
        one, other = window.arm(champion), window.arm(canary)
        if one is None or other is None:
            return None
        return Arms(since=since, until=until, champion=one, canary=other)


class _Window:
    """What both arms' processes counted between two moments, read once."""

    def __init__(self, api: PrometheusApi, config: MetricsConfig, since: datetime, until: datetime) -> None:
        self.api, self.since, self.until = api, since, until
        self.instance = config.instance_label
        select, slot = api.selector, config.slot
        infos = self._read(select("marquee_bundle_info", variant=slot))
        self.bundles: dict[str, set[str]] = {}
        self.seen: dict[str, tuple[float, float]] = {}
        for each in infos:
            name = each.labels.get(self.instance, "")
            self.bundles.setdefault(name, set()).add(each.labels.get("bundle", ""))
            first, last = self.seen.get(name, (inf, 0.0))
            self.seen[name] = min(first, each.times[0]), max(last, each.times[-1])
        loaded = self._read(select("marquee_bundle_loaded_timestamp_seconds", variant=slot))
        self.loaded = {each.labels.get(self.instance, ""): each.values[0] for each in loaded}
        # Errors are nobody's: their variant is "none".
        requests = select("marquee_requests_total", variant=f"~{escape(slot)}|none")
        self.requests = self._summed(requests, "outcome")
        self.seconds = self._summed(select("marquee_request_seconds_bucket", variant=slot), "le")
        self.scores = self._summed(select("marquee_score_bucket", variant=slot), "le")
        source = config.source_metric
        self.sources = self._summed(select(source, variant=slot), "route") if source else ()

    def arm(self, bundle: str) -> Arm | None:
        """What the processes of one bundle counted; None where there is none, or it counts nothing at all.

        A process that changed its bundle within the window is left out: its seconds are of both.
        """
        mine = {name for name, bundles in self.bundles.items() if bundles == {bundle}}
        if not any(self.seen[name][1] >= self.until.timestamp() - 1 for name in mine):
            return None  # none is there now: what the dead ones counted says nothing of the living
        outcomes = self._increases(self.requests, mine, "outcome")
        seconds = self._histogram(self.seconds, mine)
        answered = sum(outcomes.get(name, 0.0) for name in _OUTCOMES[:3])
        if answered > 0 and (seconds is None or seconds.total == 0):
            return None  # half of the metrics is none
        return Arm(
            requests=sum(outcomes.get(name, 0.0) for name in _OUTCOMES),
            errors=outcomes.get("error", 0.0),
            empty=outcomes.get("empty", 0.0),
            degraded=outcomes.get("degraded", 0.0),
            seconds=seconds or Histogram(),
            scores=self._histogram(self.scores, mine),
            sources=self._increases(self.sources, mine, "route") or None,
        )

    def _summed(self, selector: str, label: str) -> Sequence[Series]:
        """Over all but process and label; the counters of one process start again together."""
        return self._read(f"sum by ({self.instance}, {label}) ({selector})")

    def _read(self, expression: str) -> Sequence[Series]:
        found = self.api.range(expression, since=self.since, until=self.until)
        return tuple(each for each in found if each.times)

    def _increases(self, series: Sequence[Series], mine: set[str], label: str) -> dict[str, float]:
        found: dict[str, float] = {}
        for each in series:
            name = each.labels.get(self.instance, "")
            if name in mine:
                key = each.labels.get(label, "")
                found[key] = found.get(key, 0.0) + increase(each, starts_at_zero=self._is_new(each, name))
        return found

    def _is_new(self, series: Series, name: str) -> bool:
        """Whether the series began within the window, so that its first sample counts whole.

        It did if its process was seen before it, or loaded its bundle after the window began.
        """
        began = self.loaded.get(name, 0.0)
        return series.times[0] > self.seen[name][0] or began >= self.since.timestamp()

    def _histogram(self, series: Sequence[Series], mine: set[str]) -> Histogram | None:
        cumulative = {float(le): n for le, n in self._increases(series, mine, "le").items()}
        if not cumulative:
            return None
        ends = sorted(cumulative)
        before = 0.0
        counts = []
        for end in ends:
            counts.append(max(0.0, cumulative[end] - before))  # scrapes between two buckets can cross
            before = max(before, cumulative[end])
        if isfinite(ends[-1]):
            counts.append(0.0)
        return Histogram(bounds=tuple(filter(isfinite, ends)), counts=tuple(counts))


def increase(series: Series, *, starts_at_zero: bool) -> float:
    """What a counter counted from its first to its last sample, over restarts.

    A value below the one before is a restart: all of it is new.
    """
    total = series.values[0] if starts_at_zero else 0.0
    for before, value in zip(series.values, series.values[1:], strict=False):
        total += value - before if value >= before else value
    return total
