"""What the server counts, for Prometheus; no label ever names a user or an item."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

LATENCY_S: Final = tuple(ms / 1e3 for ms in (0.5, 1, 2, 3, 5, 7.5, 10, 15, 25, 50, 100, 250))
CANDIDATES: Final = (0, 50, 100, 150, 200, 250, 300, 400, 500, 750, 1000)
SCORES: Final = (-8, -4, -2, -1, -0.5, 0, 0.5, 1, 2, 4, 8)


@dataclass(eq=False)
class Metrics:
    """All of them; the children that a request needs are looked up once."""

    registry: CollectorRegistry = REGISTRY
    before_reading: Callable[[], None] = lambda: None
    """Brings the numbers up to date when somebody asks for them."""
    requests: Counter = field(init=False)
    seconds: Histogram = field(init=False)
    stage_seconds: Histogram = field(init=False)
    degraded: Counter = field(init=False)
    fallback: Counter = field(init=False)
    candidates: Histogram = field(init=False)
    score: Histogram = field(init=False)
    items: Counter = field(init=False)
    inflight: Gauge = field(init=False)
    missing: Counter = field(init=False)
    refused: Counter = field(init=False)
    bundle_info: Gauge = field(init=False)
    bundle_loaded: Gauge = field(init=False)

    def __post_init__(self) -> None:
        registry = self.registry
        registry.register(_Before(self))  # before all others, so that it is asked first
        self.requests = Counter(
            "marquee_requests",
            "Lists asked for.",
            ["surface", "variant", "bundle", "outcome"],
            registry=registry,
        )
        self.seconds = Histogram(
            "marquee_request_seconds",
            "From arrival to answer.",
            ["surface", "variant"],
            buckets=LATENCY_S,
            registry=registry,
        )
        self.stage_seconds = Histogram(
            "marquee_stage_seconds", "Parts of a request.", ["stage"], buckets=LATENCY_S, registry=registry
        )
        self.degraded = Counter(
            "marquee_degraded", "Lists made without something.", ["reason"], registry=registry
        )
        self.fallback = Counter(
            "marquee_fallback", "Lists that another one stood in for.", ["surface"], registry=registry
        )
        self.candidates = Histogram(
            "marquee_candidates",
            "Items scored by the ranker.",
            ["variant"],
            buckets=CANDIDATES,
            registry=registry,
        )
        self.score = Histogram(
            "marquee_score",
            "Of the first item of home lists.",
            ["variant"],
            buckets=SCORES,
            registry=registry,
        )
        self.items = Counter(
            "marquee_items",
            "Items shown, by the route that ranked them best.",
            ["variant", "route"],
            registry=registry,
        )
        self.inflight = Gauge("marquee_inflight", "Lists being made.", registry=registry)
        self.missing = Counter(
            "marquee_feature_missing",
            "Users of whom a view knew nothing.",
            ["feature_view"],
            registry=registry,
        )
        self.refused = Counter(
            "marquee_bundle_refused",
            "Bundles and item matrices that could not be served.",
            ["slot"],
            registry=registry,
        )
        self.bundle_info = Gauge(
            "marquee_bundle_info",
            "1 for each bundle that answers.",
            ["variant", "bundle", "git_sha"],
            registry=registry,
        )
        self.bundle_loaded = Gauge(
            "marquee_bundle_loaded_timestamp_seconds", "When it was loaded.", ["variant"], registry=registry
        )
        # Looking a child up takes ten times as long as counting.
        self.request = lru_cache(maxsize=512)(self.requests.labels)
        self.request_time = lru_cache(maxsize=128)(self.seconds.labels)
        self.stage = lru_cache(maxsize=32)(self.stage_seconds.labels)
        self.candidate = lru_cache(maxsize=32)(self.candidates.labels)
        self.item = lru_cache(maxsize=128)(self.items.labels)
        self.best_score = lru_cache(maxsize=32)(self.score.labels)

    def follow(self, name: str, words: str, read: Callable[[], dict[str, float]], label: str) -> None:
        """Export numbers that are read when somebody asks for the metrics."""
        self.registry.register(_Followed(name, words, read, label))


@dataclass(frozen=True, eq=False)
class _Before(Collector):
    metrics: Metrics

    def collect(self) -> "list[GaugeMetricFamily]":
        self.metrics.before_reading()
        return []


@dataclass(frozen=True, eq=False)
class _Followed(Collector):
    name: str
    words: str
    read: Callable[[], dict[str, float]]
    label: str

    def collect(self) -> "list[GaugeMetricFamily]":
        family = GaugeMetricFamily(self.name, self.words, labels=[self.label])
        for value, number in self.read().items():
            family.add_metric([value], number)
        return [family]


def age_seconds(as_of_us: int) -> float:
    """Seconds since a moment in UTC microseconds."""
    return datetime.now(UTC).timestamp() - as_of_us / 1e6
