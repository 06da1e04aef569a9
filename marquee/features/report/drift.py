"""How far a feature's distribution has moved since the last build."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import chdtri

from marquee.features.report.config import ReportConfig

Level = Literal["none", "moderate", "high"]
_RARE_SHARE: Final = 0.01
"""Texts rarer than this in both builds count among all others."""


@dataclass(frozen=True)
class Drift:
    """The population stability index between the last build and this one."""

    psi: float
    noise: float
    """What two samples of one distribution exceed only rarely."""
    level: Level


def number_drift(before: NDArray[np.float64], after: NDArray[np.float64], config: ReportConfig) -> Drift:
    """Drift of finite numbers over bins that hold equal shares of `before`; neither may be empty."""
    shares = np.arange(1, config.n_drift_bins) / config.n_drift_bins
    edges = np.unique(np.quantile(before, shares, method="inverted_cdf"))
    lowest = before.min()
    if edges[0] == lowest:  # many equal the lowest: what is lower is another bin
        edges = np.insert(edges, 0, np.nextafter(lowest, -np.inf))
    return _drift(
        *(
            np.bincount(np.searchsorted(edges, side, side="left"), minlength=len(edges) + 1)
            for side in (before, after)
        ),
        config=config,
    )


def text_drift(before: pl.Series, after: pl.Series, config: ReportConfig) -> Drift:
    """Drift of texts over the frequent ones of either build and all others; neither may be empty."""
    tables = [
        pl.DataFrame({"text": side}).group_by("text").len().with_columns(pl.col("len") / len(side))
        for side in (before, after)
    ]
    frequent = [
        table.filter(pl.col("len") >= _RARE_SHARE).sort(["len", "text"], descending=[True, False])
        for table in tables
    ]
    names = pl.concat([table["text"].head(config.n_drift_categories) for table in frequent]).unique().sort()
    counts = []
    for side in (before, after):
        found = pl.DataFrame({"text": side}).join(pl.DataFrame({"text": names}), on="text", how="semi")
        each = dict(found.group_by("text").len().iter_rows())
        counts.append(np.array([*(each.get(name, 0) for name in names), len(side) - len(found)]))
    return _drift(*counts, config=config)


def population_stability_index(before: NDArray[np.int64], after: NDArray[np.int64]) -> float:
    """Σ (a − b) · ln(a ÷ b) over the bins' shares; 0 for equal shares, and symmetric.

    Half an observation is added to each bin, so that an empty one stays finite.

    Source: Siddiqi (2006), "Credit Risk Scorecards", with its reading of below 0.1 as stable and above
    0.25 as shifted; it is the divergence of Jeffreys (1946).
    """
    shares = [(counts + 0.5) / (counts.sum() + 0.5 * len(counts)) for counts in (before, after)]
    return float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0])))


def sampling_noise(n_before: int, n_after: int, *, n_bins: int, confidence: float) -> float:
    """The index that samples of one distribution stay below with the chance `confidence`.

    Source: Yurdakul (2018), "Statistical Properties of Population Stability Index": without a shift it
    is distributed as (1/n + 1/m) · χ² with one degree of freedom less than there are bins.
    """
    return float(chdtri(max(n_bins - 1, 1), 1 - confidence) * (1 / n_before + 1 / n_after))


def _drift(before: NDArray[np.int64], after: NDArray[np.int64], *, config: ReportConfig) -> Drift:
    used = (before + after) > 0
    psi = population_stability_index(before[used], after[used])
    noise = sampling_noise(
        int(before.sum()), int(after.sum()), n_bins=int(used.sum()), confidence=config.drift_confidence
    )
    level: Level = "none"
    if psi > max(config.drift_moderate, noise):
        level = "high" if psi > config.drift_high else "moderate"
    return Drift(psi, noise, level)
