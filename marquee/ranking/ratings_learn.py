"""Learning the items' vectors and both priors: variational EM, users a block at a time."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import scipy.sparse as sp
from pydantic import BaseModel, ConfigDict, Field

from marquee.ranking.ratings_vectors import Design, Evidence, Floats, Prior, Vectors

BLOCK_NUMBERS: Final = 4_000_000
"""Users are asked in blocks of which one moment has so many numbers: those of all are users × factors²."""
FIRST_SPREAD: Final = 0.1
"""Of the items' latent numbers at the start: zero would be a place that nothing leaves."""
FIRST_BIAS_VARIANCE: Final = 0.2
FIRST_NOISE: Final = 0.7
"""Both in variances of the ratings."""
FLOOR: Final = 1e-4
"""No variance falls below this share of that of the ratings, as some would where ratings are few or alike."""


class RatingsConfig(BaseModel):
    """Knobs of the prediction of stars."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    factors: int = Field(default=16, ge=1, le=100)
    """Length of the latent vectors; work and the bundle grow with its square."""
    tastes: int = Field(default=20, ge=0)
    """Directions of who chose what, from which latent vectors and biases are expected before any rating."""
    shrinkage: float = Field(default=100.0, gt=0)
    """Pseudo-users, and pseudo-items, that pull those expectations towards one for all."""
    iterations: int = Field(default=15, ge=1)
    """Alternations of the training."""


@dataclass(frozen=True, eq=False)
class Ratings:
    """Ratings of users for items, with what is known of both beforehand."""

    rated: sp.csr_array  # (n_users, n_items) float64, ones where a rating is
    residual: sp.csr_array  # the ratings less their mean, same places
    user_features: Floats  # (n_users, n_features), the first one 1
    item_features: Floats


@dataclass(frozen=True, eq=False)
class Learned:
    """What is kept: of users only the prior, since their vectors are solved from histories."""

    items: Vectors
    user_prior: Prior
    noise: float  # variance


def learn(ratings: Ratings, config: RatingsConfig, rng: np.random.Generator) -> Learned:
    """Alternate between users and items, and move both priors and the noise to what fits best.

    The posterior of users and items is taken to factorise; covariances are kept whole, so that an item of
    few ratings counts as uncertain instead of being fitted to them.
    Source: Lim et al. (KDD Cup 2007), "Variational Bayesian approach to movie rating prediction", section 3,
    with prior means linear in features as in Agarwal, Chen (2009), "Regression-based latent factor models",
    section 3. Prior covariances that are not diagonal are ours.
    """
    factors = config.factors
    variance = float(np.mean(ratings.residual.data**2)) or 1.0  # all ratings may be one number
    noise, floor = FIRST_NOISE * variance, FLOOR * variance
    user_prior = _first_prior(ratings.user_features.shape[1], factors, variance)
    item_prior = _first_prior(ratings.item_features.shape[1], factors, variance)
    items = _first_items(ratings, factors, noise / (FIRST_BIAS_VARIANCE * variance), rng)
    is_rated = np.bincount(ratings.rated.indices, minlength=len(ratings.item_features)) > 0
    for _ in range(config.iterations):
        said, users = _ask_users(ratings, items.design(), user_prior, noise)
        items = said.solve(item_prior.means(ratings.item_features), item_prior.precision, noise)
        of_items = PriorSums.of(
            ratings.item_features[is_rated], Vectors(items.mean[is_rated], items.covariance[is_rated])
        )
        user_prior, item_prior = (sums.prior(config.shrinkage, floor) for sums in (users, of_items))
        noise = max(floor, _squared_errors(ratings, said, items) / ratings.rated.nnz)
    return Learned(items, user_prior, noise)


@dataclass(frozen=True, eq=False)
class PriorSums:
    """Sums over vectors, of which their prior is estimated."""

    n: int
    features: Floats  # (n_features, n_features) Σ f fᵀ
    crossed: Floats  # (n_features, k + 1) Σ f E[v]ᵀ
    moment: Floats  # (k + 1, k + 1) Σ E[v vᵀ]

    @classmethod
    def of(cls, features: Floats, vectors: Vectors) -> Self:
        """Of aligned rows of features and vectors."""
        mean = vectors.mean
        moment = mean.T @ mean + vectors.covariance.sum(axis=0)
        return cls(len(mean), features.T @ features, features.T @ mean, moment)

    def __add__(self, other: "PriorSums") -> "PriorSums":
        return PriorSums(
            self.n + other.n,
            self.features + other.features,
            self.crossed + other.crossed,
            self.moment + other.moment,
        )

    def prior(self, shrinkage: float, floor: float) -> Prior:
        """Regress on the features, all but the first shrunken, and invert what variance remains."""
        ridge = np.full(len(self.features), shrinkage)
        ridge[0] = 0
        weights = np.linalg.solve(self.features + np.diag(ridge), self.crossed)
        explained = weights.T @ self.crossed
        remaining = self.moment - explained - explained.T + weights.T @ self.features @ weights
        covariance = remaining / self.n + floor * np.eye(len(self.moment))
        return Prior(np.asarray(weights, np.float64), np.asarray(np.linalg.inv(covariance), np.float64))


def _first_prior(n_features: int, factors: int, variance: float) -> Prior:
    precision = np.eye(factors + 1)
    precision[-1, -1] = 1 / (FIRST_BIAS_VARIANCE * variance)
    return Prior(np.zeros((n_features, factors + 1)), precision)


def _first_items(ratings: Ratings, factors: int, pseudo_ratings: float, rng: np.random.Generator) -> Vectors:
    """Small random latent vectors and shrunken mean residuals."""
    n_items = ratings.rated.shape[1]
    number = np.bincount(ratings.rated.indices, minlength=n_items)
    total = np.bincount(ratings.residual.indices, ratings.residual.data, minlength=n_items)
    latent = rng.normal(0, FIRST_SPREAD, (n_items, factors))
    mean = np.column_stack([latent, total / (number + pseudo_ratings)])
    return Vectors(mean, np.zeros((n_items, factors + 1, factors + 1)))


def _ask_users(ratings: Ratings, items: Design, prior: Prior, noise: float) -> tuple[Evidence, PriorSums]:
    """Solve for all users; what they say of the items, and the sums for their next prior."""
    moment, product = np.zeros_like(items.moment), np.zeros_like(items.mean)
    blocks: list[PriorSums] = []
    size = max(1, BLOCK_NUMBERS // items.moment.shape[1])
    for start in range(0, ratings.rated.shape[0], size):
        rows = slice(start, start + size)
        rated, residual = ratings.rated[rows], ratings.residual[rows]
        features = ratings.user_features[rows]
        users = Evidence.of(rated, residual, items).solve(prior.means(features), prior.precision, noise)
        design = users.design()
        moment += rated.T @ design.moment
        product += residual.T @ design.mean
        blocks.append(PriorSums.of(features, users))
    return Evidence(moment, product), sum(blocks[1:], start=blocks[0])


def _squared_errors(ratings: Ratings, said: Evidence, items: Vectors) -> float:
    """Σ E[(rating - prediction)²] over all ratings, by moments: no array of ratings × factors² is made."""
    n = len(items.mean)
    mean = np.column_stack([items.mean, np.ones(n)])  # (w, c, 1), beside a user's (z, 1, b)
    moment = mean[:, :, np.newaxis] * mean[:, np.newaxis, :]
    moment[:, :-1, :-1] += items.covariance
    squares = float(np.sum(ratings.residual.data**2))
    return (
        squares - 2 * float(np.sum(said.product * mean)) + float(np.sum(said.moment * moment.reshape(n, -1)))
    )
