"""Implicit ALS: latent item factors, asked by solving for the user at request time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import ClassVar, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field
from scipy.linalg import lapack
from threadpoolctl import threadpool_limits

from marquee.candidates.matrix import user_item_matrix
from marquee.candidates.route import Arrays, RouteConfig
from marquee.candidates.value_weights import ValueWeights
from marquee.data.histories import Histories
from marquee.data.interactions import Interactions
from marquee.errors import ConfigError


class AlsConfig(RouteConfig):
    """Knobs of implicit ALS."""

    factors: int = Field(default=64, ge=1)
    """Length of the latent vectors."""
    regularization: float = Field(default=20.0, gt=0)
    """Weight of the squared norm of the factors."""
    confidence: float = Field(default=2.0, gt=0)
    """How much more a chosen item counts than one that was not (α of the paper)."""
    value_weight: float = Field(default=0.0, ge=0, le=1)
    """How much more an event counts whose value is one standard deviation above the mean; 0: all alike."""
    iterations: int = Field(default=10, ge=1)
    """Alternations of the training."""
    half_life_events: float | None = Field(default=5.0, gt=0)
    """An event of the asking history counts half after this many later ones; None: all alike."""

    @classmethod
    def route_type(cls) -> type["ImplicitAls"]:
        """The class of the route."""
        return ImplicitAls

    def fit(self, interactions: Interactions, *, seed: int) -> "ImplicitAls":
        """Fit the route."""
        return ImplicitAls.fit(interactions, self, seed=seed)


@dataclass(frozen=True, eq=False)
class ImplicitAls:
    """Scores by the dot product of item factors with a user vector solved from the history.

    Source: Hu, Koren, Volinsky (2008), "Collaborative Filtering for Implicit Feedback Datasets",
    eq. 4: x = (YᵀY + Yᵀ(C - I)Y + λI)⁻¹ YᵀCp, with confidence C = 1 + α for chosen items. At
    request time an event counts as its recency weight of one event, which is ours.
    """

    name: ClassVar[str] = "als"
    item_factors: NDArray[np.float32]  # (n_items, n_factors)
    known: NDArray[np.bool_]  # (n_items,) items with at least one event
    regularization: float
    confidence: float
    half_life_events: float | None
    value_weights: ValueWeights = field(default_factory=ValueWeights)

    @classmethod
    def fit(cls, interactions: Interactions, config: AlsConfig, *, seed: int) -> Self:
        """Alternate least squares over the users × items matrix.

        Raises:
            ConfigError: the knobs are so extreme that there is no solution.
        """
        # Heavy: paid only where a model is trained.
        from implicit.cpu.als import AlternatingLeastSquares  # noqa: PLC0415
        from implicit.recommender_base import ModelFitError  # noqa: PLC0415

        value_weights = ValueWeights.of(interactions, config.value_weight)
        matrix = user_item_matrix(interactions, value_weights)
        # implicit threads by itself and two pools fight; it warns of that when it is constructed.
        with threadpool_limits(1, "blas"):
            model = AlternatingLeastSquares(
                factors=config.factors,
                regularization=config.regularization,
                iterations=config.iterations,
                random_state=seed,
            )
            confidence = sp.csr_matrix(matrix * (1 + config.confidence))  # it knows no csr_array
            try:
                model.fit(confidence, show_progress=False)
            except ModelFitError as err:
                raise ConfigError(
                    f"routes.als has no solution for this data with confidence {config.confidence:g} and"
                    f" regularization {config.regularization:g}: {err}.",
                    remedy="Lower routes.als.confidence or raise routes.als.regularization.",
                ) from err
        return cls(
            item_factors=np.asarray(model.item_factors, np.float32),
            known=np.diff(matrix.tocsc().indptr) > 0,
            regularization=config.regularization,
            confidence=config.confidence,
            half_life_events=config.half_life_events,
            value_weights=value_weights,
        )

    @cached_property
    def _shared(self) -> NDArray[np.float64]:
        """The part of every user's left side that no history changes: YᵀY + λI."""
        factors = self.item_factors.astype(np.float64)
        return np.asarray(factors.T @ factors + self.regularization * np.eye(factors.shape[1]))

    def fold_in(self, histories: Histories) -> NDArray[np.float32]:
        """User vectors `(n_queries, n_factors) float32`; zero for an empty history."""
        histories = histories.recent(self.half_life_events)
        vectors = np.empty((len(histories), self.item_factors.shape[1]), np.float32)
        recency = histories.recency_weights(self.half_life_events).astype(np.float64)
        confidence = (1 + self.confidence) * self.value_weights.weigh(histories.value).astype(np.float64)
        # C - I: never below zero, where the left side might have no solution.
        surplus, wanted = recency * np.maximum(confidence - 1, 0), recency * confidence
        # One at a time: all left sides together are queries × factors².
        for query, (start, end) in enumerate(pairwise(histories.offsets.tolist())):
            chosen = self.item_factors.take(histories.item_index[start:end], axis=0).astype(np.float64)
            left = (chosen * surplus[start:end, np.newaxis]).T @ chosen
            left += self._shared
            vectors[query] = _solution(left, wanted[start:end] @ chosen)
        return vectors

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """Dot products with all item factors; items without events are `-inf`."""
        scores = self.fold_in(histories) @ self.item_factors.T
        scores[:, self._unknown] = -np.inf
        return scores

    @cached_property
    def _unknown(self) -> NDArray[np.int64]:
        return np.flatnonzero(~self.known)

    def similar(self, item_index: int) -> NDArray[np.float32]:
        """Cosine of item factors; `-inf` for the item itself and to or from an item without events."""
        if not self.known[item_index]:
            return np.full(len(self.known), -np.inf, np.float32)
        norms = np.linalg.norm(self.item_factors, axis=1)
        products = self.item_factors @ self.item_factors[item_index]
        scores = products / np.maximum(norms * norms[item_index], np.finfo(np.float32).tiny)
        scores[~self.known] = -np.inf
        scores[item_index] = -np.inf
        return np.asarray(scores, np.float32)

    def arrays(self) -> Arrays:
        """The fitted state; a half-life of NaN stands for none."""
        half_life = np.nan if self.half_life_events is None else self.half_life_events
        knobs = np.array([self.regularization, self.confidence, half_life], np.float64)
        return {
            "item_factors": self.item_factors,
            "known": self.known,
            "knobs": knobs,
            "value_weights": self.value_weights.to_array(),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """Rebuild from the fitted state."""
        regularization, confidence, half_life = (float(knob) for knob in arrays["knobs"])
        return cls(
            item_factors=np.asarray(arrays["item_factors"], np.float32),
            known=np.asarray(arrays["known"], np.bool_),
            regularization=regularization,
            confidence=confidence,
            half_life_events=None if np.isnan(half_life) else half_life,
            value_weights=ValueWeights.from_array(arrays["value_weights"]),
        )


def _solution(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of a positive definite system, by Cholesky: half the work of a general one, and few layers."""
    _, solution, fault = lapack.dposv(left, right, lower=1)
    # With next to no regularization rounding may leave it indefinite.
    return np.asarray(np.linalg.solve(left, right) if fault else solution, np.float64)
