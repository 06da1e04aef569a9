"""Cross features: how well a candidate fits a user's history, profile and moment."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from marquee import schema
from marquee.data.histories import Histories, Queries
from marquee.data.sparse_rows import rows_of
from marquee.features.context import DAY_US, Calendar
from marquee.features.movie_states import MovieStates
from marquee.features.profiles import MovieProfiles

RECENT_HALF_LIFE_EVENTS: Final = 3.0
"""The "recent" twin of a feature halves an event's weight with every third later event."""
DAYS_A_YEAR: Final = 365.2425

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Everything that the features know beside the query: movies as printed, their state, the calendar."""

    movies: MovieProfiles
    states: MovieStates
    calendar: Calendar


def cross_features(
    queries: Queries, row: NDArray[np.integer], item_index: NDArray[np.int32], catalogue: Catalogue
) -> NDArray[np.float32]:
    """One row per (query, candidate) pair: `(n_pairs, len(schema.CROSS_FEATURES)) float32`.

    Args:
        queries: who asks.
        row: `(n_pairs,)` the query of each pair.
        item_index: `(n_pairs,) int32` the candidate of each pair.
        catalogue: movies and their state.
    """
    movies, states = catalogue.movies, catalogue.states
    pairs = _Pairs(queries, row, item_index, states.moment_of(queries.time_us))
    request_year = 1970 + queries.time_us / (DAY_US * DAYS_A_YEAR)
    age_gap = pairs.user(schema.USER_AGE) - pairs.movie(states.column(schema.ITEM_AUDIENCE_AGE_MEAN))
    male_gap = pairs.user(schema.USER_IS_MALE) - pairs.movie(states.column(schema.ITEM_AUDIENCE_MALE_SHARE))
    genre, genre_recent, people = pairs.affinities(movies)
    year, year_recent = pairs.gap(movies.year[np.newaxis, :])
    popularity, popularity_recent = pairs.gap(states.log_events)
    columns = {
        schema.ITEM_YEARS_SINCE_RELEASE: request_year[row] - movies.year[item_index],
        schema.CROSS_AUDIENCE_AGE_GAP: np.abs(age_gap),
        schema.CROSS_AUDIENCE_GENDER_GAP: np.abs(male_gap),
        schema.CROSS_GENRE_AFFINITY: genre,
        schema.CROSS_GENRE_AFFINITY_RECENT: genre_recent,
        schema.CROSS_PEOPLE_AFFINITY: people,
        schema.CROSS_YEAR_GAP: year,
        schema.CROSS_YEAR_GAP_RECENT: year_recent,
        schema.CROSS_POPULARITY_GAP: popularity,
        schema.CROSS_POPULARITY_GAP_RECENT: popularity_recent,
    }
    features = np.empty((len(item_index), len(schema.CROSS_FEATURES)), np.float32)
    for at, name in enumerate(schema.CROSS_FEATURES):
        features[:, at] = columns[name]
    return features


def _weights(histories: Histories, *, half_life_events: float | None) -> Floats:
    """Weight of each event, `(n_events,)`; those of a history sum to one."""
    weight = histories.recency_weights(half_life_events)
    total = np.bincount(histories.row, weight, minlength=len(histories))
    return np.asarray(weight / total[histories.row], np.float64)


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Queries and their candidates: what of a query and of a movie belongs to each pair."""

    queries: Queries
    row: NDArray[np.integer]  # (n_pairs,)
    item_index: NDArray[np.int32]  # (n_pairs,)
    moment: NDArray[np.int64]  # (n_queries,) which state of the movies a query reads

    @cached_property
    def whole(self) -> Floats:
        """Weights of events that count alike."""
        return _weights(self.queries.histories, half_life_events=None)

    @cached_property
    def recent(self) -> Floats:
        """Weights of events that fade with those that came after."""
        return _weights(self.queries.histories, half_life_events=RECENT_HALF_LIFE_EVENTS)

    def user(self, name: str) -> NDArray[np.float32]:
        """A number of each pair's user."""
        return self.queries.user_state[:, schema.USER_STATE.index(name)].take(self.row)

    def movie(self, value: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of `(n_moments, n_items)` values, or `(1, n_items)` that never change, each pair's."""
        return self._at(value, self.row, self.item_index)

    def affinities(self, movies: MovieProfiles) -> Floats:
        """Dot products of the history's mean label vectors with the candidates', `(3, n_pairs)`.

        Of genres, of genres with recent weights, and of people.
        """
        histories = self.queries.histories
        offsets = histories.offsets.tolist()
        found = np.empty((3, len(self.item_index)))
        for query, pairs in self._of_queries:
            events = slice(offsets[query], offsets[query + 1])
            watched, asked = histories.item_index[events], self.item_index[pairs]
            whole, recent = self.whole[events], self.recent[events]
            genres = movies.wide_genres.take(watched, axis=0)
            found[:2, pairs] = np.stack([whole, recent]) @ genres @ movies.wide_genres.take(asked, axis=0).T
            people = rows_of(movies.wide_people, watched).transposed_times(whole[:, np.newaxis])
            found[2, pairs] = (rows_of(movies.wide_people, asked) @ people)[:, 0]
        return found

    @cached_property
    def _of_queries(self) -> list[tuple[int, slice | NDArray[np.int64]]]:
        """Where the pairs of each query are."""
        if len(self.queries) == 1:
            return [(0, slice(0, len(self.row)))]
        order = np.argsort(self.row, kind="stable")
        bounds = np.searchsorted(self.row[order], np.arange(len(self.queries) + 1)).tolist()
        return [(query, order[start:end]) for query, (start, end) in enumerate(pairwise(bounds))]

    def gap(self, value: NDArray[np.float32]) -> list[Floats]:
        """Candidate's value minus the history's mean of known values, whole and recent; NaN where unknown."""
        histories, n = self.queries.histories, len(self.queries)
        of_event = self._at(value, histories.row, histories.item_index)
        is_known = ~np.isnan(of_event)
        known = np.where(is_known, of_event, 0).astype(np.float64)
        of_pair = self.movie(value)
        gaps: list[Floats] = []
        for weight in (self.whole, self.recent):
            total = np.bincount(histories.row, weight * known, minlength=n)
            share = np.bincount(histories.row, weight * is_known, minlength=n)
            mean = np.divide(total, share, out=np.full(n, np.nan), where=share > 0)
            gaps.append(of_pair - mean.take(self.row))
        return gaps

    def _at(
        self, value: NDArray[np.float32], row: NDArray[np.integer], item_index: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Values of items as of the moments of these rows' queries, a copy."""
        found = value[0].take(item_index) if len(value) == 1 else value[self.moment[row], item_index]
        return np.asarray(found, np.float32)
