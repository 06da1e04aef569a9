"""How many stars a user would give: a biased matrix factorisation that is asked with a rated history."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from marquee import schema
from marquee.data.histories import Histories
from marquee.data.interactions import Interactions
from marquee.data.sparse_rows import SparseRows
from marquee.data.splits import CONSUMPTION_TYPES
from marquee.ranking.ratings_learn import Learned, Ratings, RatingsConfig, learn
from marquee.ranking.ratings_tastes import Tastes
from marquee.ranking.ratings_vectors import Floats, HalfDesign, Prior, Vectors

_RATING = schema.INTERACTION_TYPES.index("rating")
_CHOICES = [schema.INTERACTION_TYPES.index(kind) for kind in CONSUMPTION_TYPES]
_VIEWED_WHOLE = 1.0  # the highest value of a view, which is the fraction watched


@dataclass(frozen=True, eq=False)
class RatingModel:
    """Predicts mean + z·w + b + c: the item's vector w and bias c learned, the user's z and b when asked.

    Nothing is kept of a user. An item without ratings and a user without history have what is expected of
    them by their choices, so that every pair has a prediction, within the scale seen in training.
    """

    items: Vectors  # of all items, float64 of float32
    user_prior: Prior
    tastes: Tastes
    noise: float  # variance of a rating that nothing explains, stars²
    mean: float  # of all ratings, stars
    low: float  # the scale
    high: float
    rated_above: float  # a history's value is a rating only above it

    @classmethod
    def fit(cls, interactions: Interactions, config: RatingsConfig, *, seed: int) -> Self | None:
        """Learn from ratings, the newest of each user and item, and from who chose what; None without any.

        A history does not say of what type an event is: where other events have values, too, values up to 1
        are not taken for ratings when the model is asked.
        """
        is_value = np.isfinite(interactions.value)
        is_rating = is_value & (interactions.type_code == _RATING)
        if not is_rating.any():
            return None
        rows = _newest_of_pairs(interactions, np.flatnonzero(is_rating))
        value = interactions.value[rows].astype(np.float64)
        mean = float(value.mean())
        with threadpool_limits(1, "blas"):  # other thread counts round otherwise: another bundle id
            tastes, learned = _learned(interactions, rows, value - mean, config, seed=seed)
        return cls(
            items=Vectors(_rounded(learned.items.mean), _rounded(learned.items.covariance)),
            user_prior=learned.user_prior,
            tastes=tastes,
            noise=learned.noise,
            mean=mean,
            low=float(value.min()),
            high=float(value.max()),
            rated_above=_VIEWED_WHOLE if (is_value & ~is_rating).any() else -np.inf,
        )

    def predict(
        self, histories: Histories, row: NDArray[np.integer], item_index: NDArray[np.integer]
    ) -> NDArray[np.float32]:
        """Stars for (query, candidate) pairs, `(n_pairs,) float32`, within the scale and never NaN.

        Args:
            histories: what each query's user chose, with values where they were rated.
            row: `(n_pairs,)` the query of each pair.
            item_index: `(n_pairs,)` the candidate of each pair.
        """
        user, item = self.fold_in(histories).take(row, axis=0), self.items.mean.take(item_index, axis=0)
        latent = np.einsum("pk,pk->p", user[:, :-1], item[:, :-1])
        stars = self.mean + latent + user[:, -1] + item[:, -1]
        return np.asarray(np.minimum(np.maximum(stars, self.low), self.high), np.float32)

    def fold_in(self, histories: Histories) -> Floats:
        """Users' latent vectors and biases, `(n_queries, factors + 1)`, of events in any order."""
        value = histories.value.astype(np.float64)
        is_rating = np.isfinite(value) & (value > self.rated_above)
        events = (histories.item_index, histories.offsets.astype(np.int32))
        shape = (len(histories), len(self.items.mean))
        chosen = SparseRows(np.ones(len(value)), *events, shape)
        rated = SparseRows(is_rating.astype(np.float64), *events, shape)
        residual = SparseRows(np.where(is_rating, value - self.mean, 0), *events, shape)
        expected = self.user_prior.means(self.tastes.of_users(chosen))
        evidence = self._design.evidence(rated, residual)
        return evidence.solve_mean(expected, self.user_prior.precision, self.noise)

    @cached_property
    def _design(self) -> HalfDesign:
        return HalfDesign.of(self.items.design())

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The fitted state; `from_arrays` of it is an equal model."""
        scalars = [self.noise, self.mean, self.low, self.high, self.rated_above]
        return {
            "item_mean": self.items.mean.astype(np.float32),
            "item_covariance": self.items.covariance.astype(np.float32),
            "user_weights": self.user_prior.weights,
            "user_precision": self.user_prior.precision,
            "taste_from_item": self.tastes.from_item,
            "scalars": np.array(scalars, np.float64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """Rebuild from the fitted state."""
        noise, mean, low, high, rated_above = (float(v) for v in np.asarray(arrays["scalars"], np.float64))
        return cls(
            items=Vectors(
                np.asarray(arrays["item_mean"], np.float64), np.asarray(arrays["item_covariance"], np.float64)
            ),
            user_prior=Prior(
                np.asarray(arrays["user_weights"], np.float64),
                np.asarray(arrays["user_precision"], np.float64),
            ),
            tastes=Tastes(np.asarray(arrays["taste_from_item"], np.float32)),
            noise=noise,
            mean=mean,
            low=low,
            high=high,
            rated_above=rated_above,
        )


def _learned(
    interactions: Interactions,
    rows: NDArray[np.int64],
    residual: Floats,
    config: RatingsConfig,
    *,
    seed: int,
) -> tuple[Tastes, Learned]:
    """Learn from all choices, and from ratings less their mean at `rows`."""
    rng = np.random.default_rng(seed)
    is_choice = np.isin(interactions.type_code, _CHOICES)
    chosen = _pairs(interactions, np.flatnonzero(is_choice))
    tastes, item_features = Tastes.fit(chosen, config.tastes, rng)
    rated, off_mean = _pairs(interactions, rows), _pairs(interactions, rows, residual)
    users = np.flatnonzero(np.diff(rated.indptr))  # others teach nothing of ratings
    ratings = Ratings(rated[users], off_mean[users], tastes.of_users(chosen[users]), item_features)
    return tastes, learn(ratings, config, rng)


def _newest_of_pairs(interactions: Interactions, rows: NDArray[np.integer]) -> NDArray[np.int64]:
    """Of rows in time order the last one of each user and item: who rates again has changed their mind."""
    pair = interactions.user_index[rows].astype(np.int64) * len(interactions.items)
    _, from_end = np.unique((pair + interactions.item_index[rows])[::-1], return_index=True)
    return np.asarray(rows[len(rows) - 1 - from_end], np.int64)


def _pairs(
    interactions: Interactions, rows: NDArray[np.integer], value: Floats | None = None
) -> sp.csr_array:
    """`(n_users, n_items) float64` with a value, or with 1 where the pair occurs."""
    user, item = interactions.user_index[rows], interactions.item_index[rows]
    shape = (len(interactions.users), len(interactions.items))
    array = sp.csr_array((np.ones(len(user)) if value is None else value, (user, item)), shape=shape)
    if value is None:
        array.data[:] = 1  # a pair that occurs twice was summed
    return array


def _rounded(value: Floats) -> Floats:
    """As the bundle stores it, so that a model predicts alike before and after."""
    return value.astype(np.float32).astype(np.float64)
