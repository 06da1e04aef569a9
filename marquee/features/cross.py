"""Cross features: how well a candidate fits a user's history, profile and moment."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from marquee import schema
from marquee.data.histories import Histories, Queries
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
    genre, genre_recent = pairs.affinity(movies.genres, pairs.whole, pairs.recent)
    (people,) = pairs.affinity(movies.people, pairs.whole)
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

    def affinity(self, labels: sp.csr_array, *weights: Floats) -> list[Floats]:
        """Dot product of the history's mean label vector with the candidate's, `(n_pairs,)` per weighting."""
        histories, n_labels = self.queries.histories, labels.shape[1]
        event, label, value = _labels_of(labels, histories.item_index)
        cell = histories.row.take(event) * n_labels + label
        pair, asked, shown = _labels_of(labels, self.item_index)
        asked_cell = self.row.take(pair) * n_labels + asked
        affinities: list[Floats] = []
        for weight in weights:
            wanted = np.bincount(cell, weight.take(event) * value, minlength=len(histories) * n_labels)
            products = wanted.take(asked_cell) * shown
            affinity = np.bincount(pair, products, minlength=len(self.item_index))
            affinities.append(np.asarray(affinity, np.float64))
        return affinities

    def gap(self, value: NDArray[np.float32]) -> list[Floats]:
        """Candidate's value minus the history's mean of known values, whole and recent; NaN where unknown."""
        histories, n = self.queries.histories, len(self.queries)
        of_event = self._at(value, histories.row, histories.item_index)
        known = ~np.isnan(of_event)
        row, of_known = histories.row[known], of_event[known].astype(np.float64)
        of_pair = self.movie(value)
        gaps: list[Floats] = []
        for weight in (self.whole[known], self.recent[known]):
            total = np.bincount(row, weight * of_known, minlength=n)
            share = np.bincount(row, weight, minlength=n)
            mean = np.divide(total, share, out=np.full(n, np.nan), where=share > 0)
            gaps.append(of_pair - mean[self.row])
        return gaps

    def _at(
        self, value: NDArray[np.float32], row: NDArray[np.integer], item_index: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Values of items as of the moments of these rows' queries, a copy."""
        found = value[0].take(item_index) if len(value) == 1 else value[self.moment[row], item_index]
        return np.asarray(found, np.float32)


def _labels_of(
    labels: sp.csr_array, item_index: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    """The labels of many items, flat: position in `item_index`, label, value."""
    # `take` does what an index in brackets does, in half the time.
    starts = labels.indptr.take(item_index)
    lengths = labels.indptr.take(item_index + 1) - starts
    owner = np.repeat(np.arange(len(item_index)), lengths)
    # Position of each label of each item in the flat CSR arrays.
    flat = np.arange(len(owner)) + np.repeat(starts - np.cumsum(lengths) + lengths, lengths)
    return owner, labels.indices.take(flat), labels.data.take(flat)
