"""Gaussian beliefs about users and items, and how ratings narrow them.

A rating is mean + z·w + b + c + noise: the user has a latent vector z and a bias b, the item w and c. A
side's own vector is (latent, bias), of length k + 1. What the other side sees of it is its *design*
(latent, 1, bias), of length k + 2: its own unknowns (latent, bias) times the first k + 1 of those, and the
last added as it is.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from marquee.data.sparse_rows import SparseRows

Floats = NDArray[np.float64]
Sparse = sp.csr_array | SparseRows


@dataclass(frozen=True, eq=False)
class Prior:
    """What is believed of a vector before its ratings: normal, its mean linear in features."""

    weights: Floats  # (n_features, k + 1)
    precision: Floats  # (k + 1, k + 1), the inverse of the covariance

    def means(self, features: Floats) -> Floats:
        """Expected vectors, `(n, k + 1)`."""
        # einsum without optimize never calls BLAS, so that one row and a thousand round alike.
        return np.asarray(np.einsum("nf,fk->nk", features, self.weights), np.float64)


@dataclass(frozen=True, eq=False)
class Vectors:
    """Beliefs about many vectors: mean and covariance of each."""

    mean: Floats  # (n, k + 1)
    covariance: Floats  # (n, k + 1, k + 1)

    def design(self) -> "Design":
        """The same as the other side sees it."""
        n, width = self.mean.shape[0], self.mean.shape[1] + 1
        own = np.delete(np.arange(width), width - 2)  # all but the constant
        mean = np.ones((n, width))
        mean[:, own] = self.mean
        moment = mean[:, :, np.newaxis] * mean[:, np.newaxis, :]
        moment[:, own[:, np.newaxis], own] += self.covariance
        return Design(mean, moment.reshape(n, -1))


@dataclass(frozen=True, eq=False)
class Design:
    """First and second moments of (latent, 1, bias)."""

    mean: Floats  # (n, k + 2)
    moment: Floats  # (n, (k + 2)²), E[d dᵀ] row by row


@dataclass(frozen=True, eq=False)
class HalfDesign:
    """A design to be asked with a few ratings: a moment is symmetric, so that its half says all of it.

    Of the model, moments are most of what a request reads.
    """

    mean: Floats  # (n, k + 2)
    half: Floats  # (n, (k + 2)(k + 3) ÷ 2) upper triangles of the moments, row by row
    place: NDArray[np.int64]  # ((k + 2)²,) where each number of a moment is in its half

    @classmethod
    def of(cls, design: Design) -> Self:
        """Of a whole one."""
        width = design.mean.shape[1]
        upper = np.flatnonzero(np.triu(np.ones((width, width))))
        place = np.zeros((width, width), np.int64)
        place.flat[upper] = np.arange(len(upper))
        half = design.moment.take(upper, axis=1)  # by index it would lie column by column
        return cls(design.mean, half, np.maximum(place, place.T).ravel())

    def evidence(self, rated: Sparse, residual: Sparse) -> "Evidence":
        """As `Evidence.of` the whole design, to the bit."""
        moment = np.asarray(rated @ self.half).take(self.place, axis=1)
        return Evidence(moment, np.asarray(residual @ self.mean))


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a side's ratings say, summed over the rated: enough to solve for its vectors."""

    moment: Floats  # (n, (k + 2)²) sum of the moments of what each rated, or was rated by
    product: Floats  # (n, k + 2) sum of rating, less the mean, times design

    @classmethod
    def of(cls, rated: Sparse, residual: Sparse, design: Design) -> Self:
        """Of `(n, n_others)` sparse arrays: ones where a rating is, and the ratings less their mean."""
        return cls(np.asarray(rated @ design.moment), np.asarray(residual @ design.mean))

    def solve(self, prior_mean: Floats, precision: Floats, noise: float) -> Vectors:
        """Beliefs after the ratings: of each row (Σ DDᵀ ÷ noise + precision)⁻¹ as covariance."""
        left, right = self._equations(prior_mean, precision, noise)
        covariance = np.asarray(np.linalg.inv(left), np.float64)
        return Vectors(np.einsum("nij,nj->ni", covariance, right), covariance)

    def solve_mean(self, prior_mean: Floats, precision: Floats, noise: float) -> Floats:
        """Their means only, `(n, k + 1)`, in a third of the time."""
        left, right = self._equations(prior_mean, precision, noise)
        return np.asarray(np.linalg.solve(left, right[:, :, np.newaxis])[:, :, 0], np.float64)

    def _equations(self, prior_mean: Floats, precision: Floats, noise: float) -> tuple[Floats, Floats]:
        width = self.product.shape[1]
        moment = self.moment.reshape(-1, width, width)
        left = moment[:, :-1, :-1] / noise + precision
        # The other side's bias is part of the rating that this side need not explain.
        right = (self.product[:, :-1] - moment[:, :-1, -1]) / noise
        return left, right + np.einsum("nk,kj->nj", prior_mean, precision)
