"""The ranker's input: state and arithmetic side by side, in the order that the schema names."""

import numpy as np
from numpy.typing import NDArray

from marquee.data.histories import Queries
from marquee.features.cross import Catalogue, cross_features
from marquee.features.request import query_features


def assemble(
    queries: Queries,
    *,
    row: NDArray[np.integer],
    item_index: NDArray[np.int32],
    route_values: NDArray[np.float32],
    catalogue: Catalogue,
) -> NDArray[np.float32]:
    """Build the feature matrix of (query, candidate) pairs.

    Training, offline evaluation and serving call this function and no other.

    Args:
        queries: who asks.
        row: `(n_pairs,)` the query of each pair.
        item_index: `(n_pairs,) int32` the candidate of each pair.
        route_values: `(n_pairs, n_route_features) float32` in the order of `schema.route_features`.
        catalogue: profiles and statistics as of the moment of the model.

    Returns:
        `(n_pairs, n_features) float32` in the order of `schema.ranking_features`; NaN is unknown.
    """
    return np.hstack(
        [
            route_values,
            catalogue.statistics.matrix[item_index],
            query_features(queries, catalogue.users)[row],
            cross_features(queries, row, item_index, catalogue),
        ]
    )
