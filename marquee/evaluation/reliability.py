"""Do higher scores mean more: the share of scored candidates that were consumed, by the score."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marquee.evaluation.ratio import ratio
from marquee.evaluation.significance import BootstrapConfig, Interval, bootstrap_means, interval_of


@dataclass(frozen=True)
class ReliabilityBin:
    """Candidates of similar score, from `low` to `high`, both inclusive."""

    low: float
    high: float
    n: int
    n_consumed: int
    rate: Interval
    """Share that was consumed."""

    def to_dict(self) -> dict[str, object]:
        """As plain values for JSON."""
        counts = {"n": self.n, "n_consumed": self.n_consumed}
        return {"low": self.low, "high": self.high, **counts, "rate": self.rate.to_dict()}


def reliability(
    scores: NDArray[np.floating],
    is_consumed: NDArray[np.bool_],
    query: NDArray[np.integer],
    *,
    n_bins: int,
    seed: int,
    config: BootstrapConfig | None = None,
) -> list[ReliabilityBin]:
    """The share consumed in each of at most `n_bins` bins of about as many candidates, scores ascending.

    Equal scores share a bin. Candidates of one query are not independent of each other, so that the
    intervals come from drawing whole queries.

    Args:
        scores: `(n_rows,)` finite.
        is_consumed: `(n_rows,)`.
        query: `(n_rows,)` from 0; which query each candidate belongs to.
        n_bins: how many bins.
        seed: of the bootstrap.
        config: of the intervals.

    Source: the reliability diagram of Murphy, Winkler (1977), "Reliability of subjective probability
    forecasts of precipitation and temperature", with the rank of a score for a forecast: a ranker's score
    is no probability, so that only the order of the bars can be right or wrong.
    """
    if not len(scores):
        return []
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, n_bins + 1)[1:-1], method="higher"))
    place = np.searchsorted(edges, scores, side="right")
    bins = np.unique(place)
    place = np.searchsorted(bins, place)
    width, n_queries = len(bins), int(query.max()) + 1
    cell = query.astype(np.int64) * width + place
    n = np.bincount(cell, minlength=n_queries * width).reshape(n_queries, width)
    hits = np.bincount(cell, is_consumed, n_queries * width).reshape(n_queries, width)
    resampled = bootstrap_means(np.column_stack([hits, n]), seed=seed, config=config)
    found = []
    for number in range(width):
        own = scores[place == number]
        total, consumed = int(n[:, number].sum()), int(hits[:, number].sum())
        rates = ratio(resampled[:, number], resampled[:, width + number])
        rate = interval_of(consumed / total, rates[np.isfinite(rates)], config=config)
        found.append(ReliabilityBin(float(own.min()), float(own.max()), total, consumed, rate))
    return found
