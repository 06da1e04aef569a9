"""Retrieve → assemble → score → policy → take the top n: the one path to a list.

Offline evaluation, the command line and the server call `Recommender.recommend`; the ranker's
training set is built from the same `propose`. What is measured is what is served.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Self, TypeGuard

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from marquee import schema
from marquee.candidates.route import Route, StateRoute
from marquee.candidates.similar_index import SimilarIndex
from marquee.candidates.union import Candidates, UnionConfig, query_blocks, retrieve, top_items
from marquee.data.histories import Histories, Queries
from marquee.data.interactions import UNKNOWN_INDEX, Interactions, Vocabulary
from marquee.features.assemble import assemble
from marquee.features.cross import Catalogue
from marquee.features.movie_states import MovieStates
from marquee.policy.diversity import diversified, likeness_rows
from marquee.policy.eligibility import blocked_items, hidden_items
from marquee.policy.minimum_history import without_short_histories
from marquee.policy.restrictions import UNRESTRICTED, Restrictions
from marquee.policy.rules import PolicyConfig
from marquee.ranking.ranker import CompilableRanker, Ranker
from marquee.ranking.ratings import RatingModel

Progress = Callable[[int, int], None]
"""Hears how many of how many queries are done."""


def _silent(_done: int, _total: int) -> None:
    """Report to nobody."""


@dataclass(frozen=True, eq=False)
class Lists:
    """Recommended items per query, best first, padded with `UNKNOWN_INDEX` and NaN.

    Scores descend, but under a diversity re-rank, which gives places without touching scores.
    """

    item_index: NDArray[np.int32]  # (n_queries, n)
    score: NDArray[np.float32]  # (n_queries, n)

    @classmethod
    def empty(cls, n_queries: int, n: int) -> Self:
        """All padding."""
        return cls(
            np.full((n_queries, n), UNKNOWN_INDEX, np.int32), np.full((n_queries, n), np.nan, np.float32)
        )


@dataclass(frozen=True, eq=False)
class Answer:
    """The list of one query, with what it was chosen from."""

    lists: Lists  # one row
    candidates: Candidates  # of the one query
    listed: NDArray[np.int64]  # (n_listed,) which of the candidates are in the list, best first

    @cached_property
    def item_index(self) -> NDArray[np.int32]:
        """The listed items without padding, `(n_listed,)`."""
        return self.candidates.item_index[self.listed]

    @cached_property
    def ranks(self) -> NDArray[np.float32]:
        """Rank of each listed item by each route, `(n_listed, n_routes)`."""
        return self.candidates.ranks[self.listed]

    @cached_property
    def best_route(self) -> list[int]:
        """Which route ranked each listed item best, of equals the first."""
        best: list[int] = self.ranks.argmin(axis=1).tolist()
        return best


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
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    """Business rules between scoring and the list."""
    ratings: RatingModel | None = None
    """Predicts stars; None where nobody gave any."""
    similar_index: SimilarIndex | None = None
    """Of one route, where there are too many items to look at each for those similar to one."""

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

    def compiled(self) -> Self:
        """The same model with its ranker as machine code, for many requests of one query each."""
        return self.with_ranker(self.ranker.compiled()) if isinstance(self.ranker, CompilableRanker) else self

    def with_states(self, states: MovieStates) -> Self:
        """The same model with the movies' state of other moments."""
        return replace(self, catalogue=replace(self.catalogue, states=states))

    def blocks(self, queries: Queries) -> list[slice]:
        """Slices of queries that are worked on at a time, in bounded memory."""
        return list(query_blocks(len(queries), len(self.items)))

    def blocked(self, queries: Queries, restrictions: Restrictions) -> NDArray[np.bool_]:
        """`(n_queries, n_items)`: seen, excluded, or above the maturity limit."""
        min_age = self._min_age(queries.time_us, restrictions)
        return blocked_items(queries.histories, min_age=min_age, restrictions=restrictions)

    def hidden(self, time_us: NDArray[np.int64], restrictions: Restrictions) -> NDArray[np.bool_]:
        """`(n_queries, n_items)`: excluded, or above the maturity limit at that moment; seen or not."""
        min_age = self._min_age(time_us, restrictions)
        return hidden_items(len(time_us), min_age=min_age, restrictions=restrictions)

    def _min_age(self, time_us: NDArray[np.int64], restrictions: Restrictions) -> NDArray[np.float32]:
        states = self.catalogue.states
        moment = 0 if restrictions.maturity_limits is None else states.moment_of(time_us)
        return states.column(schema.MOVIE_MIN_AGE)[moment]

    def answered(self, queries: Queries) -> Queries:
        """The queries as the models hear them: those of too short a history as if from nobody."""
        return without_short_histories(queries, self.policy.min_events)

    def candidates(self, queries: Queries, restrictions: Restrictions = UNRESTRICTED) -> Candidates:
        """First stage of one block of queries."""
        scores = self.all_route_scores(self.answered(queries))
        return retrieve(scores, self.blocked(queries, restrictions), self.union)

    def all_route_scores(self, queries: Queries) -> NDArray[np.float32]:
        """The routes' scores of all items, `(n_routes, n_queries, n_items)`, as of `route_scores`."""
        scores = np.empty((len(self.routes), len(queries), len(self.items)), np.float32)
        for own, route in zip(scores, self.routes.values(), strict=True):
            own[:] = self.route_scores(route, queries)
        return scores

    def route_scores(self, route: Route, queries: Queries) -> NDArray[np.float32]:
        """One route's scores of all items, `(n_queries, n_items)`, fresh if it reads the movies' state."""
        if not _reads_state(route) or schema.MOVIE_STATISTICS_VIEW in self.views_off:
            return route.score(queries.histories)
        states = self.catalogue.states
        return route.levels(states)[states.moment_of(queries.time_us)]

    def propose(
        self, queries: Queries, restrictions: Restrictions = UNRESTRICTED
    ) -> tuple[Candidates, NDArray[np.float32]]:
        """First stage and features of one block of queries: candidates and their feature rows."""
        candidates = self.candidates(queries, restrictions)
        return candidates, self.features(
            self.answered(queries), candidates.row, candidates.item_index, candidates.route_values
        )

    def features(
        self,
        queries: Queries,
        row: NDArray[np.integer],
        item_index: NDArray[np.int32],
        route_values: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """The ranker's rows of (query, item) pairs, as of `assemble`, in the order of `feature_names`."""
        features = assemble(
            queries,
            row=row,
            item_index=item_index,
            route_values=route_values,
            predicted_rating=self.stars(queries.histories, row, item_index),
            catalogue=self.catalogue,
        )
        return features[:, self._columns]

    def stars(
        self, histories: Histories, row: NDArray[np.integer], item_index: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Predicted stars of (query, item) pairs, `(n_pairs,) float32`; all NaN where nobody gave any."""
        if self.ratings is None:
            return np.full(len(item_index), np.nan, np.float32)
        return self.ratings.predict(histories, row, item_index)

    def recommend(
        self,
        queries: Queries,
        n: int,
        *,
        restrictions: Restrictions = UNRESTRICTED,
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
        lists = Lists.empty(len(queries), n)
        for rows in self.blocks(queries):
            self._answer(queries.block(rows), restrictions.block(rows), lists, rows)
            on_progress(rows.stop, len(queries))
        return lists

    def answer(self, query: Queries, n: int, *, restrictions: Restrictions = UNRESTRICTED) -> Answer:
        """The best `n` items of one query as of `recommend`, and what it was chosen from.

        Args:
            query: a single one.
            n: length of the list.
            restrictions: what may not be shown, of one query.

        Raises:
            ValueError: there are none or several queries.
        """
        if len(query) != 1:
            raise ValueError(f"an answer is of one query, not of {len(query)}")
        lists = Lists.empty(1, n)
        candidates, order = self._answer(query, restrictions, lists, slice(0, 1))
        return Answer(lists, candidates, order[:n])

    def _answer(
        self, block: Queries, restrictions: Restrictions, lists: Lists, rows: slice
    ) -> tuple[Candidates, NDArray[np.int64]]:
        """Write the lists of a block of queries into its rows; gives the candidates and their order."""
        candidates, features = self.propose(block, restrictions)
        scores = self.score(features)
        order = self._order(candidates, scores, lists.item_index.shape[1])
        self.fill(lists, rows, candidates, scores, order)
        return candidates, order

    def score(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Ranker scores; without a ranker the best reciprocal rank over the routes."""
        if not len(features):
            return np.empty(0, np.float32)
        if self.ranker is not None:
            return self.ranker.score(features).astype(np.float32)
        ranks = features[:, 2 : 3 * len(self.routes) : 3]
        return np.asarray((1 / ranks).max(axis=1), np.float32)

    def _order(self, candidates: Candidates, scores: NDArray[np.float32], n: int) -> NDArray[np.int64]:
        """Candidates by query and place, under the diversity re-rank where there is one."""
        order = by_score(candidates, scores)
        if self.policy.diversity.is_off:
            return order
        for start, end in pairwise(candidates.offsets.tolist()):
            own = order[start:end]
            rows = self._likeness[candidates.item_index[own]]
            order[start:end] = own[diversified(scores[own], rows, n, self.policy.diversity)]
        return order

    @cached_property
    def _likeness(self) -> sp.csr_array:
        """Rows of all movies whose products say how alike two are."""
        movies = self.catalogue.movies
        return likeness_rows(movies.genres, movies.people, self.policy.diversity)

    @staticmethod
    def fill(
        lists: Lists,
        rows: slice,
        candidates: Candidates,
        scores: NDArray[np.float32],
        order: NDArray[np.int64] | None = None,
    ) -> None:
        """Write the top of a block of queries into its rows: by `order`, by the scores where it is None."""
        n = lists.item_index.shape[1]
        order = by_score(candidates, scores) if order is None else order
        for query, (start, end) in enumerate(pairwise(candidates.offsets.tolist()), rows.start):
            best = order[start:end][:n]
            lists.item_index[query, : len(best)] = candidates.item_index[best]
            lists.score[query, : len(best)] = scores[best]

    def route_lists(
        self, route: Route, queries: Queries, n: int, *, restrictions: Restrictions = UNRESTRICTED
    ) -> NDArray[np.int32]:
        """One route's own lists under the same rules, `(n_queries, n) int32`: popular, say, or a baseline."""
        lists = np.full((len(queries), n), UNKNOWN_INDEX, np.int32)
        for rows in self.blocks(queries):
            block = queries.block(rows)
            scores = self.route_scores(route, block)
            scores[self.blocked(block, restrictions.block(rows))] = -np.inf
            lists[rows] = top_items(scores, n)
        return lists

    def similar(
        self,
        item_index: int,
        n: int,
        *,
        route: str | None = None,
        restrictions: Restrictions = UNRESTRICTED,
    ) -> Lists:
        """The best `n` items by likeness to one, as of the newest state of the movies; a single row.

        Of the indexed route the list is approximate; of others, and wherever the index finds too few
        that may be shown, it is exact.

        Args:
            item_index: the one.
            n: length of the list.
            route: whose likeness; if None, that of the index, without one that of the first route.
            restrictions: what may not be shown, of one query.
        """
        index = self.similar_index
        indexed = None if index is None else index.model
        model = (indexed or next(iter(self.routes.values()))) if route is None else self.routes[route]
        hidden = self.hidden(self.catalogue.states.moments_us[-1:], restrictions)[0]
        hidden[item_index] = True
        if index is not None and model is indexed:
            found = index.nearest(item_index, n, hidden=hidden)
            if found is not None:
                return Lists(found.item_index[np.newaxis], found.score[np.newaxis])
        scores = model.similar(item_index)[np.newaxis, :].copy()
        scores[0, hidden] = -np.inf
        items = top_items(scores, n)
        values = np.where(items == UNKNOWN_INDEX, np.nan, scores[0, items[0]])
        return Lists(items, values.astype(np.float32))


def _reads_state(route: Route) -> TypeGuard[StateRoute]:
    """Whether it is a `StateRoute`: asking the protocol would take longer than some routes do."""
    return hasattr(route, "levels")


def by_score(candidates: Candidates, scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Positions of candidates by query, then best first; ties as `Recommender.recommend` promises."""
    first_route = candidates.route_values[:, 0]
    # Equal to the last, candidates stay as they lie: by item. Negated, NaN would still be the last.
    keys = (-first_route, -scores)
    return np.lexsort(keys if len(candidates.offsets) == 2 else (*keys, candidates.row))


def training_window(interactions: Interactions, until_us: int) -> Interactions:
    """Events at or before `until_us`, with the vocabularies of all."""
    return interactions.take(interactions.timestamp_us <= until_us)
