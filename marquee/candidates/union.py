"""The union of the routes: a few hundred candidates per query, with each route's view of each.

Works in blocks of queries, so that memory is block × items and never users × items.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from marquee.data.interactions import UNKNOWN_INDEX

BLOCK_CELLS: Final = 2**22
"""Cells of one block of scores: 16 MiB of float32."""


class UnionConfig(BaseModel):
    """How many candidates the first stage hands on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    depth: int = Field(default=150, ge=1)
    """Best items of each route that enter the union."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Candidates of many queries; query `i` owns rows `offsets[i]:offsets[i + 1]`, by ascending item."""

    offsets: NDArray[np.int64]  # (n_queries + 1,)
    item_index: NDArray[np.int32]  # (n_pairs,)
    route_values: NDArray[np.float32]  # (n_pairs, n_routes * 3): score, share of best, rank per route

    @cached_property
    def row(self) -> NDArray[np.int64]:
        """The query of each pair, `(n_pairs,) int64`."""
        return np.arange(len(self.offsets) - 1).repeat(self.offsets[1:] - self.offsets[:-1])

    @property
    def ranks(self) -> NDArray[np.float32]:
        """The rank of each pair by each route, `(n_pairs, n_routes)`."""
        return self.route_values[:, 2::3]


def query_blocks(n_queries: int, n_items: int) -> Iterator[slice]:
    """Slices of queries whose scores fit one block."""
    size = max(1, BLOCK_CELLS // max(1, n_items))
    for start in range(0, n_queries, size):
        yield slice(start, min(start + size, n_queries))


@dataclass(frozen=True, eq=False)
class RouteViews:
    """What the routes say of all items to one block of queries."""

    score: NDArray[np.float32]  # (n_routes, n_queries, n_items), -inf where unknown or not to be proposed
    best: NDArray[np.float32]  # (n_routes, n_queries) size of the best score, 0 where that is not finite
    rank: NDArray[np.float32]  # (n_routes, n_queries, n_items) from 1, `depth + 1` below the best `depth`

    @classmethod
    def of(cls, score: NDArray[np.float32], blocked: NDArray[np.bool_], config: UnionConfig) -> Self:
        """Rank the items of the routes' scores, which are overwritten.

        Args:
            score: `(n_routes, n_queries, n_items)`.
            blocked: `(n_queries, n_items)`, or `(n_items,)` for all queries alike: what may not be proposed.
            config: the depth.
        """
        np.copyto(score, -np.inf, where=blocked)
        best = np.abs(np.maximum.reduce(score, axis=2))
        best[~np.isfinite(best)] = 0
        rank = np.empty(score.shape, np.float32)
        # One list a route and query; as many at a time as a block holds, since sorting needs copies.
        lists, ranks = score.reshape(-1, score.shape[2]), rank.reshape(-1, score.shape[2])
        for rows in query_blocks(*lists.shape):
            ranks[rows] = _ranks(lists[rows], best.reshape(-1)[rows], config.depth)
        return cls(score, best, rank)

    def proposed(self, config: UnionConfig) -> NDArray[np.bool_]:
        """What any route has among its best, `(n_queries, n_items)`."""
        return np.asarray((self.rank <= config.depth).any(axis=0))

    def of_pairs(self, row: NDArray[np.int64], item: NDArray[np.integer]) -> NDArray[np.float32]:
        """Each pair's score, share of the query's best score, and rank, per route; NaN where unknown.

        `(n_pairs, n_routes * 3) float32`.
        """
        n_routes, _, n_items = self.score.shape
        cell = row * n_items + item
        views = np.zeros((len(row), n_routes, 3), np.float32)
        value, share, rank = views.transpose(2, 1, 0)  # each `(n_routes, n_pairs)`
        score = self.score.reshape(n_routes, -1).take(cell, axis=1)
        value[:] = np.where(np.isfinite(score), score, np.nan)
        best = self.best.take(row, axis=1)
        np.divide(value, best, out=share, where=best > 0)
        rank[:] = self.rank.reshape(n_routes, -1).take(cell, axis=1)
        return views.reshape(len(row), 3 * n_routes)


def retrieve(
    route_scores: NDArray[np.float32], blocked: NDArray[np.bool_], config: UnionConfig
) -> Candidates:
    """Take the best `depth` items of each route and describe all of them by every route.

    Args:
        route_scores: `(n_routes, n_queries, n_items)` of one block of queries, routes in the order of
            their features; they are overwritten.
        blocked: `(n_queries, n_items)` items that may not be proposed.
        config: how many.

    Returns:
        Candidates whose route values are, per route: the score (NaN where the route knows nothing
        of the item), its share of the best score among the items that may be proposed, and its
        rank from 1, or `depth + 1` for an item below the route's best `depth`. A route that scores
        a query zero all over proposes nothing for it.
    """
    views = RouteViews.of(route_scores, blocked, config)
    row, item = views.proposed(config).nonzero()
    offsets = row.searchsorted(np.arange(route_scores.shape[1] + 1))
    return Candidates(offsets, item.astype(np.int32), views.of_pairs(row, item))


def _ranks(score: NDArray[np.float32], best: NDArray[np.float32], depth: int) -> NDArray[np.float32]:
    """Rank of each item from 1 in each list, `depth + 1` below the best `depth`, of `(n_lists, n_items)`.

    A personal route scores zero all over for an empty history. Its "best" would be the lowest item
    indexes: noise, which must neither fill the union nor look like a rank to the ranker.
    """
    says_something = best > 0
    if not says_something.all():  # where 0 is the best, there may be scores below
        says_something |= (np.isfinite(score) & (score != 0)).any(axis=1)
    item, is_finite = _best(score, depth)
    is_ranked = is_finite & says_something[:, np.newaxis]
    place = np.arange(1, item.shape[1] + 1)
    rank = np.full(score.shape, depth + 1, np.float32)
    rank[np.arange(len(item))[:, np.newaxis], item] = np.where(is_ranked, place, depth + 1)
    return rank


def top_items(scores: NDArray[np.float32], n: int) -> NDArray[np.int32]:
    """The best `n` items per query, best first; equal scores by ascending index.

    Args:
        scores: `(n_queries, n_items)`; `-inf` is never returned.
        n: length of the lists.

    Returns:
        `(n_queries, n) int32`, padded with `UNKNOWN_INDEX`.
    """
    item, is_finite = _best(scores, n)
    lists = np.full((len(scores), n), UNKNOWN_INDEX, np.int32)
    lists[:, : item.shape[1]] = np.where(is_finite, item, UNKNOWN_INDEX)
    return lists


def _best(scores: NDArray[np.float32], n: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The items of the best `n` scores of each list, as of `top_items`, and whether each is finite.

    Both `(n_lists, min(n, n_items))`.
    """
    # Score and index as one integer: a sort of them needs no look at ties, and numpy sorts integers by many.
    key = _ordered(scores).astype(np.int64)
    key <<= _INDEX_BITS
    np.subtract(np.arange(key.shape[1]), key, out=key)
    if n < key.shape[1]:
        key.partition(n - 1, axis=1)  # linear; only what is admitted is then sorted
    best = key[:, :n]
    best.sort(axis=1)
    return best & _INDEX_MASK, (best > _FIRST) & (best < _LAST)


def _ordered(scores: NDArray[np.float32]) -> NDArray[np.int32]:
    """Integers in the order of floats: IEEE 754's bits, of negative numbers all but the sign turned over."""
    bits = (scores + np.float32(0)).view(np.int32)  # -0.0 equals 0.0
    bits ^= (bits >> 31) & np.int32(2**31 - 1)
    return bits


_INDEX_BITS: Final = 32
_INDEX_MASK: Final = 2**_INDEX_BITS - 1
_INFINITE: Final = int(_ordered(np.array([np.inf], np.float32))[0])
_FIRST: Final = (-_INFINITE << _INDEX_BITS) | _INDEX_MASK
"""Keys of scores below infinity are above."""
_LAST: Final = -int(_ordered(np.array([-np.inf], np.float32))[0]) << _INDEX_BITS
"""Keys of scores above minus infinity are below."""
