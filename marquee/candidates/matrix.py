"""Consumption as a sparse users × items matrix, which the first stage learns from."""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from marquee.candidates.value_weights import ValueWeights
from marquee.data.histories import Histories
from marquee.data.interactions import Interactions
from marquee.data.sparse_rows import SparseRows


def user_item_matrix(interactions: Interactions, weights: ValueWeights | None = None) -> sp.csr_array:
    """`(n_users, n_items) float32` with 1, or the weight of its value, where the user consumed the item."""
    shape = (len(interactions.users), len(interactions.items))
    pairs = (interactions.user_index, interactions.item_index)
    matrix = sp.csr_array((np.ones(len(interactions), np.float32), pairs), shape=shape)
    if weights is None or weights.strength == 0:
        matrix.data[:] = 1  # a pair that occurs twice was summed
        return matrix
    total = sp.csr_array((weights.weigh(interactions.value), pairs), shape=shape)
    total.data /= matrix.data  # their mean; both have the same pairs in the same order
    return total


def history_matrix(
    histories: Histories,
    n_columns: int,
    *,
    half_life_events: float | None,
    weights: ValueWeights | None = None,
    columns: NDArray[np.int32] | None = None,
) -> SparseRows:
    """Each history as a row of recency times value weights, `(n_queries, n_columns) float32`.

    Events without a recency weight have no entry.

    Args:
        histories: one block of queries.
        n_columns: as many as items, or as `columns` has.
        half_life_events: of the recency.
        weights: of the values; None where they do not count.
        columns: `(n_items,)` the column of each item, -1 for one without; None: item by item.
    """
    recent = histories.recent(half_life_events)
    weight, column, offsets = recent.recency_weights(half_life_events), recent.item_index, recent.offsets
    if weights is not None and weights.strength > 0:
        weight = weight * weights.weigh(recent.value)
    if columns is not None:
        column = columns.take(column)
        known = np.flatnonzero(column >= 0)
        weight, column, offsets = weight.take(known), column.take(known), known.searchsorted(offsets)
    # As narrow as the indexes: of two widths scipy would widen the whole of what this is multiplied with.
    return SparseRows(weight, column, offsets.astype(np.int32), (len(recent), n_columns))
