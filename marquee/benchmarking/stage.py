"""The first stage of a split without moments: routes, and what is known of users and movies at all."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marquee import schema
from marquee.candidates.movie_facts import MovieFacts
from marquee.candidates.routes import RoutesConfig, fit_routes
from marquee.candidates.union import UnionConfig
from marquee.data.histories import Histories, LabelledQueries, Queries
from marquee.data.interactions import Interactions, Ragged
from marquee.features.context import Calendar
from marquee.features.cross import Catalogue
from marquee.features.movie_states import MovieStates
from marquee.features.profiles import MovieProfiles
from marquee.features.reader import MOVIE_COLUMNS
from marquee.features.state import SideTables
from marquee.features.state.facts import movie_profile, user_profile
from marquee.recommend import Recommender

VIEWS_OFF: Final = (schema.REQUEST_CONTEXT, schema.MOVIE_PUBLICITY_VIEW)
"""What only moments give."""


@dataclass(frozen=True, eq=False)
class SplitStage:
    """Fits routes on known events, and asks users about the others.

    Counts of events are scaled to the whole training part, so that a ranker that learned from
    hold-outs meets the numbers that it knows when all events are in.
    """

    routes: RoutesConfig
    union: UnionConfig
    movies: MovieProfiles
    facts: MovieFacts | None  # None where nothing is known of the movies
    user_facts: NDArray[np.float32]  # (n_users, 2) age in years and 1 for male, NaN where unknown
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
        tables = tables or SideTables()
        facts = _rows(schema.USER_ID, events.users.ids, user_profile(tables.users)).select(
            pl.col(schema.USER_AGE, schema.USER_IS_MALE).cast(pl.Float32).fill_null(float("nan"))
        )
        profiles = _rows(schema.ITEM_ID, events.items.ids, movie_profile(tables.movies))
        return cls(
            routes=routes,
            union=union,
            movies=MovieProfiles.of(profiles),
            facts=None if tables.movies is None else MovieFacts.of(profiles),
            user_facts=facts.to_numpy().astype(np.float32),
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
        routes = fit_routes(known, self.routes, seed=self.seed, facts=self.facts, on_progress=on_route)
        return Recommender(
            items=known.items,
            routes=routes,
            catalogue=Catalogue(self.movies, _item_states(known, known_share), Calendar.of(None)),
            union=self.union,
            views_off=VIEWS_OFF,
        )

    def ask(
        self, known: Interactions, hidden: Interactions, *, users: NDArray[np.int32], known_share: float = 1.0
    ) -> LabelledQueries:
        """One question for each of `users` (ascending): after what is known of them, what else was there?"""
        histories = Histories.of_rows(known, _rows_of(known, users))
        times = histories.last_us
        targets = [np.unique(hidden.item_index[rows]) for rows in _rows_of(hidden, users)]
        state = self._user_state(histories, users, known_share)
        return LabelledQueries(Queries(users, times, histories, state), Ragged.of(targets))

    def _user_state(
        self, histories: Histories, users: NDArray[np.int32], known_share: float
    ) -> NDArray[np.float32]:
        n, rated = len(histories), np.isfinite(histories.value)
        n_rated = np.bincount(histories.row[rated], minlength=n)
        total = np.bincount(histories.row[rated], histories.value[rated], minlength=n)
        age, is_male = self.user_facts[users].T
        known = {
            schema.USER_EVENTS_ALL: histories.lengths / known_share,
            schema.USER_RATINGS_ALL: n_rated / known_share,
            schema.USER_RATING_MEAN: np.divide(total, n_rated, out=np.full(n, np.nan), where=n_rated > 0),
            schema.USER_AGE: age,
            schema.USER_IS_MALE: is_male,
        }
        blank = np.full(n, np.nan)
        return np.column_stack([known.get(name, blank) for name in schema.USER_STATE]).astype(np.float32)


def _item_states(known: Interactions, known_share: float) -> MovieStates:
    n_items = len(known.items)
    rated = np.isfinite(known.value)
    n_rated = np.bincount(known.item_index[rated], minlength=n_items)
    total = np.bincount(known.item_index[rated], known.value[rated], minlength=n_items)
    matrix = np.full((1, n_items, len(schema.MOVIE_STATE)), np.nan, np.float32)
    columns = {
        schema.ITEM_EVENTS_ALL: np.bincount(known.item_index, minlength=n_items) / known_share,
        schema.ITEM_RATINGS_ALL: n_rated / known_share,
        schema.ITEM_RATING_MEAN: np.divide(total, n_rated, out=np.full(n_items, np.nan), where=n_rated > 0),
    }
    for name, values in columns.items():
        matrix[0, :, schema.MOVIE_STATE.index(name)] = values
    return MovieStates(np.zeros(1, np.int64), matrix)


def _rows_of(events: Interactions, users: NDArray[np.int32]) -> list[NDArray[np.int64]]:
    """Positions of each user's events, in their order."""
    order = np.argsort(events.user_index, kind="stable")
    ordered = events.user_index[order]
    starts, ends = np.searchsorted(ordered, users), np.searchsorted(ordered, users, side="right")
    return [order[start:end] for start, end in zip(starts, ends, strict=True)]


def _rows(key: str, ids: pl.Series, view: pl.DataFrame) -> pl.DataFrame:
    """The view's row of each id, in order; null where it has none."""
    wanted = MOVIE_COLUMNS if key == schema.ITEM_ID else {}
    joined = ids.alias(key).to_frame().join(view, on=key, how="left", maintain_order="left")
    absent = {name: dtype for name, dtype in wanted.items() if name not in joined.columns}
    return joined.with_columns([pl.lit(None, dtype=dtype).alias(name) for name, dtype in absent.items()])
