"""Consumption as a sparse users × items matrix, which the first stage learns from."""

import numpy as np
import scipy.sparse as sp

from marquee.data.histories import Histories
from marquee.data.interactions import Interactions


def user_item_matrix(interactions: Interactions) -> sp.csr_array:
    """`(n_users, n_items) float32` with 1 where the user consumed the item."""
    shape = (len(interactions.users), len(interactions.items))
    ones = np.ones(len(interactions), np.float32)
    matrix = sp.csr_array((ones, (interactions.user_index, interactions.item_index)), shape=shape)
    matrix.data[:] = 1  # a pair that occurs twice was summed
    return matrix


def history_matrix(histories: Histories, n_items: int, *, half_life_events: float | None) -> sp.csr_array:
    """Each history as a row of recency weights, `(n_queries, n_items) float32`."""
    weight = histories.recency_weights(half_life_events)
    return sp.csr_array((weight, histories.item_index, histories.offsets), shape=(len(histories), n_items))
