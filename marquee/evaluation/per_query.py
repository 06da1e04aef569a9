"""One model's metrics, query by query: what comparisons and the gate are made of."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marquee.evaluation.ranking_metrics import QueryValues


@dataclass(frozen=True, eq=False)
class PerQuery:
    """Values of one model by metric label (`ndcg@12`), each `(n_queries,) float64`.

    `query_keys` `(n_queries,) int64` name the queries, in order: two models may be compared only
    where their keys are equal. Any number that identifies a query will do (a user's index, where
    each user asks once); a bare row number can't reveal rows in another order.
    """

    model: str
    query_keys: NDArray[np.int64]
    values: Mapping[str, QueryValues]

    def __len__(self) -> int:
        return len(self.query_keys)

    def is_aligned_with(self, other: "PerQuery") -> bool:
        """Both hold the same queries in the same order."""
        return np.array_equal(self.query_keys, other.query_keys)

    def mean(self, label: str) -> float:
        """Mean over the queries of the metric called `label`."""
        return float(np.mean(self.values[label]))
