"""Which items may be proposed to each query, decided before any route proposes one.

Deciding first, rather than filtering a finished list, keeps lists full and leaves no later path by
which a blocked item could return.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from marquee.data.histories import Histories


def blocked_items(
    histories: Histories,
    *,
    min_age: NDArray[np.float32],
    maturity_limits: NDArray[np.float32] | None = None,
    excluded: Sequence[NDArray[np.integer]] | None = None,
) -> NDArray[np.bool_]:
    """Mark the items that may not be proposed.

    Blocked are items of the history, excluded items and, for a query with a maturity limit, items
    suitable only from a higher age. An item of unknown suitable age is blocked for every limited
    query: the filter fails closed.

    Args:
        histories: one block of queries.
        min_age: `(n_items,)` or, where it is known anew for each query, `(n_queries, n_items)`:
            suitable from this age in years, NaN where unknown.
        maturity_limits: `(n_queries,)` in years, NaN for an unlimited query; None limits nobody.
        excluded: item indexes per query that the caller does not want.

    Returns:
        `(n_queries, n_items) bool`, True where blocked.
    """
    blocked = np.zeros((len(histories), min_age.shape[-1]), bool)
    blocked[histories.row, histories.item_index] = True
    if excluded is not None:
        for query, items in enumerate(excluded):
            known = np.asarray(items, np.int64)
            blocked[query, known[known >= 0]] = True  # UNKNOWN_INDEX would block the last item
    if maturity_limits is not None:
        limits = maturity_limits[:, np.newaxis]
        suitable = min_age <= limits  # False where either is NaN
        blocked |= ~suitable & ~np.isnan(limits)
    return blocked
