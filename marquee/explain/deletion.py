"""The same request had some of its events never happened."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from marquee import schema
from marquee.data.histories import Queries
from marquee.features.state.activity import WINDOWS_US


def kept_with(query: Queries, kept: NDArray[np.bool_]) -> Queries:
    """One query in variants that keep some of its events each.

    With an event goes what the user's counts and mean rating owe to it; what is known of the user
    beside the history stays, as do events that the history is too short to hold.

    Args:
        query: a single one, of `n` events.
        kept: `(n_variants, n) bool`.

    Returns:
        `n_variants` queries.
    """
    variants = query.take(np.zeros(len(kept), np.int64))
    histories = variants.histories.kept(kept.ravel())
    return replace(variants, histories=histories, user_state=_state_with(query, kept))


def _state_with(query: Queries, kept: NDArray[np.bool_]) -> NDArray[np.float32]:
    """`(n_variants, len(schema.USER_STATE)) float32`: the whole's, less what the others contributed."""
    value, times = query.histories.value, query.histories.timestamp_us
    state = np.repeat(query.user_state, len(kept), axis=0)
    column = schema.USER_STATE.index
    is_rated = ~np.isnan(value)
    lost = (~kept & is_rated) @ np.where(is_rated, value, 0).astype(np.float64)
    ratings = state[:, column(schema.USER_RATINGS_ALL)].astype(np.float64)
    total = np.where(ratings > 0, ratings * state[:, column(schema.USER_RATING_MEAN)], 0) - lost
    left = ratings - np.count_nonzero(~kept & is_rated, axis=1)
    mean = np.divide(total, left, out=np.full(len(kept), np.nan), where=left > 0)
    state[:, column(schema.USER_RATING_MEAN)] = mean
    state[:, column(schema.USER_RATINGS_ALL)] = left
    state[:, column(schema.USER_EVENTS_ALL)] -= np.count_nonzero(~kept, axis=1)
    whole = np.ones((1, len(times)), bool)
    for name, window_us in WINDOWS_US.items():
        state[:, column(name)] += _in_window(times, kept, window_us) - _in_window(times, whole, window_us)
    return state


def _in_window(times: NDArray[np.int64], kept: NDArray[np.bool_], window_us: int) -> NDArray[np.int64]:
    """Kept events within the window that ends with the last of them, `(n_variants,)`."""
    last = np.where(kept, times, np.iinfo(np.int64).min // 2).max(axis=1, initial=np.iinfo(np.int64).min // 2)
    is_in = kept & (times > last[:, np.newaxis] - window_us)
    return np.asarray(np.count_nonzero(is_in, axis=1), np.int64)
