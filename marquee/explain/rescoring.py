"""Scores of given items, by the very arithmetic that makes a list, without making one."""

import numpy as np
from numpy.typing import NDArray

from marquee.candidates.union import RouteViews
from marquee.data.histories import Queries
from marquee.recommend import Recommender


def features_of_items(
    recommender: Recommender, queries: Queries, items: NDArray[np.int32], blocked: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """The ranker's rows of the same items for each query, `(n_queries × n_items_asked, n_features)`.

    A row is that of `Recommender.propose` where that proposes the item, and what it would be where not.

    Args:
        recommender: the model.
        queries: as the model hears them (`Recommender.answered`).
        items: `(n_items_asked,)` the same for all.
        blocked: `(n_items,)` what may not be proposed to any of them.
    """
    row, item = np.repeat(np.arange(len(queries)), len(items)), np.tile(items, len(queries))
    views = RouteViews.of(recommender.all_route_scores(queries), blocked, recommender.union)
    return recommender.features(queries, row, item, views.of_pairs(row, item))
