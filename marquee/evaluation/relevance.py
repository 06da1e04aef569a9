"""Which recommended items were relevant: the one place where lists meet targets."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marquee.data.interactions import Ragged

ItemLists = NDArray[np.int32]
"""Recommended item indexes `(n_queries, n) int32`, best first, `PADDING` where a list has ended."""

PADDING = -1

_TABLE_CELLS = 1 << 24
"""Cells (bytes) of the look-up table that `judge` holds at a time."""


@dataclass(frozen=True, eq=False)
class Judged:
    """Recommended lists after the truth is known; binary relevance.

    `hit` is `(n_queries, n) bool`, column `r` for rank `r + 1`; `n_relevant` is
    `(n_queries,) int64`, how many items were relevant to the query, recommended or not.
    """

    hit: NDArray[np.bool_]
    n_relevant: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.n_relevant)


def judge(recommended: ItemLists, targets: Ragged) -> Judged:
    """Mark each recommended item that is among the targets of its query; padding is a miss.

    Memory beyond the result is bounded, whatever the catalogue's size.

    Raises:
        ValueError: lists and targets differ in number; a query has no target, a repeated one or a
            negative one; a list names a relevant item twice (it would be paid twice).
    """
    _check(recommended, targets)
    n_queries = len(targets)
    # Column 0 of the table stands for padding, so that -1 never reads a neighbour's cell.
    width = 2 + int(max(recommended.max(initial=PADDING), targets.values.max(initial=PADDING)))
    n_rows = max(1, min(n_queries, _TABLE_CELLS // width))
    is_wanted = np.zeros(n_rows * width, dtype=np.bool_)
    hit = np.zeros(recommended.shape, dtype=np.bool_)
    row_of_value = targets.row_of_value
    for first in range(0, n_queries, n_rows):
        last = min(first + n_rows, n_queries)
        span = slice(int(targets.offsets[first]), int(targets.offsets[last]))
        wanted = (row_of_value[span] - first) * width + 1 + targets.values[span]
        listed = np.arange(last - first)[:, None] * width + 1 + recommended[first:last]
        hit[first:last] = _look_up(is_wanted, wanted, listed)
    return Judged(hit, targets.lengths)


def as_lists(rows: Ragged, n: int) -> ItemLists:
    """The first `n` values of each row, `(n_rows, n) int32`, padded where a row is shorter."""
    lists = np.full((len(rows), n), PADDING, dtype=np.int32)
    rank = np.arange(len(rows.values)) - np.repeat(rows.offsets[:-1], rows.lengths)
    kept = rank < n
    lists[rows.row_of_value[kept], rank[kept]] = rows.values[kept]
    return lists


def _look_up(
    is_wanted: NDArray[np.bool_], wanted: NDArray[np.int64], listed: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which `listed` cells are `wanted`; leaves the table as blank as it came."""
    is_wanted[wanted] = True
    n_wanted = np.count_nonzero(is_wanted)
    if n_wanted != len(wanted):
        raise ValueError("The targets of a query must be unique items; a query names one twice.")
    found = is_wanted[listed]
    is_wanted[listed[found]] = False
    if n_wanted - np.count_nonzero(is_wanted) != np.count_nonzero(found):
        raise ValueError("A recommended list must not repeat an item; a list names a relevant item twice.")
    is_wanted[wanted] = False
    return found


def _check(recommended: ItemLists, targets: Ragged) -> None:
    if recommended.ndim != 2 or not np.issubdtype(recommended.dtype, np.integer):
        raise ValueError(
            f"Lists must be a 2-D integer array, not {recommended.ndim}-D {recommended.dtype.name}."
        )
    if len(recommended) != len(targets):
        raise ValueError(f"There are {len(recommended)} lists but targets for {len(targets)} queries.")
    if (targets.lengths == 0).any():
        row = int(np.argmin(targets.lengths))
        raise ValueError(f"Query {row} has no target: leave it out, no metric is defined for it.")
    if targets.values.min(initial=0) < 0:
        raise ValueError("Targets must be item indexes from 0; an item outside the vocabulary has none.")
    if recommended.min(initial=PADDING) < PADDING:
        raise ValueError(f"Lists hold item indexes from 0 or {PADDING}, not {recommended.min()}.")
