"""The latest events of each user: long histories cost more than they teach."""

import numpy as np
from numpy.typing import NDArray

from marquee.data.interactions import Interactions


def latest_of_each_user(interactions: Interactions, n: int) -> NDArray[np.bool_]:
    """Mask `(n_events,)` of at most `n` latest events of each user.

    Of events that share the boundary's timestamp those of lower item index stay: the order of input
    rows does not matter.
    """
    order = np.lexsort((interactions.item_index, -interactions.timestamp_us, interactions.user_index))
    counts = np.bincount(interactions.user_index, minlength=len(interactions.users))
    starts = np.cumsum(counts) - counts
    place = np.arange(len(order)) - starts[interactions.user_index[order]]
    kept = np.zeros(len(order), bool)
    kept[order] = place < n
    return kept


def latest_users(interactions: Interactions, n: int) -> NDArray[np.bool_]:
    """Mask `(n_users,)` of the `n` users who were active last, of equals those of lower index."""
    last = np.full(len(interactions.users), np.iinfo(np.int64).min)
    np.maximum.at(last, interactions.user_index, interactions.timestamp_us)
    chosen = np.zeros(len(last), bool)
    chosen[np.argsort(-last, kind="stable")[:n]] = True
    return chosen
