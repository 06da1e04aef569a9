"""What each view adds to the ranking, as measured by training without it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError, model_validator

from marquee.errors import SourceError
from marquee.features.report.charts import WIDTH

_ROW: Final = 24.0
_LEFT: Final = 124.0
_RIGHT: Final = WIDTH - 12
_ROUNDING: Final = 2e-3


class WholeModel(BaseModel):
    """The metric with all views, and its confidence interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat


class WithoutView(BaseModel):
    """The metric without a view; `difference` is that minus the whole model's, with its interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: FiniteFloat
    difference: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat

    @model_validator(mode="after")
    def _is_an_interval(self) -> Self:
        if not self.low <= self.difference <= self.high:
            raise ValueError(f"difference {self.difference} is not within {self.low} to {self.high}")
        return self

    @property
    def verdict(self) -> str:
        """What the interval allows to say of the view."""
        if self.high < 0:
            return "helps"
        return "harms" if self.low > 0 else "not decided"


class Ablation(BaseModel):
    """The measurements of one protocol; views in the order of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: str
    metric: str
    full: WholeModel
    without: dict[str, WithoutView]
    frozen: WithoutView | None = None
    """All views, but the movies' state of the model's moment instead of the request's day."""
    n_queries: int | None = None
    seeds: tuple[int, ...] = ()
    """Values are per query means over these."""
    machine: dict[str, str | int | float] | None = None

    @model_validator(mode="after")
    def _differences_fit(self) -> Self:
        frozen = {"frozen": self.frozen} if self.frozen else {}
        for view, measured in {**self.without, **frozen}.items():
            expected = measured.mean - self.full.mean
            if abs(measured.difference - expected) > _ROUNDING:
                where = view if view == "frozen" else f"without.{view}"
                found = f"{where}.difference = {measured.difference}"
                raise ValueError(f"{found}, but the means differ by {expected:.4f}")
        return self

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read the JSON that an ablation writes.

        Raises:
            SourceError: it can't be read or is no ablation; the message names key and value.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as err:
            raise SourceError(f"{path} can't be read: {err.strerror}.", remedy="Check --ablation.") from err
        except ValidationError as err:
            first = err.errors()[0]
            key = ".".join(str(part) for part in first["loc"]) or "the file"
            raise SourceError(
                f"{path} is no ablation: {key}: {first['msg']}.",
                remedy="It needs protocol, metric, full (mean, low, high) and without: view to mean,"
                " difference (without minus full), low, high.",
            ) from err


@dataclass(frozen=True)
class IntervalRow:
    """A dot on a line from low to high."""

    label: str
    y: float
    low_x: float
    x: float
    high_x: float
    verdict: str
    title: str


@dataclass(frozen=True)
class IntervalChart:
    """Differences with their intervals around a line at zero."""

    rows: tuple[IntervalRow, ...]
    zero_x: float
    low: str
    high: str
    left: float
    right: float
    height: float


def interval_chart(ablation: Ablation) -> IntervalChart:
    """Lay the differences out on one axis that holds zero."""
    ends = [0.0, *(end for each in ablation.without.values() for end in (each.low, each.high))]
    low, high = min(ends), max(ends)
    width = (high - low) or 1.0

    def at(value: float) -> float:
        return _LEFT + (value - low) / width * (_RIGHT - _LEFT)

    rows = [
        IntervalRow(
            label=view if len(view) <= 19 else f"{view[:18]}…",
            y=16 + row * _ROW,
            low_x=at(each.low),
            x=at(each.difference),
            high_x=at(each.high),
            verdict=each.verdict,
            title=f"without {view}: {each.difference:+.4f} ({each.low:+.4f} to {each.high:+.4f})",
        )
        for row, (view, each) in enumerate(ablation.without.items())
    ]
    return IntervalChart(
        tuple(rows), at(0.0), f"{low:+.3f}", f"{high:+.3f}", _LEFT, _RIGHT, 34 + len(rows) * _ROW
    )
