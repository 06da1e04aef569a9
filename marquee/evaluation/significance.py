"""How sure is a mean: bootstrap intervals over queries, paired where two models are compared.

Queries are drawn with replacement; both models of a comparison are measured on the same draw, so
that what makes a query hard for both cancels out. Source of all of it: Efron, Tibshirani (1993), An
Introduction to the Bootstrap, ch. 13 (percentile interval); for paired differences of ranking
metrics, Sakai (2006), Evaluating evaluation metrics based on the bootstrap.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse

from marquee.evaluation.ranking_metrics import QueryValues
from marquee.evaluation.ratio import ratio

_CHUNK_DRAWS = 1 << 21
"""Draws held at a time, about 40 MB."""


class BootstrapConfig(BaseModel):
    """How intervals are made. Time grows with resamples × queries."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    resamples: int = Field(default=10_000, ge=100)
    """Resamples; 10,000 leave about 1 % of an interval's width to chance."""
    confidence: float = Field(default=0.95, gt=0, lt=1)
    """Share of experiments whose interval holds the truth; two-sided."""


@dataclass(frozen=True)
class Interval:
    """A number measured on all queries, and its bootstrap interval; NaN where it is not defined."""

    estimate: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float | None]:
        """As plain values for JSON, which knows no NaN: it becomes None."""
        return {"estimate": plain(self.estimate), "low": plain(self.low), "high": plain(self.high)}


def plain(number: float) -> float | None:
    """The number as JSON may hold it: None for NaN and infinity."""
    return number if math.isfinite(number) else None


def bootstrap_means(
    columns: NDArray[np.float64], *, seed: int, config: BootstrapConfig | None = None
) -> NDArray[np.float64]:
    """Column means `(n_resamples, n_columns)` of resampled rows of `columns` `(n_queries, n_columns)`.

    All columns see the same draws. The same seed gives the same draws for the same number of
    queries, and the sum is taken in a fixed order (no BLAS), so results repeat to the last bit.

    Raises:
        ValueError: no queries, or a value that is NaN or infinite.
    """
    columns = np.ascontiguousarray(columns, dtype=np.float64)
    if columns.ndim != 2 or len(columns) == 0:
        raise ValueError(f"There must be rows to draw from; the shape is {columns.shape}.")
    if not np.isfinite(columns).all():
        raise ValueError("Values to bootstrap must be finite: found NaN or infinity.")
    config = config or BootstrapConfig()
    n_queries = len(columns)
    rng = np.random.default_rng(seed)
    n_rows = max(1, _CHUNK_DRAWS // n_queries)
    means = np.empty((config.resamples, columns.shape[1]))
    for first in range(0, config.resamples, n_rows):
        last = min(first + n_rows, config.resamples)
        means[first:last] = _resampled_sums(columns, last - first, rng=rng) / n_queries
    return means


def mean_interval(values: QueryValues, *, seed: int, config: BootstrapConfig | None = None) -> Interval:
    """The mean of one model's values."""
    means = bootstrap_means(values[:, None], seed=seed, config=config)[:, 0]
    return interval_of(float(np.mean(values)), means, config=config)


def difference_interval(
    values: QueryValues, reference: QueryValues, *, seed: int, config: BootstrapConfig | None = None
) -> Interval:
    """The mean of `values - reference`, paired by query; exactly 0 without width where they are equal."""
    return mean_interval(_paired_difference(values, reference), seed=seed, config=config)


def lift_interval(
    values: QueryValues, reference: QueryValues, *, seed: int, config: BootstrapConfig | None = None
) -> Interval:
    """Relative gain mean(values) / mean(reference) - 1, both means of the same draw.

    NaN where the reference's mean is 0; the bounds are NaN where it is 0 in a resample.
    """
    columns = np.column_stack([_paired_difference(values, reference), reference])
    means = bootstrap_means(columns, seed=seed, config=config)
    # mean(a - b) / mean(b) is mean(a) / mean(b) - 1 without losing the exact 0 of equal models.
    estimate = ratio(columns[:, 0].mean(keepdims=True), columns[:, 1].mean(keepdims=True))
    return interval_of(float(estimate[0]), ratio(means[:, 0], means[:, 1]), config=config)


def interval_of(
    estimate: float, resampled: NDArray[np.float64], *, config: BootstrapConfig | None = None
) -> Interval:
    """The percentile interval of a statistic from its value in each resample, `(n_resamples,)`."""
    tail = (1 - (config or BootstrapConfig()).confidence) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Interval(estimate, float(low), float(high))


def _paired_difference(values: QueryValues, reference: QueryValues) -> QueryValues:
    if values.shape != reference.shape:
        raise ValueError(f"Paired values must be aligned: {values.shape} against {reference.shape}.")
    return values - reference


def _resampled_sums(
    columns: NDArray[np.float64], n_resamples: int, *, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Sums `(n_resamples, n_columns)` over `n_queries` drawn rows each."""
    n_queries = len(columns)
    draws = rng.integers(0, n_queries, size=n_resamples * n_queries, dtype=np.int32)
    offsets = np.arange(0, len(draws) + 1, n_queries)
    weights = sparse.csr_array((np.ones(len(draws)), draws, offsets), shape=(n_resamples, n_queries))
    return np.asarray(weights @ columns)
