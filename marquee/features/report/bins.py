"""Bars of a histogram: linear, by magnitude where the tail is heavy, one a value where there are few."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Scale = Literal["linear", "magnitude"]
Floats = NDArray[np.float64]

_HEAVY_RATIO: Final = 10.0
"""A tail is heavy where the 99 % quantile is more than so many times the typical size."""
_OUTLIER_RATIO: Final = 5.0
"""Bars cover the middle 99 % only where the whole range is more than so many times that."""


@dataclass(frozen=True, eq=False)
class Bins:
    """Edges of bars, `(n + 1,) float64`, rising; the outer bars hold what lies beyond them, too."""

    edges: Floats
    scale: Scale
    unit: float
    """Sizes below it are drawn linearly, above it by magnitude."""
    values: Floats | None
    """`(n,)` the one value of each bar, where bars are values."""

    def count(self, values: Floats) -> NDArray[np.int64]:
        """Values in each bar, `(n,)`; an edge belongs to the bar on its right."""
        inner = np.searchsorted(self.edges[1:-1], values, side="right")
        return np.bincount(inner, minlength=len(self.edges) - 1)

    def position(self, values: Floats) -> Floats:
        """Where values lie along the axis: 0 at the first edge, 1 at the last."""
        places = _placed(self.edges[[0, -1]], self.scale, self.unit)
        here = _placed(np.asarray(values, np.float64), self.scale, self.unit)
        return np.asarray((here - places[0]) / (places[1] - places[0]))


def bins_of(values: Floats, *, n_bins: int) -> Bins:
    """Bars that suit `values`, which are finite; equal values make one bar.

    Source: the inverse hyperbolic sine as a logarithm that knows zero and negatives: Burbidge, Magee
    and Robb (1988), "Alternative Transformations to Handle Extreme Values of the Dependent Variable".
    """
    distinct = np.unique(values)
    is_whole = bool(np.all(distinct == np.round(distinct))) if len(distinct) else True
    if len(distinct) <= 1 or (is_whole and len(distinct) <= n_bins and np.ptp(distinct) < 2 * n_bins):
        return _one_a_value(distinct)
    low, middle, high = np.quantile(values, [0.005, 0.5, 0.995])
    unit = _unit(values)
    if _is_heavy(values, middle):
        places = np.arcsinh(distinct[[0, -1]] / unit)
        edges = np.sinh(np.linspace(places[0], places[1], n_bins + 1)) * unit
        edges[[0, -1]] = distinct[[0, -1]]  # to the last bit
        return Bins(_between_whole(edges, is_whole), "magnitude", unit, None)
    is_spread = np.ptp(distinct) > _OUTLIER_RATIO * (high - low) > 0
    ends = (low, high) if is_spread else (distinct[0], distinct[-1])
    edges = np.linspace(ends[0], ends[1], n_bins + 1)
    return Bins(_between_whole(edges, is_whole), "linear", unit, None)


def _one_a_value(distinct: Floats) -> Bins:
    """Whole numbers next to each other keep their distance; a single value gets a bar around it."""
    if len(distinct) == 0:
        return Bins(np.array([0.0, 1.0]), "linear", 1.0, None)
    if len(distinct) == 1:
        half = max(abs(float(distinct[0])) * 0.5, 0.5)
        return Bins(np.array([distinct[0] - half, distinct[0] + half]), "linear", 1.0, distinct)
    values = np.arange(distinct[0], distinct[-1] + 1)
    return Bins(np.append(values - 0.5, values[-1] + 0.5), "linear", 1.0, values)


def _unit(values: Floats) -> float:
    sizes = np.abs(values[values != 0])
    return float(np.quantile(sizes, 0.1)) if len(sizes) else 1.0


def _is_heavy(values: Floats, middle: float) -> bool:
    sizes = np.abs(values)
    typical = float(np.median(sizes[sizes > 0]))
    crosses = values.min() < 0 < values.max()
    centre = typical if crosses or middle == 0 else abs(middle)
    return float(np.quantile(sizes, 0.99)) > _HEAVY_RATIO * centre


def _between_whole(edges: Floats, is_whole: bool) -> Floats:
    """Edges of whole numbers lie between them, so that no bar is empty for falling between two."""
    if not is_whole or np.abs(edges).max() > 2**52:
        return np.unique(edges)
    return np.unique(np.append(np.floor(edges[:-1]) - 0.5, np.ceil(edges[-1]) + 0.5))


def _placed(values: Floats, scale: Scale, unit: float) -> Floats:
    return np.arcsinh(values / unit) if scale == "magnitude" else values
