"""Cross features: how well a candidate fits a user's history, profile and moment."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from marquee import schema
from marquee.data.histories import Histories, Queries
from marquee.features.movie_statistics import MovieStatistics
from marquee.features.profiles import MovieProfiles, UserProfiles

RECENT_HALF_LIFE_EVENTS: Final = 3.0
"""The "recent" twin of a feature halves an event's weight with every third later event."""
DAYS_A_YEAR: Final = 365.2425


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Everything that the features know of users and movies: profiles and statistics."""

    users: UserProfiles
    movies: MovieProfiles
    statistics: MovieStatistics


def cross_features(
    queries: Queries, row: NDArray[np.integer], item_index: NDArray[np.int32], catalogue: Catalogue
) -> NDArray[np.float32]:
    """One row per (query, candidate) pair: `(n_pairs, len(schema.CROSS_FEATURES)) float32`.

    Args:
        queries: who asks.
        row: `(n_pairs,)` the query of each pair.
        item_index: `(n_pairs,) int32` the candidate of each pair.
        catalogue: profiles and statistics as of the moment of the model.
    """
    movies, statistics = catalogue.movies, catalogue.statistics
    whole = _weights(queries.histories, len(movies.year), half_life_events=None)
    recent = _weights(queries.histories, len(movies.year), half_life_events=RECENT_HALF_LIFE_EVENTS)
    popularity = np.log1p(statistics.column(schema.ITEM_EVENTS_ALL))
    user = queries.user_index[row]
    request_year = 1970 + queries.time_us / (86_400e6 * DAYS_A_YEAR)
    age_gap = catalogue.users.age[user] - statistics.column(schema.ITEM_AUDIENCE_AGE_MEAN)[item_index]
    male_gap = catalogue.users.is_male[user] - statistics.column(schema.ITEM_AUDIENCE_MALE_SHARE)[item_index]
    columns = {
        schema.ITEM_YEARS_SINCE_RELEASE: request_year[row] - movies.year[item_index],
        schema.CROSS_AUDIENCE_AGE_GAP: np.abs(age_gap),
        schema.CROSS_AUDIENCE_GENDER_GAP: np.abs(male_gap),
        schema.CROSS_GENRE_AFFINITY: _affinity(whole, movies.genres, row, item_index),
        schema.CROSS_GENRE_AFFINITY_RECENT: _affinity(recent, movies.genres, row, item_index),
        schema.CROSS_PEOPLE_AFFINITY: _affinity(whole, movies.people, row, item_index),
        schema.CROSS_YEAR_GAP: _gap(whole, movies.year, row, item_index),
        schema.CROSS_YEAR_GAP_RECENT: _gap(recent, movies.year, row, item_index),
        schema.CROSS_POPULARITY_GAP: _gap(whole, popularity, row, item_index),
        schema.CROSS_POPULARITY_GAP_RECENT: _gap(recent, popularity, row, item_index),
    }
    return np.column_stack([columns[name] for name in schema.CROSS_FEATURES]).astype(np.float32)


def _weights(histories: Histories, n_items: int, *, half_life_events: float | None) -> sp.csr_array:
    """Each history as a row of event weights that sum to one, `(n_queries, n_items)`."""
    weight = histories.recency_weights(half_life_events)
    total = np.bincount(histories.row, weight, minlength=len(histories))
    return sp.csr_array(
        ((weight / total[histories.row]).astype(np.float32), histories.item_index, histories.offsets),
        shape=(len(histories), n_items),
    )


def _affinity(
    weights: sp.csr_array, labels: sp.csr_array, row: NDArray[np.integer], item_index: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Dot product of the history's mean label vector with the candidate's, `(n_pairs,)`."""
    wanted = (weights @ labels).toarray()
    starts, lengths = labels.indptr[item_index], np.diff(labels.indptr)[item_index]
    pair = np.repeat(np.arange(len(item_index)), lengths)
    # Position of each label of each candidate in the flat CSR arrays.
    flat = (
        np.arange(len(pair)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + np.repeat(starts, lengths)
    )
    products = wanted[row[pair], labels.indices[flat]] * labels.data[flat]
    return np.asarray(np.bincount(pair, products, minlength=len(item_index)), np.float64)


def _gap(
    weights: sp.csr_array,
    value: NDArray[np.float32],
    row: NDArray[np.integer],
    item_index: NDArray[np.int32],
) -> NDArray[np.float64]:
    """Candidate's value minus the history's weighted mean of known values; NaN where unknown."""
    known = ~np.isnan(value)
    total = weights @ np.where(known, value, 0).astype(np.float64)
    share_known = weights @ known.astype(np.float64)
    mean = np.divide(total, share_known, out=np.full(len(total), np.nan), where=share_known > 0)
    return np.asarray(value[item_index] - mean[row])
