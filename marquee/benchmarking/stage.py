"""The first stage of a split without moments: routes, and what is known of users and movies at all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from marquee import schema
from marquee.benchmarking.holdouts import timeless
from marquee.candidates.movie_facts import MovieFacts
from marquee.candidates.route import Route
from marquee.candidates.routes import RoutesConfig, fit_routes
from marquee.candidates.union import UnionConfig
from marquee.data.histories import Histories, LabelledQueries
from marquee.data.interactions import Interactions, Ragged, Vocabulary
from marquee.features.context import DAY_US, Calendar
from marquee.features.cross import Catalogue
from marquee.features.memory_reader import MemoryReader
from marquee.features.movie_states import MovieStates
from marquee.features.profiles import MovieProfiles
from marquee.features.state import SideTables
from marquee.features.user_rows import queries_of
from marquee.ranking.ratings import RatingModel
from marquee.ranking.ratings_learn import RatingsConfig
from marquee.recommend import Recommender

VIEWS_OFF: Final = (schema.REQUEST_CONTEXT, schema.MOVIE_PUBLICITY_VIEW)
"""What only moments give."""
COUNTS: Final = (
    schema.USER_EVENTS_ALL,
    schema.USER_RATINGS_ALL,
    schema.ITEM_EVENTS_ALL,
    schema.ITEM_RATINGS_ALL,
)
"""State that grows with the events that are known."""
MEANS: Final = (
    schema.USER_RATING_MEAN,
    schema.USER_AGE,
    schema.USER_IS_MALE,
    schema.ITEM_RATING_MEAN,
    schema.ITEM_AUDIENCE_AGE_MEAN,
    schema.ITEM_AUDIENCE_MALE_SHARE,
    schema.MOVIE_DURATION_MINUTES,
    schema.MOVIE_MIN_AGE,
)
"""State that neither grows with them nor needs moments; all other state does."""


@dataclass(frozen=True, eq=False)
class SplitStage:
    """Fits routes on known events, and asks users about the others.

    State is what the feature store's functions say the day after, had all known events happened at
    once; what needs moments (windows, ages, trends) is unknown. Counts are scaled to the whole
    training part, so that a ranker that learned from hold-outs meets the numbers that it knows when
    all events are in.
    """

    routes: RoutesConfig
    union: UnionConfig
    movies: MovieProfiles
    facts: MovieFacts | None  # None where nothing is known of the movies
    tables: SideTables
    seed: int

    @classmethod
    def of(
        cls,
        events: Interactions,
        *,
        routes: RoutesConfig,
        union: UnionConfig,
        seed: int,
        tables: SideTables | None = None,
    ) -> Self:
        """For the vocabularies of `events`; without tables, nothing but the events is known."""
        tables = replace(tables or SideTables(), publicity=None)  # only moments give it
        nothing = MemoryReader.of(events.take(np.empty(0, np.int64)), tables)
        profiles = nothing.movies(events.items.ids, _day_after(len(events.items)))
        return cls(
            routes=routes,
            union=union,
            movies=MovieProfiles.of(profiles),
            facts=None if tables.movies is None else MovieFacts.of(profiles),
            tables=tables,
            seed=seed,
        )

    def with_routes(self, routes: RoutesConfig) -> Self:
        """The same with other routes or knobs."""
        return replace(self, routes=routes)

    def fit(
        self,
        known: Interactions,
        *,
        known_share: float = 1.0,
        on_route: Callable[[str], None] = lambda _: None,
    ) -> Recommender:
        """A recommender without a ranker that knows these events and no others.

        Args:
            known: events to learn from.
            known_share: of all training events that they are.
            on_route: hears the name of each route before it is fitted.
        """
        routes = self.fit_routes(known, on_route=on_route)
        rows = self._state(known).movies(known.items.ids, _day_after(len(known.items)))
        states = MovieStates.of_rows(rows, np.array([DAY_US], np.int64))
        states = replace(states, matrix=_timeless(states.matrix, schema.MOVIE_STATE, known_share))
        ratings = RatingModel.fit(known, RatingsConfig(), seed=self.seed)
        return replace(self.unfitted(known.items).with_states(states), routes=routes, ratings=ratings)

    def unfitted(self, items: Vocabulary) -> Recommender:
        """A recommender that has learned nothing yet: it knows what may be shown, and asks given routes."""
        unknown = np.full((1, len(items), len(schema.MOVIE_STATE)), np.nan, np.float32)
        states = MovieStates(np.array([DAY_US], np.int64), unknown)
        catalogue = Catalogue(self.movies, states, Calendar.of(None))
        return Recommender(items, {}, catalogue, self.union, views_off=VIEWS_OFF)

    def fit_routes(
        self, known: Interactions, *, on_route: Callable[[str], None] = lambda _: None
    ) -> dict[str, Route]:
        """The routes alone."""
        return fit_routes(known, self.routes, seed=self.seed, facts=self.facts, on_progress=on_route)

    def ask(
        self, known: Interactions, hidden: Interactions, *, users: NDArray[np.int32], known_share: float = 1.0
    ) -> LabelledQueries:
        """One question for each of `users` (ascending): after what is known of them, what else was there?"""
        histories = Histories.of_rows(known, _rows_of(known, users))
        targets = [np.unique(hidden.item_index[rows]) for rows in _rows_of(hidden, users)]
        rows = self._state(known).users(known.users.ids.gather(users), _day_after(len(users)))
        asked = queries_of(rows, user_index=users, time_us=histories.last_us, items=known.items)
        state = _timeless(asked.user_state, schema.USER_STATE, known_share)
        return LabelledQueries(replace(asked, histories=histories, user_state=state), Ragged.of(targets))

    def _state(self, known: Interactions) -> MemoryReader:
        return MemoryReader.of(timeless(known), self.tables)


def _day_after(n: int) -> NDArray[np.int64]:
    return np.full(n, DAY_US, np.int64)


def _timeless(state: NDArray[np.float32], names: Sequence[str], known_share: float) -> NDArray[np.float32]:
    """State `(…, len(names))` without what needs moments, counts scaled to the whole training part."""
    scale = [1 / known_share if name in COUNTS else 1.0 if name in MEANS else np.nan for name in names]
    return (state * np.array(scale, np.float32)).astype(np.float32)


def _rows_of(events: Interactions, users: NDArray[np.int32]) -> list[NDArray[np.int64]]:
    """Positions of each user's events, in their order."""
    order = np.argsort(events.user_index, kind="stable")
    ordered = events.user_index[order]
    starts, ends = np.searchsorted(ordered, users), np.searchsorted(ordered, users, side="right")
    return [order[start:end] for start, end in zip(starts, ends, strict=True)]
