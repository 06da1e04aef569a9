"""Kernel: users by users ridge regression with the kernel of an infinitely wide autoencoder."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field
from scipy.linalg import cho_factor, cho_solve
from threadpoolctl import threadpool_limits

from marquee.candidates.matrix import history_matrix, user_item_matrix
from marquee.candidates.route import Arrays, RouteConfig
from marquee.data.histories import Histories
from marquee.data.interactions import Interactions
from marquee.data.sparse_rows import csr_of

WEIGHT_VARIANCE: Final = 2.0
BIAS_VARIANCE: Final = 0.1
"""Of the network's initial weights and biases, as the paper's code has them."""


class KernelConfig(RouteConfig):
    """Knobs of the kernel route."""

    regularization: float = Field(default=0.5, gt=0)
    """Ridge relative to the kernel's mean diagonal."""
    max_users: int = Field(default=4_000, ge=1)
    """Only this many users, drawn at random, are remembered: memory is 12 bytes × users², time users³."""

    @classmethod
    def route_type(cls) -> type["KernelRidge"]:
        """The class of the route."""
        return KernelRidge

    def fit(self, interactions: Interactions, *, seed: int) -> "KernelRidge":
        """Fit the route."""
        return KernelRidge.fit(interactions, self, seed=seed)


@dataclass(frozen=True, eq=False)
class KernelRidge:
    """Scores a history x by k(x, X) (k(X, X) + λI)⁻¹ X over the remembered users' histories X.

    Source: Sachdeva, Dhaliwal, Wu, McAuley (2022), "Infinite Recommendation Networks: A Data-Centric
    Approach", eq. 2 (∞-AE, one hidden layer); the neural tangent kernel of a ReLU layer by Cho, Saul
    (2009), "Kernel Methods for Deep Learning", eq. 5 and 6. Remembering a sample of the users is ours.
    """

    name: ClassVar[str] = "kernel"
    users: sp.csr_array  # (n_remembered, n_items) float32, 1 where chosen
    inverse: NDArray[np.float32]  # (n_remembered, n_remembered) of the regularised kernel
    known: NDArray[np.bool_]  # (n_items,) chosen by somebody remembered

    @classmethod
    def fit(cls, interactions: Interactions, config: KernelConfig, *, seed: int) -> Self:
        """Invert the regularised kernel of (a sample of) the users who chose anything."""
        matrix = user_item_matrix(interactions)
        active = np.flatnonzero(np.diff(matrix.indptr))
        if len(active) > config.max_users:
            draw = np.random.default_rng(seed).choice(active, config.max_users, replace=False)
            active = np.sort(draw)
        users = matrix[active]
        with threadpool_limits(1, "blas"):  # other thread counts round otherwise: another bundle id
            kernel = _tangent_kernel(users, users)
            ridge = config.regularization * (np.trace(kernel) / max(1, len(kernel)))
            kernel[np.diag_indices_from(kernel)] += ridge
            factor = cho_factor(kernel, lower=True, overwrite_a=True, check_finite=False)
            inverse = cho_solve(factor, np.eye(len(active)), overwrite_b=True, check_finite=False)
        known = np.bincount(users.indices, minlength=users.shape[1]) > 0
        return cls(users, np.ascontiguousarray(inverse, np.float32), known)

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """Kernel regression on the remembered users; 0 for an empty history, `-inf` for unknown items."""
        asked = history_matrix(histories, self.users.shape[1], half_life_events=None).to_csr()
        weights = _tangent_kernel(asked, self.users).astype(np.float32) @ self.inverse
        scores = np.asarray(weights @ self.users, np.float32)
        scores[histories.lengths == 0] = 0
        scores[:, ~self.known] = -np.inf
        return scores

    def similar(self, item_index: int) -> NDArray[np.float32]:
        """Scores of a history of this one item; `-inf` for itself and where nobody chose it."""
        if not self.known[item_index]:
            return np.full(len(self.known), -np.inf, np.float32)
        alone = Histories(
            offsets=np.array([0, 1], np.int64),
            item_index=np.array([item_index], np.int32),
            timestamp_us=np.zeros(1, np.int64),
            value=np.full(1, np.nan, np.float32),
        )
        scores: NDArray[np.float32] = self.score(alone)[0]
        scores[item_index] = -np.inf
        return scores

    def arrays(self) -> Arrays:
        """The fitted state."""
        return {
            "indices": self.users.indices.astype(np.int32),
            "indptr": self.users.indptr.astype(np.int64),
            "inverse": self.inverse,
            "known": self.known,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """Rebuild from the fitted state."""
        indices, indptr = arrays["indices"], arrays["indptr"]
        known = np.asarray(arrays["known"], np.bool_)
        users = csr_of(np.ones(len(indices), np.float32), indices, indptr, (len(indptr) - 1, len(known)))
        return cls(users, np.asarray(arrays["inverse"], np.float32), known)


def _tangent_kernel(left: sp.csr_array, right: sp.csr_array) -> NDArray[np.float64]:
    """The neural tangent kernel of one ReLU layer between binary rows, `(n_left, n_right)`."""
    n_items = left.shape[1]
    scale = WEIGHT_VARIANCE / n_items
    shared = np.asarray((left @ right.T).toarray(), np.float64) * scale + BIAS_VARIANCE
    of_left, of_right = (np.diff(rows.indptr) * scale + BIAS_VARIANCE for rows in (left, right))
    norm = np.sqrt(np.outer(of_left, of_right))
    cosine = np.clip(shared / norm, -1, 1)
    angle = np.pi - np.arccos(cosine)
    first = norm * (np.sqrt(1 - cosine**2) + angle * cosine) / (2 * np.pi)
    derivative = angle / (2 * np.pi)
    return np.asarray(
        WEIGHT_VARIANCE * first + BIAS_VARIANCE + WEIGHT_VARIANCE * shared * derivative, np.float64
    )
