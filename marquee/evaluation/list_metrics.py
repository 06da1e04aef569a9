"""What lists are like, whoever was right: coverage, concentration, popularity, novelty, diversity.

Lists are `(n_queries, k) int32`, already cut at `k`, padded with -1. A query's value is NaN where
it is not defined (an empty list, no history, fewer than two described items), and means leave NaN
out. To add a metric, write a function of `(lists, catalogue)` and give it a line in `LIST_METRICS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from marquee.data.interactions import Ragged
from marquee.evaluation.ranking_metrics import QueryValues
from marquee.evaluation.ratio import ratio
from marquee.evaluation.relevance import PADDING, ItemLists

FeatureRows = NDArray[np.floating] | sparse.csr_array
"""One row of features an item, `(n_items, n_features)`; a row of zeros is an undescribed item."""

_CHUNK_QUERIES = 4096


@dataclass(frozen=True, eq=False)
class Catalogue:
    """What the lists are held against; all of it from before the queries.

    `item_user_counts` is `(n_items,)`, how many of the `n_users` users consumed each item;
    `histories` has one row a query, `(n_queries,)` rows of item indexes.
    """

    item_user_counts: NDArray[np.integer]
    n_users: int
    histories: Ragged | None = None
    item_features: FeatureRows | None = None

    def __post_init__(self) -> None:
        if self.item_features is not None and self.item_features.shape[0] != self.n_items:
            raise ValueError(f"Features of {self.item_features.shape[0]} items for {self.n_items} items.")

    @property
    def n_items(self) -> int:
        """Items that could have been recommended."""
        return len(self.item_user_counts)


def coverage(lists: ItemLists, n_items: int) -> float:
    """Share of the catalogue that is in at least one list.

    Source: Ge, Delgado-Battenfeld, Jannach (2010), Beyond accuracy (catalogue coverage).
    """
    return float(np.count_nonzero(_list_counts(lists, n_items)) / n_items)


def gini(lists: ItemLists, n_items: int) -> float:
    """How unevenly the places are shared: 0 where each item has as many, 1 - 1/n_items where one has all.

    Items in no list count with 0; NaN where nothing is listed.
    Source: sum over items in ascending order of (2 i - n - 1) x_i / (n sum x), Gini (1912) as in
    Castells, Hurley, Vargas (2015), Novelty and diversity in recommender systems, who divide by
    n - 1 where we divide by n.
    """
    counts = np.sort(_list_counts(lists, n_items))
    total = counts.sum()
    if total == 0:
        return float("nan")
    weights = 2 * np.arange(1, n_items + 1) - n_items - 1
    return float((weights * counts).sum() / (n_items * total))


def popularity_percentiles(item_user_counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """Position of each item by popularity, `(n_items,)` in (0, 1), ties sharing their middle; mean 0.5."""
    _, inverse, sizes = np.unique(item_user_counts, return_inverse=True, return_counts=True)
    below = np.cumsum(sizes) - sizes
    middle = (below + sizes / 2) / len(item_user_counts)
    percentiles: NDArray[np.float64] = middle[inverse]
    return percentiles


def popularity_bias(
    lists: ItemLists, histories: Ragged, item_user_counts: NDArray[np.integer]
) -> QueryValues:
    """Mean popularity percentile of the list minus that of the query's own history, in (-1, 1).

    Above 0: the list is more mainstream than the person.
    Source: the group average popularity of Abdollahpouri et al. (2019), The unfairness of popularity
    bias in recommendation; we take percentiles for counts and a difference for the ratio, so that
    one blockbuster does not decide it.
    """
    percentiles = popularity_percentiles(item_user_counts)
    seen = np.bincount(histories.row_of_value, percentiles[histories.values], minlength=len(histories))
    return _mean_over_list(lists, percentiles) - ratio(seen, histories.lengths)


def novelty(lists: ItemLists, item_user_counts: NDArray[np.integer], *, n_users: int) -> QueryValues:
    """Mean self-information -log2 p of the listed items in bits, p the share of users who know it.

    Source: Zhou et al. (2010), Solving the apparent diversity-accuracy dilemma of recommender
    systems (surprisal); p = (count + 1) / (n_users + 1) here, so that an item without users is
    finite: log2(n_users + 1) bits.
    """
    return _mean_over_list(lists, np.log2((n_users + 1) / (item_user_counts + 1)))


def intra_list_diversity(lists: ItemLists, item_features: FeatureRows) -> QueryValues:
    """1 minus the mean cosine over all pairs of different places in the list.

    Items whose features are all zero are left out of the pairs: we do not know that they differ.
    Source: Smyth, McClave (2001), Similarity vs. diversity; Ziegler et al. (2005). For unit rows f
    the pairs sum to (|sum f|^2 - n) / 2, so the cost is linear in the list's length.
    """
    unit = _unit_rows(item_features)
    is_described = np.diff(unit.indptr) > 0
    chunks = [
        _diversity_of_chunk(lists[first : first + _CHUNK_QUERIES], unit, is_described)
        for first in range(0, len(lists), _CHUNK_QUERIES)
    ]
    return np.concatenate([np.empty(0), *chunks])


def _diversity_of_chunk(
    lists: ItemLists, unit: sparse.csr_array, is_described: NDArray[np.bool_]
) -> QueryValues:
    kept = (lists != PADDING) & is_described[lists]
    n = np.count_nonzero(kept, axis=1)
    offsets = np.concatenate([[0], np.cumsum(n)])
    members = sparse.csr_array(
        (np.ones(offsets[-1]), lists[kept], offsets), shape=(len(lists), unit.shape[0])
    )
    total = members @ unit
    squared_norm = np.asarray(total.multiply(total).sum(axis=1)).ravel()
    cosine = ratio(squared_norm - n, n * (n - 1))
    return np.maximum(1 - cosine, 0.0)  # rounding may leave -1e-16; NaN stays NaN


def _unit_rows(features: FeatureRows) -> sparse.csr_array:
    """Rows scaled to length 1; rows of zeros stay empty."""
    rows = sparse.csr_array(features, copy=True).astype(np.float64)
    if not np.isfinite(rows.data).all():
        raise ValueError("Item features must be finite: found NaN or infinity.")
    rows.eliminate_zeros()
    norms = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    rows.data /= np.repeat(norms, np.diff(rows.indptr))
    return rows


def _list_counts(lists: ItemLists, n_items: int) -> NDArray[np.int64]:
    """In how many places each item stands, `(n_items,)`."""
    counts = np.bincount(lists[lists != PADDING], minlength=n_items)
    if len(counts) > n_items:
        raise ValueError(f"A list names item {len(counts) - 1}, but the catalogue has {n_items} items.")
    return counts


def _mean_over_list(lists: ItemLists, item_values: NDArray[np.float64]) -> QueryValues:
    """Mean of the listed items' values, rank by rank to hold one number a query; NaN for empty lists."""
    total, n = np.zeros(len(lists)), np.zeros(len(lists))
    for rank in range(lists.shape[1]):
        items = lists[:, rank]
        is_item = items != PADDING
        total += np.where(is_item, item_values[items], 0.0)
        n += is_item
    return ratio(total, n)


def _mean(values: QueryValues) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def _mean_popularity_bias(lists: ItemLists, catalogue: Catalogue) -> float:
    if catalogue.histories is None:
        return float("nan")
    return _mean(popularity_bias(lists, catalogue.histories, catalogue.item_user_counts))


def _mean_diversity(lists: ItemLists, catalogue: Catalogue) -> float:
    if catalogue.item_features is None:
        return float("nan")
    return _mean(intra_list_diversity(lists, catalogue.item_features))


ListMetric = Callable[[ItemLists, Catalogue], float]

LIST_METRICS: Final[Mapping[str, ListMetric]] = MappingProxyType(
    {
        "coverage": lambda lists, catalogue: coverage(lists, catalogue.n_items),
        "gini": lambda lists, catalogue: gini(lists, catalogue.n_items),
        "popularity_bias": _mean_popularity_bias,
        "novelty": lambda lists, catalogue: _mean(
            novelty(lists, catalogue.item_user_counts, n_users=catalogue.n_users)
        ),
        "intra_list_diversity": _mean_diversity,
    }
)
"""Every list metric by its name: one number for all lists, NaN where the catalogue lacks what it needs."""
