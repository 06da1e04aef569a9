"""The union of the routes: a few hundred candidates per query, with each route's view of each.

Works in blocks of queries, so that memory is block × items and never users × items.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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

    @property
    def row(self) -> NDArray[np.int64]:
        """The query of each pair, `(n_pairs,) int64`."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))


def query_blocks(n_queries: int, n_items: int) -> Iterator[slice]:
    """Slices of queries whose scores fit one block."""
    size = max(1, BLOCK_CELLS // max(1, n_items))
    for start in range(0, n_queries, size):
        yield slice(start, min(start + size, n_queries))


@dataclass(frozen=True, eq=False)
class RouteView:
    """What one route says of all items to one block of queries."""

    score: NDArray[np.float32]  # (n_queries, n_items), -inf where unknown or not to be proposed
    rank: NDArray[np.float32]  # (n_queries, n_items) from 1, `depth + 1` below the best `depth`

    @classmethod
    def of(cls, score: NDArray[np.float32], blocked: NDArray[np.bool_], config: UnionConfig) -> Self:
        """Rank the items of a route's scores, which are overwritten.

        Args:
            score: `(n_queries, n_items)`.
            blocked: `(n_queries, n_items)`, or `(n_items,)` for all queries alike: what may not be proposed.
            config: the depth.
        """
        score[np.broadcast_to(blocked, score.shape)] = -np.inf
        rank = np.full(score.shape, config.depth + 1, np.float32)
        best = top_items(score, config.depth)
        query, place = np.nonzero((best != UNKNOWN_INDEX) & _says_something(score)[:, np.newaxis])
        rank[query, best[query, place]] = place + 1
        return cls(score, rank)

    def of_pairs(
        self, row: NDArray[np.int64], item: NDArray[np.integer]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Score, share of the query's best score, and rank of each pair; NaN where unknown."""
        best = np.abs(self.score.max(axis=1))[row]
        value = self.score[row, item]
        value = np.where(np.isfinite(value), value, np.float32("nan"))
        share = np.divide(value, best, out=np.zeros_like(value), where=np.isfinite(best) & (best > 0))
        return value, share, self.rank[row, item]


def retrieve(
    route_scores: Iterable[NDArray[np.float32]], blocked: NDArray[np.bool_], config: UnionConfig
) -> Candidates:
    """Take the best `depth` items of each route and describe all of them by every route.

    Args:
        route_scores: `(n_queries, n_items)` of one block of queries for each route, in the order of
            their features; they are overwritten.
        blocked: `(n_queries, n_items)` items that may not be proposed.
        config: how many.

    Returns:
        Candidates whose route values are, per route: the score (NaN where the route knows nothing
        of the item), its share of the best score among the items that may be proposed, and its
        rank from 1, or `depth + 1` for an item below the route's best `depth`. A route that scores
        a query zero all over proposes nothing for it.
    """
    views = [RouteView.of(score, blocked, config) for score in route_scores]
    union = np.zeros(blocked.shape, bool)
    for view in views:
        union |= view.rank <= config.depth
    row, item = np.nonzero(union)
    values = [value for view in views for value in view.of_pairs(row, item)]
    offsets = np.concatenate([[0], np.cumsum(union.sum(axis=1))]).astype(np.int64)
    return Candidates(offsets, item.astype(np.int32), np.column_stack(values).astype(np.float32))


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
    # Partition finds the last admitted score in linear time; only the admitted are then sorted.
    last = np.partition(scores, n_items - width, axis=1)[:, n_items - width, np.newaxis]
    admitted = scores > last
    tied = scores == last
    room = width - admitted.sum(axis=1, keepdims=True)
    admitted |= tied & (np.cumsum(tied, axis=1) <= room)
    query, item = np.nonzero(admitted)  # exactly `width` per query, ascending by item
    chosen = item.reshape(n_queries, width)
    chosen_scores = scores[query, item].reshape(n_queries, width)
    order = np.argsort(-chosen_scores, axis=1, kind="stable")
    ranked = np.take_along_axis(chosen, order, axis=1)
    finite = np.isfinite(np.take_along_axis(chosen_scores, order, axis=1))
    lists[:, :width] = np.where(finite, ranked, UNKNOWN_INDEX)
    return lists
