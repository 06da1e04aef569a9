"""Items by items, kept sparse: each item's nearest others, and how a history is scored by them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from marquee.candidates.matrix import history_matrix
from marquee.candidates.route import Arrays
from marquee.candidates.union import top_items
from marquee.data.histories import Histories
from marquee.data.interactions import UNKNOWN_INDEX
from marquee.data.sparse_rows import csr_of

BLOCK_CELLS: Final = 2**23
"""Cells of one dense block of likenesses: 32 MiB of float32."""


@dataclass(frozen=True, eq=False)
class ItemLikeness:
    """How like items are to one another, for each item those most like it."""

    matrix: sp.csr_array  # (n_items, n_items) float32, from the history's item to the scored one
    half_life_events: float | None

    @classmethod
    def of_rows(cls, rows: Sequence[sp.csr_array], n_items: int, half_life_events: float | None) -> Self:
        """Of blocks of rows, in order."""
        lengths = np.concatenate([np.empty(0, np.int64), *(np.diff(block.indptr) for block in rows)])
        flat = (
            np.concatenate([np.empty(0, np.float32), *(block.data for block in rows)]),
            np.concatenate([np.empty(0, np.int32), *(block.indices for block in rows)]),
            np.concatenate([[0], np.cumsum(lengths)]),
        )
        return cls(sp.csr_array(flat, shape=(n_items, n_items)), half_life_events)

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """Recency-weighted sum of likenesses; `-inf` for items that are like nothing of the history."""
        history = history_matrix(histories, self.matrix.shape[0], half_life_events=self.half_life_events)
        scores = history.times(self.matrix)
        scores[scores <= 0] = -np.inf
        return scores

    def similar(self, item_index: int) -> NDArray[np.float32]:
        """Likenesses to one item; `-inf` for itself and for what is not among its nearest."""
        scores = np.asarray(self.matrix[[item_index]].toarray(), np.float32).ravel()
        scores[scores <= 0] = -np.inf
        scores[item_index] = -np.inf
        return scores

    def arrays(self) -> Arrays:
        """The state for a bundle; a half-life of NaN stands for none."""
        half_life = np.nan if self.half_life_events is None else self.half_life_events
        return {
            "data": self.matrix.data,
            "indices": self.matrix.indices.astype(np.int32),
            "indptr": self.matrix.indptr.astype(np.int64),
            "half_life_events": np.array(half_life, np.float64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """Rebuild from the state."""
        data, indices, indptr = (arrays[name] for name in ("data", "indices", "indptr"))
        n_items, half_life = len(indptr) - 1, float(arrays["half_life_events"])
        matrix = csr_of(np.asarray(data, np.float32), indices, indptr, (n_items, n_items))
        return cls(matrix, None if np.isnan(half_life) else half_life)


@dataclass(frozen=True, eq=False)
class LikenessRoute:
    """What routes share that are nothing but likenesses of items."""

    items: ItemLikeness

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """As `ItemLikeness.score`."""
        return self.items.score(histories)

    def similar(self, item_index: int) -> NDArray[np.float32]:
        """As `ItemLikeness.similar`."""
        return self.items.similar(item_index)

    def arrays(self) -> Arrays:
        """The fitted state."""
        return self.items.arrays()

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """Rebuild from the fitted state."""
        return cls(ItemLikeness.from_arrays(arrays))


def item_blocks(n_items: int) -> Iterator[NDArray[np.int64]]:
    """Indexes of all items, in runs whose likenesses to all fit one block."""
    size = max(1, BLOCK_CELLS // max(1, n_items))
    for start in range(0, n_items, size):
        yield np.arange(start, min(start + size, n_items))


def keep_nearest(likeness: NDArray[np.float32], items: NDArray[np.int64], n: int) -> sp.csr_array:
    """The `n` largest positive entries of each row, of equals those of lower index.

    Args:
        likeness: `(n_rows, n_items)`; the entry of an item and itself is overwritten.
        items: `(n_rows,)` the item of each row.
        n: how many.
    """
    likeness[np.arange(len(items)), items] = 0
    best = top_items(likeness, n)
    row, place = np.nonzero(best != UNKNOWN_INDEX)
    column = best[row, place]
    value = likeness[row, column]
    found = value > 0
    nearest = sp.csr_array((value[found], (row[found], column[found])), shape=likeness.shape)
    nearest.sort_indices()
    return nearest
