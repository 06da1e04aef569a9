"""Retrieve → assemble → score → policy → take the top n: the one path to a list.

Offline evaluation, the command line and the server call `Recommender.recommend`; the ranker's
training set is built from the same `propose`. What is measured is what is served.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from marquee import schema
from marquee.candidates.route import Route, StateRoute
from marquee.candidates.union import Candidates, UnionConfig, query_blocks, retrieve, top_items
from marquee.data.histories import Queries
from marquee.data.interactions import UNKNOWN_INDEX, Interactions, Vocabulary
from marquee.features.assemble import assemble
from marquee.features.cross import Catalogue
from marquee.features.movie_states import MovieStates
from marquee.policy.eligibility import blocked_items
from marquee.ranking.ranker import Ranker

Progress = Callable[[int, int], None]
"""Hears how many of how many queries are done."""


def _silent(_done: int, _total: int) -> None:
    """Report to nobody."""


@dataclass(frozen=True, eq=False)
class Restrictions:
    """What may not be shown to each query, beyond what it has seen."""

    maturity_limits: NDArray[np.float32] | None = None  # (n_queries,) years, NaN for unlimited
    excluded: Sequence[NDArray[np.integer]] | None = None  # item indexes per query

    def block(self, rows: slice) -> "Restrictions":
        """The restrictions of a slice of the queries."""
        return Restrictions(
            None if self.maturity_limits is None else self.maturity_limits[rows],
            None if self.excluded is None else self.excluded[rows],
        )


@dataclass(frozen=True, eq=False)
class Lists:
    """Recommended items per query, best first, padded with `UNKNOWN_INDEX` and NaN."""

    item_index: NDArray[np.int32]  # (n_queries, n)
    score: NDArray[np.float32]  # (n_queries, n)


@dataclass(frozen=True, eq=False)
class Recommender:
    """A complete two-stage model: everything that a request needs, and nothing of any one user."""

    items: Vocabulary
    routes: Mapping[str, Route]
    catalogue: Catalogue
    union: UnionConfig
    ranker: Ranker | None = None
    views_off: tuple[str, ...] = ()
    """Feature views that the ranker does without."""

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """The ranker's columns, in order."""
        return schema.ranking_features_without(tuple(self.routes), self.views_off)

    @cached_property
    def _columns(self) -> slice | list[int]:
        """Where the ranker's columns are among all features."""
        every = schema.ranking_features(tuple(self.routes))
        return [every.index(name) for name in self.feature_names] if self.views_off else slice(None)

    def with_ranker(self, ranker: Ranker) -> Self:
        """The same first stage under a ranker."""
        return replace(self, ranker=ranker)

    def with_states(self, states: MovieStates) -> Self:
        """The same model with the movies' state of other moments."""
        return replace(self, catalogue=replace(self.catalogue, states=states))

    def blocks(self, queries: Queries) -> list[slice]:
        """Slices of queries that are worked on at a time, in bounded memory."""
        return list(query_blocks(len(queries), len(self.items)))

    def blocked(self, queries: Queries, restrictions: Restrictions) -> NDArray[np.bool_]:
        """`(n_queries, n_items)`: seen, excluded, or above the maturity limit."""
        states = self.catalogue.states
        moment = 0 if restrictions.maturity_limits is None else states.moment_of(queries.time_us)
        return blocked_items(
            queries.histories,
            min_age=states.column(schema.MOVIE_MIN_AGE)[moment],
            maturity_limits=restrictions.maturity_limits,
            excluded=restrictions.excluded,
        )

    def candidates(self, queries: Queries, restrictions: Restrictions = Restrictions()) -> Candidates:
        """First stage of one block of queries."""
        scores = (self.route_scores(route, queries) for route in self.routes.values())
        return retrieve(scores, self.blocked(queries, restrictions), self.union)

    def route_scores(self, route: Route, queries: Queries) -> NDArray[np.float32]:
        """One route's scores of all items, `(n_queries, n_items)`, fresh if it reads the movies' state."""
        if not isinstance(route, StateRoute) or schema.MOVIE_STATISTICS_VIEW in self.views_off:
            return route.score(queries.histories)
        states = self.catalogue.states
        return route.levels(states)[states.moment_of(queries.time_us)]

    def propose(
        self, queries: Queries, restrictions: Restrictions = Restrictions()
    ) -> tuple[Candidates, NDArray[np.float32]]:
        """First stage and features of one block of queries: candidates and their feature rows."""
        candidates = self.candidates(queries, restrictions)
        features = assemble(
            queries,
            row=candidates.row,
            item_index=candidates.item_index,
            route_values=candidates.route_values,
            catalogue=self.catalogue,
        )
        return candidates, features[:, self._columns]

    def recommend(
        self,
        queries: Queries,
        n: int,
        *,
        restrictions: Restrictions = Restrictions(),
        on_progress: Progress = _silent,
    ) -> Lists:
        """The best `n` items of each query.

        Equal scores are ordered by the first route's score, then by item index, so that a list
        never depends on the order of rows.

        Args:
            queries: who asks.
            n: length of the lists.
            restrictions: what may not be shown.
            on_progress: hears how many queries are done.

        Returns:
            Lists without seen or blocked items and without repeats; shorter ones are padded.
        """
        lists = Lists(
            np.full((len(queries), n), UNKNOWN_INDEX, np.int32),
            np.full((len(queries), n), np.nan, np.float32),
        )
        for rows in self.blocks(queries):
            block = queries.take(np.arange(rows.start, rows.stop))
            candidates, features = self.propose(block, restrictions.block(rows))
            self.fill(lists, rows, candidates, self._score(features))
            on_progress(rows.stop, len(queries))
        return lists

    def _score(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Ranker scores; without a ranker the best reciprocal rank over the routes."""
        if not len(features):
            return np.empty(0, np.float32)
        if self.ranker is not None:
            return self.ranker.score(features).astype(np.float32)
        ranks = features[:, 2 : 3 * len(self.routes) : 3]
        return np.asarray((1 / ranks).max(axis=1), np.float32)

    @staticmethod
    def fill(lists: Lists, rows: slice, candidates: Candidates, scores: NDArray[np.float32]) -> None:
        """Write the top of a block of queries, by the scores of its candidates, into its rows."""
        n = lists.item_index.shape[1]
        first_route = np.nan_to_num(candidates.route_values[:, 0], nan=-np.inf)
        order = np.lexsort((candidates.item_index, -first_route, -scores, candidates.row))
        place = np.arange(len(order)) - candidates.offsets[candidates.row]
        kept = place < n
        query = rows.start + candidates.row[kept]
        lists.item_index[query, place[kept]] = candidates.item_index[order][kept]
        lists.score[query, place[kept]] = scores[order][kept]

    def route_lists(self, route: Route, queries: Queries, n: int) -> NDArray[np.int32]:
        """One route's own lists under the same rules, `(n_queries, n) int32`: a baseline."""
        lists = np.full((len(queries), n), UNKNOWN_INDEX, np.int32)
        for rows in self.blocks(queries):
            block = queries.take(np.arange(rows.start, rows.stop))
            scores = self.route_scores(route, block)
            scores[self.blocked(block, Restrictions())] = -np.inf
            lists[rows] = top_items(scores, n)
        return lists

    def similar(self, item_index: int, n: int, *, route: str | None = None) -> Lists:
        """The best `n` items by likeness to one, from a route, the first one if None; a single row."""
        name = next(iter(self.routes)) if route is None else route
        scores = self.routes[name].similar(item_index)[np.newaxis, :].copy()
        scores[0, item_index] = -np.inf
        items = top_items(scores, n)
        values = np.where(items == UNKNOWN_INDEX, np.nan, scores[0, items[0]])
        return Lists(items, values.astype(np.float32))


def training_window(interactions: Interactions, until_us: int) -> Interactions:
    """Events at or before `until_us`, with the vocabularies of all."""
    return interactions.take(interactions.timestamp_us <= until_us)
