"""NDCG of the rows of a training set, group by group: what second stages are chosen and blended by."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class GroupNdcg:
    """NDCG@k of grouped rows by their scores; the ideal is made of the group's own rows.

    Rows of a training set are shuffled within their group, so that ties are broken by chance.
    """

    labels: NDArray[np.bool_]  # (n_groups, width), rows beyond a group's size False
    place: NDArray[np.int64]  # (n_rows,) position of each row in the flat (n_groups, width)
    ideal: NDArray[np.float64]  # (n_groups,)
    discount: NDArray[np.float64]  # (k,)

    @classmethod
    def of(cls, labels: NDArray[np.int8], group_sizes: NDArray[np.int32], k: int) -> Self:
        """For rows `(n_rows,)` that lie group by group."""
        width = max(k, int(group_sizes.max()))
        ends = np.cumsum(group_sizes)
        group = np.repeat(np.arange(len(group_sizes)), group_sizes)
        place = group * width + np.arange(len(labels)) - (ends - group_sizes)[group]
        table = np.zeros((len(group_sizes), width), bool)
        table.flat[place] = labels > 0
        discount = 1 / np.log2(np.arange(2, k + 2))
        n_wanted = np.clip(table.sum(axis=1), 1, k)
        return cls(table, place, np.cumsum(discount)[n_wanted - 1], discount)

    def per_group(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """For scores of all rows, `(n_rows,)` to `(n_groups,)`."""
        table = np.full(self.labels.shape, -np.inf)
        table.flat[self.place] = scores
        k = len(self.discount)
        top = np.argpartition(-table, k - 1, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(table, top, axis=1), axis=1, kind="stable")
        hits = np.take_along_axis(self.labels, np.take_along_axis(top, order, axis=1), axis=1)
        return np.asarray((hits @ self.discount) / self.ideal, np.float64)

    def __call__(self, scores: NDArray[np.float64]) -> float:
        """The mean over the groups."""
        return float(self.per_group(scores).mean())
