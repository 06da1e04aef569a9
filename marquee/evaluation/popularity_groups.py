"""Where on the scale from obscure to famous: shares of lists and of choices by the items' popularity."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from marquee.evaluation.list_metrics import popularity_percentiles
from marquee.evaluation.relevance import PADDING

N_GROUPS: Final = 10


def popularity_groups(item_user_counts: NDArray[np.integer]) -> NDArray[np.int64]:
    """The popularity decile of each item, `(n_items,)` from 0, the least popular.

    Items with equally many users share a decile, the one of their middle: deciles hold a tenth of the
    items only where counts differ, and may be empty where many are equal.
    """
    groups: NDArray[np.int64] = (popularity_percentiles(item_user_counts) * N_GROUPS).astype(np.int64)
    return groups


def group_shares(item_index: NDArray[np.integer], groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of listed or chosen items in each group, `(N_GROUPS,)`; padding counts nowhere.

    NaN all over where there is no item.
    """
    counts = np.bincount(groups[item_index[item_index != PADDING]], minlength=N_GROUPS)
    total = counts.sum()
    return counts / total if total else np.full(N_GROUPS, np.nan)
