"""Scores of given items, by the very arithmetic that makes a list, without making one."""

import numpy as np
from numpy.typing import NDArray

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
    depth = recommender.union.depth
    views = [
        view
        for route in recommender.routes.values()
        for view in _views(recommender.route_scores(route, queries), items, blocked, depth=depth)
    ]
    row = np.repeat(np.arange(len(queries)), len(items))
    route_values = np.column_stack([view.ravel() for view in views]).astype(np.float32)
    return recommender.features(queries, row, np.tile(items, len(queries)), route_values)


def _views(
    scores: NDArray[np.float32], items: NDArray[np.int32], blocked: NDArray[np.bool_], *, depth: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Score, share of the query's best score, and rank of each item, `(n_queries, n_items_asked)` each.

    As of `marquee.candidates.union.retrieve`, which describes its own candidates only.
    """
    scores = np.where(blocked, np.float32(-np.inf), scores)
    ascending = np.sort(scores, axis=1)
    asked = scores[:, items]
    is_known = np.isfinite(asked)
    value = np.where(is_known, asked, np.float32("nan"))
    best = np.abs(ascending[:, -1:])
    is_scale = np.isfinite(best) & (best > 0)
    share = np.divide(value, best, out=np.zeros_like(value), where=is_scale)
    is_ranked = is_known & _says_something(ascending)
    rank = np.where(is_ranked, _ranks(scores, ascending[:, -depth:], items, is_ranked), depth + 1)
    return value, share, np.minimum(rank, depth + 1).astype(np.float32)


def _says_something(ascending: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Per query, whether any finite score differs from zero, `(n_queries, 1)`: the lowest or the highest."""
    first = np.argmax(np.isfinite(ascending), axis=1)[:, np.newaxis]
    ends = np.concatenate([np.take_along_axis(ascending, first, axis=1), ascending[:, -1:]], axis=1)
    return np.asarray(np.any(np.isfinite(ends) & (ends != 0), axis=1, keepdims=True), bool)


def _ranks(
    scores: NDArray[np.float32],
    top: NDArray[np.float32],
    items: NDArray[np.int32],
    is_ranked: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Rank from 1 of each item where it is ranked and of the `top` scores, beyond them where not.

    Equal scores rank by ascending index. `top` is ascending, `(n_queries, depth)`.
    """
    asked = scores[:, items]
    better = np.count_nonzero(top[:, np.newaxis] > asked[:, :, np.newaxis], axis=2)
    equal = np.count_nonzero(top[:, np.newaxis] == asked[:, :, np.newaxis], axis=2)
    ranks = 1 + better
    # Below the lowest of the top there may be more that equal it.
    for query, place in np.argwhere(is_ranked & ((equal > 1) | (asked == top[:, :1]))):
        own, item = scores[query], items[place]
        ranks[query, place] += np.count_nonzero(own[:item] == own[item])
    return np.asarray(np.where(equal > 0, ranks, top.shape[1] + 1), np.int64)
