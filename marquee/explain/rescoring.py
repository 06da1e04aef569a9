"""Scores of given items, by the very arithmetic that makes a list, without making one."""

import numpy as np
from numpy.typing import NDArray

from marquee.candidates.union import RouteView
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
    views = (
        RouteView.of(recommender.route_scores(route, queries), blocked, recommender.union)
        for route in recommender.routes.values()
    )
    route_values = np.column_stack([value for view in views for value in view.of_pairs(row, item)])
    return recommender.features(queries, row, item, route_values.astype(np.float32))
