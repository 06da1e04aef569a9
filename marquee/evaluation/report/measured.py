"""What a run measured, read from its `metrics.json` part by part: what is missing or odd is left out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self, TypeVar

from pydantic import BaseModel, ConfigDict, FiniteFloat, TypeAdapter, ValidationError

Numbers = dict[str, FiniteFloat]
_Part = TypeVar("_Part")


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Bounds(_Plain):
    """A number and its interval; None where it is not defined."""

    estimate: FiniteFloat | None = None
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None

    @property
    def is_sure(self) -> bool:
        """Both bounds are on the same side of zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


class Check(_Plain):
    """One condition of the gate."""

    name: str
    passed: bool
    reason: str


class Gate(_Plain):
    """The verdict."""

    passed: bool
    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()


class Comparison(_Plain):
    """A model against a reference."""

    difference: Bounds
    lift: Bounds


class ModelSlice(_Plain):
    """Several models on one slice."""

    slicing: str
    slice: str
    metric: str
    n_queries: int
    models: dict[str, Bounds]
    differences: dict[str, Bounds]


class ScoreBin(_Plain):
    """Candidates of similar score."""

    low: FiniteFloat
    high: FiniteFloat
    n: int
    n_consumed: int
    rate: Bounds


class RankerFacts(_Plain):
    """What the ranker reads."""

    importance: Numbers
    contributions: Numbers
    n_explained: int
    reliability: tuple[ScoreBin, ...]


class SecondStage(_Plain):
    """Which second stage was taken, and what the others were worth on past windows."""

    chosen: str
    ndcg: Numbers
    n_queries: int


class Popularity(_Plain):
    """Shares by popularity decile, the least popular first; None where there is nothing to share."""

    n_items: tuple[int, ...]
    consumed: tuple[FiniteFloat | None, ...]
    models: dict[str, tuple[FiniteFloat | None, ...]]


class DataFacts(_Plain):
    """The size of what was learned from and asked about."""

    users: int
    items: int
    events: int
    first_us: int
    last_us: int


PARTS: Final[Mapping[str, tuple[str, TypeAdapter[Any]]]] = {
    "gate": ("gate", TypeAdapter(Gate)),
    "models": ("models", TypeAdapter(dict[str, Numbers])),
    "intervals": ("intervals", TypeAdapter(dict[str, dict[str, Bounds]])),
    "comparisons": ("comparisons", TypeAdapter(dict[str, dict[str, dict[str, Comparison]]])),
    "slices": ("diagnosis.slices", TypeAdapter(tuple[ModelSlice, ...])),
    "recall": ("diagnosis.recall", TypeAdapter(dict[str, Numbers])),
    "ranker": ("diagnosis.ranker", TypeAdapter(RankerFacts)),
    "second_stage": ("second_stage", TypeAdapter(SecondStage)),
    "popularity": ("diagnosis.popularity", TypeAdapter(Popularity)),
    "best_route": ("diagnosis.best_route", TypeAdapter(str)),
    "seconds": ("seconds", TypeAdapter(Numbers)),
    "memory_mb": ("memory_mb", TypeAdapter(Numbers)),
    "data": ("data", TypeAdapter(DataFacts)),
    "notes": ("notes", TypeAdapter(tuple[str, ...])),
    "headline": ("headline", TypeAdapter(dict[str, str])),
    "k": ("k", TypeAdapter(int)),
    "n_queries": ("n_queries", TypeAdapter(int)),
    "cut_us": ("cut_us", TypeAdapter(int)),
}
"""Every part of the page's material, by its place in the file."""


@dataclass(frozen=True, eq=False)
class Measured:
    """The parts that are there; each is None, empty or zero where the run didn't measure it."""

    facts: Mapping[str, str]
    """Names and ids, as they stand in the file."""
    missing: tuple[str, ...]
    """Places in the file that hold nothing that can be shown."""
    gate: Gate | None = None
    models: dict[str, Numbers] = field(default_factory=dict)
    intervals: dict[str, dict[str, Bounds]] = field(default_factory=dict)
    comparisons: dict[str, dict[str, dict[str, Comparison]]] = field(default_factory=dict)
    slices: tuple[ModelSlice, ...] = ()
    recall: dict[str, Numbers] = field(default_factory=dict)
    ranker: RankerFacts | None = None
    second_stage: SecondStage | None = None
    popularity: Popularity | None = None
    best_route: str | None = None
    seconds: Numbers = field(default_factory=dict)
    memory_mb: Numbers = field(default_factory=dict)
    data: DataFacts | None = None
    notes: tuple[str, ...] = ()
    headline: dict[str, str] = field(default_factory=dict)
    k: int = 10
    n_queries: int | None = None
    cut_us: int | None = None

    @classmethod
    def of(cls, metrics: Mapping[str, Any]) -> Self:
        """Read plain values as they come from JSON."""
        parts: dict[str, Any] = {}
        missing = []
        for name, (place, kind) in PARTS.items():
            found = _read(metrics, place, kind)
            if found is None:
                missing.append(place)
            else:
                parts[name] = found
        facts = {key: str(value) for key, value in metrics.items() if isinstance(value, str | int)}
        return cls(facts=facts, missing=tuple(missing), **parts)

    @property
    def subject(self) -> str:
        """The model that the run is about."""
        return self.headline.get("model", "two_stage")

    @property
    def metric(self) -> str:
        """The label of the one number that the run is known by."""
        return self.headline.get("metric", f"ndcg@{self.k}")

    def bounds(self, model: str, label: str) -> Bounds:
        """A model's metric with its interval, as far as it was measured."""
        found = self.intervals.get(model, {}).get(label)
        return found or Bounds(estimate=self.models.get(model, {}).get(label))

    @property
    def ordered(self) -> list[str]:
        """Models, the best by the headline first."""
        return sorted(self.models, key=lambda name: -self.models[name].get(self.metric, float("-inf")))


def _read(metrics: Mapping[str, Any], place: str, kind: TypeAdapter[_Part]) -> _Part | None:
    value: Any = metrics
    for key in place.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    if value is None:
        return None
    try:
        return kind.validate_python(value)
    except ValidationError:
        return None
