"""Cross features: how well a candidate fits a user's history, profile and moment."""

import math
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
YEAR_US: Final = DAYS_A_YEAR * DAY_US

_AUDIENCE: Final = (schema.ITEM_AUDIENCE_AGE_MEAN, schema.ITEM_AUDIENCE_MALE_SHARE)
_USER: Final = np.array([schema.USER_STATE.index(name) for name in (schema.USER_AGE, schema.USER_IS_MALE)])
"""Where a user's state has what is compared with that."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Everything that the features know beside the query: movies as printed, their state, the calendar."""

    movies: MovieProfiles
    states: MovieStates
    calendar: Calendar

    @cached_property
    def facts(self) -> NDArray[np.float32]:
        """Mean age and male share of the audience, year of release, log events; NaN where unknown.

        `(4, n_rows)` of the rows of `states`.
        """
        audience = [self.states.column(name) for name in _AUDIENCE]
        log_events = self.states.log_events
        year = np.broadcast_to(self.movies.year, log_events.shape)
        return np.stack([*audience, year, log_events]).reshape(4, -1)

    @cached_property
    def known(self) -> NDArray[np.float32]:
        """Year and log events with 0 where unknown; then 1 where they are known, else 0.

        `(2, 2, n_rows)`. A sum of the former by one of the latter is a mean of what is known.
        """
        value = self.facts[2:]
        is_known = ~np.isnan(value)
        return np.stack([np.where(is_known, value, 0), is_known.astype(np.float32)])


def cross_features(
    queries: Queries,
    row: NDArray[np.integer],
    item_index: NDArray[np.int32],
    begin: NDArray[np.int64],
    catalogue: Catalogue,
) -> NDArray[np.float32]:
    """One row per (query, candidate) pair: `(n_pairs, len(schema.CROSS_FEATURES)) float32`.

    Args:
        queries: who asks.
        row: `(n_pairs,)` the query of each pair.
        item_index: `(n_pairs,) int32` the candidate of each pair.
        begin: `(n_queries,)` where the movies' state begins that each query reads: `MovieStates.begin_of`.
        catalogue: movies and their state.
    """
    facts = catalogue.facts.take(begin.take(row) + item_index, axis=1)
    audience, year, scales = facts[:2], facts[2:3], facts[2:, np.newaxis]
    request_year = 1970 + queries.time_us / YEAR_US
    user = queries.user_state.take(_USER, axis=1).take(row, axis=0).T
    weights = _weights(queries.histories)
    means = _means(queries.histories, begin, weights, catalogue)
    columns = (  # in the order of the schema, and so are those of each
        request_year.take(row) - year,
        np.abs(user - audience),
        _affinities(queries, row, item_index, weights, catalogue.movies),
        (scales - means.take(row, axis=2)).reshape(4, -1),
    )
    return np.concatenate(columns, dtype=np.float32).T


def _weights(histories: Histories) -> Floats:
    """Weights of events that count alike, then of events that fade with those after: `(2, n_events)`.

    Those of a history sum to one.
    """
    weights = np.ones((2, len(histories.item_index)))
    weights[1] = histories.recency_weights(RECENT_HALF_LIFE_EVENTS)
    return weights / _sums(weights, histories).take(histories.row, axis=1)


def _means(histories: Histories, begin: NDArray[np.int64], weights: Floats, catalogue: Catalogue) -> Floats:
    """Means of the known years, then log events, of each history, by both weights: `(2, 2, n_queries)`.

    NaN where none is known.
    """
    known = catalogue.known.take(begin.take(histories.row) + histories.item_index, axis=2)
    total, share = _sums(known[:, :, np.newaxis] * weights, histories)
    means: Floats = total / np.where(share > 0, share, np.nan)
    return means


def _sums(values: Floats, histories: Histories) -> Floats:
    """Of values `(..., n_events)` each history's sum, event after event: `(..., n_queries)`."""
    shape = (*values.shape[:-1], len(histories))
    n_sums = math.prod(shape)
    # All sums are numbered, so that one call makes them: which of them each value goes into.
    place = np.arange(n_sums).reshape(shape).take(histories.row, axis=-1)
    return np.bincount(place.ravel(), values.ravel(), minlength=n_sums).reshape(shape)


def _affinities(
    queries: Queries,
    row: NDArray[np.integer],
    item_index: NDArray[np.int32],
    weights: Floats,
    movies: MovieProfiles,
) -> Floats:
    """Dot products of the history's mean label vectors with the candidates', `(3, n_pairs)`.

    Of genres, of genres with recent weights, and of people.
    """
    histories = queries.histories
    offsets = histories.offsets.tolist()
    found = np.empty((3, len(item_index)))
    for query, pairs in _of_queries(row, len(queries)):
        events = slice(offsets[query], offsets[query + 1])
        n = events.stop - events.start
        items = np.concatenate([histories.item_index[events], item_index[pairs]])
        genres, people = movies.wide_genres.take(items, axis=0), rows_of(movies.wide_people, items)
        found[:2, pairs] = weights[:, events] @ genres[:n] @ genres[n:].T
        watched, asked = people.parted(n)
        found[2, pairs] = (asked @ watched.transposed_times(weights[0, events, np.newaxis]))[:, 0]
    return found


def _of_queries(row: NDArray[np.integer], n_queries: int) -> list[tuple[int, slice | NDArray[np.int64]]]:
    """Where the pairs of each query are."""
    if n_queries == 1:
        return [(0, slice(0, len(row)))]
    order = np.argsort(row, kind="stable")
    bounds = np.searchsorted(row[order], np.arange(n_queries + 1)).tolist()
    return [(query, order[start:end]) for query, (start, end) in enumerate(pairwise(bounds))]
