"""Accuracy of ranked lists at a cut `k`, one number a query.

Relevance is binary. A list that is shorter than `k` counts as if misses filled it up, so that a
model can't gain by saying less. Every metric lies in [0, 1] and higher is better. To add one, write
a function of `(judged, k)` and give it a line in `METRICS`.
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from marquee.evaluation.relevance import Judged

QueryValues = NDArray[np.float64]
"""One value a query, `(n_queries,) float64`."""
Metric = Callable[[Judged, int], QueryValues]


def precision(judged: Judged, k: int) -> QueryValues:
    """Share of the `k` places that hold a relevant item; divides by `k`, not by the list's length.

    Source: Manning, Raghavan, Schütze (2008), Introduction to Information Retrieval, §8.4.
    """
    return _n_hits(judged, k) / k


def recall(judged: Judged, k: int) -> QueryValues:
    """Share of the relevant items that are among the first `k`; divides by all of them.

    A query with more than `k` relevant items can't reach 1.
    Source: Manning, Raghavan, Schütze (2008), §8.3.
    """
    return _n_hits(judged, k) / judged.n_relevant


def f1(judged: Judged, k: int) -> QueryValues:
    """Harmonic mean of precision and recall: 2 P R / (P + R) = 2 hits / (k + n_relevant).

    Source: van Rijsbergen (1979), Information Retrieval, ch. 7, with equal weights. The right-hand
    form needs no rule for P = R = 0.
    """
    values: QueryValues = 2 * _n_hits(judged, k) / (k + judged.n_relevant)
    return values


def hit_rate(judged: Judged, k: int) -> QueryValues:
    """1 where at least one of the first `k` is relevant, else 0.

    Source: Deshpande, Karypis (2004), Item-based top-N recommendation algorithms.
    """
    return (_n_hits(judged, k) > 0).astype(np.float64)


def mrr(judged: Judged, k: int) -> QueryValues:
    """1 / rank of the first relevant item, 0 where none is among the first `k`.

    Source: Voorhees (1999), The TREC-8 question answering track report; the cut at `k` is ours.
    """
    hit = judged.hit[:, :k]
    if hit.shape[1] == 0:
        return np.zeros(len(judged))
    return np.where(hit.any(axis=1), 1.0 / (1 + hit.argmax(axis=1)), 0.0)


def ndcg(judged: Judged, k: int) -> QueryValues:
    """Gain discounted by log2(rank + 1), over that of an ideal list of min(k, n_relevant) hits.

    A perfect list gives exactly 1.
    Source: Järvelin, Kekäläinen (2002), Cumulated gain-based evaluation of IR techniques, with the
    discount of Burges et al. (2005) that also discounts rank 2.
    """
    discount = 1.0 / np.log2(np.arange(2, k + 2))
    gain = np.zeros(len(judged))
    # Adding rank by rank keeps memory at one number a query and fixes the order of the sum.
    for rank in range(min(k, judged.hit.shape[1])):
        gain += judged.hit[:, rank] * discount[rank]
    ideal: QueryValues = np.cumsum(discount)[np.minimum(k, judged.n_relevant) - 1]
    return gain / ideal


def average_precision(judged: Judged, k: int) -> QueryValues:
    """Mean of the precision at each hit's rank, over min(k, n_relevant); its mean is MAP@k.

    Source: Kaggle's MAP@K (`apk` of ml_metrics). trec_eval's `map_cut` divides by n_relevant
    instead, which keeps a query with more than `k` relevant items from ever reaching 1: the two
    agree where n_relevant <= k and differ by the factor min(k, n_relevant) / n_relevant elsewhere.
    Published tables use either; look before comparing.
    """
    n_hits = np.zeros(len(judged))
    total = np.zeros(len(judged))
    for rank in range(min(k, judged.hit.shape[1])):
        hit = judged.hit[:, rank]
        n_hits += hit
        total += hit * n_hits / (rank + 1)
    return total / np.minimum(k, judged.n_relevant)


METRICS: Final[Mapping[str, Metric]] = MappingProxyType(
    {
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "ndcg": ndcg,
        "mrr": mrr,
        "map": average_precision,
        "hit_rate": hit_rate,
    }
)
"""Every accuracy metric by its name."""


def label(name: str, k: int) -> str:
    """How a metric at a cut is called in tables and files: `ndcg@12`."""
    return f"{name}@{k}"


def score(
    judged: Judged, ks: Iterable[int], *, metrics: Iterable[str] = tuple(METRICS)
) -> dict[str, QueryValues]:
    """Each metric at each cut, by label; metrics in the order given, cuts within.

    Raises:
        ValueError: a cut below 1, or a metric that `METRICS` lacks.
    """
    cuts, names = tuple(ks), tuple(metrics)
    if any(k < 1 for k in cuts):
        raise ValueError(f"A cut must be at least 1, not {min(cuts)}.")
    if unknown := set(names) - set(METRICS):
        raise ValueError(f"There is no metric {sorted(unknown)}; there are {sorted(METRICS)}.")
    return {label(name, k): METRICS[name](judged, k) for name in names for k in cuts}


def _n_hits(judged: Judged, k: int) -> NDArray[np.int64]:
    counts: NDArray[np.int64] = judged.hit[:, :k].sum(axis=1, dtype=np.int64)
    return counts
