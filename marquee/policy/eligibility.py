"""Which items may be proposed to each query, decided before any route proposes one.

Deciding first, rather than filtering a finished list, keeps lists full and leaves no later path by
which a blocked item could return.
"""

import numpy as np
from numpy.typing import NDArray

from marquee.data.histories import Histories
from marquee.policy.restrictions import UNRESTRICTED, Restrictions


def blocked_items(
    histories: Histories, *, min_age: NDArray[np.float32], restrictions: Restrictions = UNRESTRICTED
) -> NDArray[np.bool_]:
    """Mark the items that may not be proposed: those of the history, and the hidden ones.

    Args:
        histories: one block of queries.
        min_age: as of `hidden_items`.
        restrictions: of these queries.

    Returns:
        `(n_queries, n_items) bool`, True where blocked.
    """
    blocked = hidden_items(len(histories), min_age=min_age, restrictions=restrictions)
    blocked[histories.row, histories.item_index] = True
    return blocked


def hidden_items(
    n_queries: int, *, min_age: NDArray[np.float32], restrictions: Restrictions
) -> NDArray[np.bool_]:
    """Mark the items that a query may not even hear of, seen or not: no list shows, no reason names them.

    Hidden are excluded items and, for a query with a maturity limit, items suitable only from a
    higher age. An item of unknown suitable age is hidden from every limited query: it fails closed.

    Args:
        n_queries: in the block.
        min_age: `(n_items,)` or, where it is known anew for each query, `(n_queries, n_items)`:
            suitable from this age in years, NaN where unknown.
        restrictions: of these queries, one entry each.

    Returns:
        `(n_queries, n_items) bool`, True where hidden.

    Raises:
        ValueError: the restrictions are of another number of queries, so that some would go without.
    """
    hidden = np.zeros((n_queries, min_age.shape[-1]), bool)
    limits, excluded = restrictions.maturity_limits, restrictions.excluded
    for given in (limits, excluded):
        if given is not None and len(given) != n_queries:
            raise ValueError(f"restrictions of {len(given)} queries for {n_queries}")
    if excluded is not None:
        for query, items in enumerate(excluded):
            known = np.asarray(items, np.int64)
            hidden[query, known[known >= 0]] = True  # UNKNOWN_INDEX would hide the last item
    if limits is not None:
        suitable = min_age <= limits[:, np.newaxis]  # False where either is NaN
        hidden |= ~suitable & ~np.isnan(limits)[:, np.newaxis]
    return hidden
