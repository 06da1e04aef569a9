"""EASE: a linear item-item model in closed form, asked with a recency-weighted history."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field
from scipy.linalg import lapack, solve_triangular
from threadpoolctl import threadpool_limits

from marquee.candidates.matrix import history_matrix, user_item_matrix
from marquee.candidates.route import Arrays, RouteConfig
from marquee.candidates.value_weights import ValueWeights
from marquee.data.histories import Histories
from marquee.data.interactions import Interactions
from marquee.errors import ConfigError


class EaseConfig(RouteConfig):
    """Knobs of EASE."""

    regularization: float = Field(default=1000.0, gt=0)
    """λ of the paper: weight of the squared norm of the item-item matrix."""
    half_life_events: float | None = Field(default=5.0, gt=0)
    """An event counts half after this many later ones; None weighs the whole history alike."""
    value_weight: float = Field(default=0.0, ge=0, le=1)
    """How much more an event counts whose value is one standard deviation above the mean; 0: all alike."""
    max_items: int = Field(default=10_000, ge=1)
    """Only this many most chosen items take part: memory is 12 bytes × items², time items³."""

    @classmethod
    def route_type(cls) -> type["Ease"]:
        """The class of the route."""
        return Ease

    def fit(self, interactions: Interactions, *, seed: int) -> "Ease":
        """Fit the route."""
        return Ease.fit(interactions, self)


@dataclass(frozen=True, eq=False)
class Ease:
    """Scores a history by `history @ weights` over the modelled items.

    Source: Steck (2019), "Embarrassingly Shallow Autoencoders for Sparse Data", eq. 8:
    P = (XᵀX + λI)⁻¹, B = -P ÷ diag(P), diag(B) = 0. The recency weights of the history are ours.
    """

    name: ClassVar[str] = "ease"
    modelled: NDArray[np.int32]  # (n_modelled,) item indexes, ascending
    weights: NDArray[np.float32]  # (n_modelled, n_modelled), from history item to scored item
    n_items: int
    half_life_events: float | None
    value_weights: ValueWeights = field(default_factory=ValueWeights)

    @classmethod
    def fit(cls, interactions: Interactions, config: EaseConfig) -> Self:
        """Solve for the item-item weights of the most chosen items.

        Raises:
            ConfigError: the regularization is so small that there is no solution.
        """
        value_weights = ValueWeights.of(interactions, config.value_weight)
        matrix = user_item_matrix(interactions, value_weights)
        counts = np.asarray(matrix.sum(axis=0)).ravel()
        chosen = np.argsort(-counts, kind="stable")[: config.max_items]
        modelled = np.sort(chosen[counts[chosen] > 0]).astype(np.int32)
        matrix = matrix[:, modelled]
        matrix = matrix[np.diff(matrix.indptr) > 0]
        solve = _solve_by_users if matrix.shape[0] < matrix.shape[1] / 2 else _solve_by_items
        with threadpool_limits(1, "blas"):  # other thread counts round otherwise: another bundle id
            weights = solve(matrix, config.regularization)
        return cls(modelled, weights, len(interactions.items), config.half_life_events, value_weights)

    def with_half_life(self, half_life_events: float | None) -> Self:
        """The same weights asked with another memory."""
        return replace(self, half_life_events=half_life_events)

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """Recency-weighted history times weights; items that are not modelled are `-inf`."""
        models_all = len(self.modelled) == self.n_items
        history = history_matrix(
            histories,
            len(self.modelled),
            half_life_events=self.half_life_events,
            weights=self.value_weights,
            columns=None if models_all else self._columns,
        )
        if models_all:
            return history @ self.weights
        scores = np.full((len(histories), self.n_items), -np.inf, np.float32)
        scores[:, self.modelled] = history @ self.weights
        return scores

    def summands(self, histories: Histories, item_index: NDArray[np.integer]) -> NDArray[np.float32]:
        """What each event adds to the scores of some items, `(n_events, n_items_asked) float32`.

        Exact but for the rounding of the sum; 0 from and to items that are not modelled.
        """
        weight = histories.recency_weights(self.half_life_events) * self.value_weights.weigh(histories.value)
        row, column = self._columns[histories.item_index], self._columns[item_index]
        (rows,), (columns,) = ((row >= 0) & (weight > 0)).nonzero(), (column >= 0).nonzero()
        rows = rows[:, np.newaxis]
        added = np.zeros((len(row), len(column)), np.float32)
        added[rows, columns] = self.weights[row[rows], column[columns]] * weight[rows]
        return added

    @cached_property
    def _columns(self) -> NDArray[np.int32]:
        """Where each item is among the modelled ones, `(n_items,)`, -1 for the others."""
        columns = np.full(self.n_items, -1, np.int32)
        columns[self.modelled] = np.arange(len(self.modelled))
        return columns

    def similar(self, item_index: int) -> NDArray[np.float32]:
        """The weights from one item; `-inf` for itself and for items that are not modelled."""
        scores = np.full(self.n_items, -np.inf, np.float32)
        position = np.searchsorted(self.modelled, item_index)
        if position < len(self.modelled) and self.modelled[position] == item_index:
            scores[self.modelled] = self.weights[position]
            scores[item_index] = -np.inf
        return scores

    def arrays(self) -> Arrays:
        """The fitted state; a half-life of NaN stands for none."""
        half_life = np.nan if self.half_life_events is None else self.half_life_events
        return {
            "modelled": self.modelled,
            "weights": self.weights,
            "n_items": np.array(self.n_items, np.int64),
            "half_life_events": np.array(half_life, np.float64),
            "value_weights": self.value_weights.to_array(),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """Rebuild from the fitted state."""
        half_life = float(arrays["half_life_events"])
        return cls(
            modelled=np.asarray(arrays["modelled"], np.int32),
            weights=np.asarray(arrays["weights"], np.float32),
            n_items=int(arrays["n_items"]),
            half_life_events=None if np.isnan(half_life) else half_life,
            value_weights=ValueWeights.from_array(arrays["value_weights"]),
        )


def _solve_by_items(matrix: sp.csr_array, regularization: float) -> NDArray[np.float32]:
    """-P ÷ diag(P) with a zero diagonal, P = (XᵀX + λI)⁻¹; work grows with items³."""
    gram = (matrix.T @ matrix).toarray(order="C").astype(np.float64)  # F order would be copied to solve
    gram[np.diag_indices_from(gram)] += regularization
    # Cholesky and its inverse take a third of the work of a general inverse, in place.
    inverse, _ = lapack.dpotri(_cholesky(gram), lower=True, overwrite_c=True)
    diagonal = np.diag(inverse).copy()
    # dpotri fills the lower triangle only.
    weights = inverse.astype(np.float32)
    del gram, inverse  # one buffer, and the largest
    weights = np.tril(weights, -1)
    weights += weights.T
    weights /= -diagonal[np.newaxis, :].astype(np.float32)
    return np.asarray(weights, np.float32)


def _solve_by_users(matrix: sp.csr_array, regularization: float) -> NDArray[np.float32]:
    """The same weights where users are few; work grows with users × items².

    Source: the Woodbury identity, (XᵀX + λI)⁻¹ = (I - S) ÷ λ with S = Xᵀ(XXᵀ + λI)⁻¹X, so that
    -P ÷ diag(P) is S ÷ (1 - diag(S)) off the diagonal.
    """
    gram = (matrix @ matrix.T).toarray().astype(np.float64)
    gram[np.diag_indices_from(gram)] += regularization
    half = solve_triangular(_cholesky(gram), matrix.toarray().astype(np.float64), lower=True)
    explained = half.T @ half
    del half
    explained /= 1 - np.diag(explained).copy()
    weights = explained.astype(np.float32)
    weights[np.diag_indices_from(weights)] = 0
    return weights


def _cholesky(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    """The lower Cholesky factor of a positive definite matrix, which is overwritten.

    Raises:
        ConfigError: it is not, for want of regularization.
    """
    factor, refused = lapack.dpotrf(gram.T, lower=True, overwrite_a=True)
    if refused:
        raise ConfigError(
            "routes.ease.regularization is too small for this data: the item-item matrix has no inverse.",
            remedy="Raise it; 100 to 1000 is usual.",
        )
    return np.asarray(factor)
