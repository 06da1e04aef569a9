"""What popularity a movie's facts let expect: where a movie without events stands among the others."""

from typing import Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from marquee.candidates.movie_facts import MovieFacts
from marquee.candidates.tfidf import tfidf

MIN_GENRE_ITEMS: Final = 5
"""Rarer genres have no coefficient of their own."""


def expected_log_events(
    counts: NDArray[np.integer], facts: MovieFacts, *, ridge: float
) -> NDArray[np.float64]:
    """log(1 + events) that movies with such publicity, genres and year have, `(n_items,)`.

    Ridge regression over the movies with events; the mean of theirs where nothing is known.
    Numbers enter as log(1 + x) in units of their spread, with a column each that says whether the
    number is known.

    Source: Hoerl, Kennard (1970), "Ridge Regression: Biased Estimation for Nonorthogonal Problems".

    Args:
        counts: `(n_items,)` events of each movie.
        facts: aligned with the counts.
        ridge: weight of the squared norm of the coefficients; the intercept is not shrunk.
    """
    learned = counts > 0
    if not learned.any():
        return np.zeros(len(counts))
    inputs = _inputs(facts)
    mean_input = inputs[learned].mean(axis=0)
    centred = inputs - mean_input
    wanted = np.log1p(counts[learned].astype(np.float64))
    gram = centred[learned].T @ centred[learned]
    gram[np.diag_indices_from(gram)] += ridge
    coefficients = np.linalg.solve(gram, centred[learned].T @ (wanted - wanted.mean()))
    return np.asarray(wanted.mean() + centred @ coefficients)


def _inputs(facts: MovieFacts) -> NDArray[np.float64]:
    """`(n_items, n_inputs)`: numbers, whether each is known, and genres."""
    numbers = np.column_stack([np.log1p(np.maximum(facts.publicity, 0)), facts.year]).astype(np.float64)
    known = np.isfinite(numbers)
    n_known = np.maximum(known.sum(axis=0), 1)
    filled = np.where(known, numbers, 0)
    mean = filled.sum(axis=0) / n_known
    spread = np.sqrt((np.where(known, numbers - mean, 0) ** 2).sum(axis=0) / n_known)
    scaled = np.where(known, (numbers - mean) / np.where(spread > 0, spread, 1), 0)
    genres: sp.csr_array = tfidf(facts.terms["genres"], min_items=MIN_GENRE_ITEMS)
    return np.hstack([scaled, known, genres.toarray()]).astype(np.float64)
