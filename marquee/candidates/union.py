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
        return np.repeat(np.arange(len(self.offsets) - 1), self.offsets[1:] - self.offsets[:-1])


def query_blocks(n_queries: int, n_items: int) -> Iterator[slice]:
    """Slices of queries whose scores fit one block."""
    size = max(1, BLOCK_CELLS // max(1, n_items))
    for start in range(0, n_queries, size):
        yield slice(start, min(start + size, n_queries))


@dataclass(frozen=True, eq=False)
class RouteViews:
    """What the routes say of all items to one block of queries."""

    score: NDArray[np.float32]  # (n_routes, n_queries, n_items), -inf where unknown or not to be proposed
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
        rank = np.empty(score.shape, np.float32)
        # One list a route and query; as many at a time as a block holds, since sorting needs copies.
        lists, ranks = (array.reshape(-1, score.shape[-1]) for array in (score, rank))
        for rows in query_blocks(*lists.shape):
            ranks[rows] = _ranks(lists[rows], config.depth)
        return cls(score, rank)

    def proposed(self, config: UnionConfig) -> NDArray[np.bool_]:
        """What any route has among its best, `(n_queries, n_items)`."""
        return np.asarray((self.rank <= config.depth).any(axis=0))

    def of_pairs(self, row: NDArray[np.int64], item: NDArray[np.integer]) -> NDArray[np.float32]:
        """Each pair's score, share of the query's best score, and rank, per route; NaN where unknown.

        `(n_pairs, n_routes * 3) float32`.
        """
        n_routes, _, n_items = self.score.shape
        best = np.abs(self.score.max(axis=2)).take(row, axis=1)
        cell = row * n_items + item
        value, rank = (of.reshape(n_routes, -1).take(cell, axis=1) for of in (self.score, self.rank))
        value[~np.isfinite(value)] = np.nan
        share = np.divide(value, best, out=np.zeros_like(value), where=np.isfinite(best) & (best > 0))
        return np.stack([value, share, rank], axis=2).transpose(1, 0, 2).reshape(len(row), 3 * n_routes)


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
    union = views.proposed(config)
    row, item = np.nonzero(union)
    offsets = np.concatenate([[0], np.cumsum(np.count_nonzero(union, axis=1))]).astype(np.int64)
    return Candidates(offsets, item.astype(np.int32), views.of_pairs(row, item))


def _ranks(score: NDArray[np.float32], depth: int) -> NDArray[np.float32]:
    """Rank of each item from 1 in each list, `depth + 1` below the best `depth`, of `(n_lists, n_items)`."""
    rank = np.full(score.shape, depth + 1, np.float32)
    best = top_items(score, depth)
    best[~_says_something(score)] = UNKNOWN_INDEX
    row, place = np.nonzero(best != UNKNOWN_INDEX)
    rank[row, best[row, place]] = place + 1
    return rank


def _says_something(score: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Per query, whether any score differs from zero, `(n_queries,)`.

    A personal route scores zero all over for an empty history. Its "best" would be the lowest item
    indexes: noise, which must neither fill the union nor look like a rank to the ranker.
    """
    return np.asarray((np.isfinite(score) & (score != 0)).any(axis=1))


def top_items(scores: NDArray[np.float32], n: int) -> NDArray[np.int32]:
    """The best `n` items per query, best first; equal scores by ascending index.

    Args:
        scores: `(n_queries, n_items)`; `-inf` is never returned.
        n: length of the lists.

    Returns:
        `(n_queries, n) int32`, padded with `UNKNOWN_INDEX`.
    """
    n_queries, n_items = scores.shape
    width = min(n, n_items)
    lists = np.full((n_queries, n), UNKNOWN_INDEX, np.int32)
    if width == 0 or n_queries == 0:
        return lists
    # Score and index as one integer: a sort of them needs no look at ties, and numpy sorts integers by many.
    place = _ordered(scores).astype(np.int64)
    key = (-place << _INDEX_BITS) | np.arange(n_items)
    key.partition(width - 1, axis=1)  # linear; only what is admitted is then sorted
    best = np.sort(key[:, :width], axis=1)
    is_finite = (best > _FIRST) & (best < _LAST)
    lists[:, :width] = np.where(is_finite, best & _INDEX_MASK, UNKNOWN_INDEX)
    return lists


def _ordered(scores: NDArray[np.float32]) -> NDArray[np.int32]:
    """Integers in the order of floats: IEEE 754's bits, of negative numbers all but the sign turned over."""
    bits = (scores + np.float32(0)).view(np.int32)  # -0.0 equals 0.0
    return np.asarray(bits ^ ((bits >> 31) & np.int32(2**31 - 1)), np.int32)


_INDEX_BITS: Final = 32
_INDEX_MASK: Final = 2**_INDEX_BITS - 1
_INFINITE: Final = int(_ordered(np.array([np.inf], np.float32))[0])
_FIRST: Final = (-_INFINITE << _INDEX_BITS) | _INDEX_MASK
"""Keys of scores below infinity are above."""
_LAST: Final = -int(_ordered(np.array([-np.inf], np.float32))[0]) << _INDEX_BITS
"""Keys of scores above minus infinity are below."""
