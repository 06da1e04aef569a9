"""Where the marks of a picture go; `templates/charts.svg` draws them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from marquee.features.report.bins import Bins
from marquee.features.report.distribution import Bars, Histogram
from marquee.features.report.numbers import Format, count, number, share

WIDTH: Final = 340.0
_LEFT: Final = 6.0
_RIGHT: Final = 334.0
_TOP: Final = 18.0
_BASE: Final = 118.0
_MIN_BAR: Final = 0.75
"""Height of a bar that is not empty, however small its share."""
_MAX_LABELS: Final = 6


@dataclass(frozen=True)
class Mark:
    """One bar, and what a pointer over it reads."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True)
class Tick:
    """A label below the axis."""

    x: float
    text: str
    anchor: str


@dataclass(frozen=True)
class HistogramChart:
    """A histogram of 340 × 140 units."""

    marks: tuple[Mark, ...]
    outline: str | None
    """Path of the last build's histogram."""
    ticks: tuple[Tick, ...]
    peak: str
    """Share of the highest bar."""
    is_magnitude: bool
    height: float = 140.0
    top: float = _TOP
    base: float = _BASE


@dataclass(frozen=True)
class BarRow:
    """One text: label, bar, share, and where the last build's share ends."""

    label: str
    full_label: str
    y: float
    width: float
    before_x: float | None
    share: str
    title: str
    is_rest: bool


@dataclass(frozen=True)
class BarChart:
    """Bars of texts, one a row."""

    rows: tuple[BarRow, ...]
    height: float
    left: float


def histogram_chart(histogram: Histogram, show: Format = number) -> HistogramChart:
    """Lay a histogram out; both builds as shares of their own known values."""
    bins, shares = histogram.bins, histogram.counts / max(histogram.counts.sum(), 1)
    before = None
    if histogram.before is not None:
        before = histogram.before / max(histogram.before.sum(), 1)
    peak = max(float(shares.max()), float(before.max()) if before is not None else 0.0) or 1.0
    x = _LEFT + bins.position(bins.edges) * (_RIGHT - _LEFT)
    marks = []
    for bar, part in enumerate(shares):
        if part == 0:
            continue
        height = max(float(part) / peak * (_BASE - _TOP), _MIN_BAR)
        title = f"{_range(bins, bar, show)}: {count(int(histogram.counts[bar]))} ({share(float(part))})"
        gap = 1.0 if x[bar + 1] - x[bar] > 4 else 0.25
        marks.append(Mark(float(x[bar]), _BASE - height, float(x[bar + 1] - x[bar]) - gap, height, title))
    return HistogramChart(
        marks=tuple(marks),
        outline=_outline(x, before / peak) if before is not None else None,
        ticks=_ticks(bins, show),
        peak=share(peak),
        is_magnitude=bins.scale == "magnitude",
    )


def _range(bins: Bins, bar: int, show: Format) -> str:
    if bins.values is not None:
        return show(float(bins.values[bar]))
    return f"{show(float(bins.edges[bar]))} to {show(float(bins.edges[bar + 1]))}"


def _outline(x: np.ndarray, heights: np.ndarray) -> str:
    """Steps along the tops of bars."""
    y = _BASE - heights * (_BASE - _TOP)
    steps = [f"M{x[0]:.1f} {_BASE:.1f}"]
    for bar, top in enumerate(y):
        steps += [f"V{top:.1f}", f"H{x[bar + 1]:.1f}"]
    return "".join([*steps, f"V{_BASE:.1f}"])


def _ticks(bins: Bins, show: Format) -> tuple[Tick, ...]:
    values = _tick_values(bins)
    places = _LEFT + bins.position(values) * (_RIGHT - _LEFT)
    ticks: list[Tick] = []
    end = -math.inf
    for value, x in zip(values, places, strict=True):
        text = show(float(value))
        half = len(text) * 3.1
        anchor = "start" if x - half < _LEFT else "end" if x + half > _RIGHT else "middle"
        begin = {"start": x, "middle": x - half, "end": x - 2 * half}[anchor]
        if begin < end + 6:
            continue
        ticks.append(Tick(float(x), text, anchor))
        end = begin + 2 * half
    return tuple(ticks)


def _tick_values(bins: Bins) -> np.ndarray:
    low, high = float(bins.edges[0]), float(bins.edges[-1])
    if bins.values is not None and len(bins.values) <= 2 * _MAX_LABELS:
        return bins.values
    if bins.scale == "magnitude":
        return _powers(low, high, bins.unit)
    step = _nice_step((high - low) / (_MAX_LABELS - 1))
    first = math.ceil(low / step)
    return np.arange(first, math.floor(high / step) + 1) * step


def _powers(low: float, high: float, unit: float) -> np.ndarray:
    """Zero and powers of ten within the range, thinned evenly."""

    def one_side(limit: float) -> list[float]:
        if limit <= 0:
            return []
        start, stop = math.floor(math.log10(unit)), math.floor(math.log10(limit))
        stride = max(1, math.ceil((stop - start + 1) / 5))
        return [10.0**power for power in range(start, stop + 1, stride)]

    values = [-value for value in reversed(one_side(-low))] + [0.0] + one_side(high)
    return np.array([value for value in values if low <= value <= high] or [low, high])


def _nice_step(rough: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten."""
    size = 10.0 ** math.floor(math.log10(rough))
    return next(factor * size for factor in (1, 2, 2.5, 5, 10) if factor * size >= rough * (1 - 1e-9))


def bar_chart(bars: Bars, *, left: float = 118.0, label_length: int = 18) -> BarChart:
    """Lay bars out; both builds as shares of their own known values."""
    shares = _shares(bars.counts)
    before = _shares(bars.before) if bars.before is not None else None
    peak = max([*shares, *(before or [])], default=1.0) or 1.0
    room = WIDTH - left - 46
    labels = [*bars.labels, *([f"{bars.n_others:,} others"] if bars.n_others else [])]
    rows = []
    for number_, (label, part, n) in enumerate(zip(labels, shares, bars.counts, strict=True)):
        then = before[number_] if before is not None else None
        shown = label or "(empty)"
        title = f"{shown}: {count(n)} ({share(part)})"
        rows.append(
            BarRow(
                label=shown if len(shown) <= label_length else f"{shown[: label_length - 1]}…",
                full_label=shown,
                y=6.0 + number_ * 19,
                width=max(part / peak * room, _MIN_BAR) if n else 0.0,
                before_x=left + then / peak * room if then is not None else None,
                share=share(part),
                title=title if then is None else f"{title}, last build {share(then)}",
                is_rest=number_ >= len(bars.labels),
            )
        )
    return BarChart(tuple(rows), 12.0 + len(rows) * 19, left)


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts) or 1
    return [each / total for each in counts]
