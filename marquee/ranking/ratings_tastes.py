"""Whose choices are alike, whatever was thought of them: features of users and items for their priors.

Who rated an item says something of how it is rated, and what a user chose of how that user rates.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from marquee.data.sparse_rows import SparseRows

Floats = NDArray[np.float64]

FARTHEST: Final = 5.0
"""Tastes are cut at this many spreads: an item chosen by one odd user would lie far outside."""
SPARE: Final = 10
"""Directions beyond the wanted ones that are followed, so that the wanted ones come out well."""
POWERS: Final = 12
"""How often the choices are applied to them."""
LEAST_SHARE: Final = 1e-3
"""Directions that explain less of the choices than this share of the first are noise."""


@dataclass(frozen=True, eq=False)
class Tastes:
    """Singular directions of the choices, each pair divided by the roots of its user's and item's numbers.

    The first direction is left out: of a matrix so divided it is the numbers themselves. Features are 1 and
    the place in each direction; of items, also the logarithm of their number of choices. A user's number is
    none: it grows from request to request, and who has just come is not one who chooses little.
    Source: Dhillon (2001), "Co-clustering documents and words using bipartite spectral graph partitioning",
    section 4.
    """

    from_item: NDArray[np.float32]  # (n_items, n_tastes) what a choice of the item adds to a user's place

    @classmethod
    def fit(cls, chosen: sp.csr_array, n_tastes: int, rng: np.random.Generator) -> tuple[Self, Floats]:
        """Learn from a `(n_users, n_items)` array of ones; the tastes, and the items' features."""
        per_user, per_item = (np.asarray(chosen.sum(axis=axis)).ravel() for axis in (1, 0))
        scaled = _divided(per_user) @ chosen @ _divided(per_item)
        strength, place = _directions(scaled.tocsr(), n_tastes, rng)
        n_users, n_items = chosen.shape
        # Vectors of length one, so that the spread over all users and over all items becomes 1.
        from_item = (_divided(per_item) @ place) * np.sqrt(n_users) / strength
        log = np.log1p(per_item) - np.log1p(per_item[per_item > 0]).mean()
        features = np.column_stack([np.ones(n_items), log, _within(place * np.sqrt(n_items))])
        return cls(from_item.astype(np.float32)), features

    @cached_property
    def _from_item(self) -> Floats:
        return self.from_item.astype(np.float64)

    def of_users(self, chosen: sp.csr_array | SparseRows) -> Floats:
        """Features of users by their choices, `(n_users, 1 + n_tastes)`; an empty row is of no taste."""
        number = chosen.indptr[1:] - chosen.indptr[:-1]
        place = (chosen @ self._from_item) * _inverse_roots(number)[:, np.newaxis]
        features = np.ones((place.shape[0], 1 + place.shape[1]))
        features[:, 1:] = _within(place)
        return features


def _within(place: Floats) -> Floats:
    return np.minimum(np.maximum(place, -FARTHEST), FARTHEST)


def _divided(number: NDArray[np.generic]) -> sp.dia_array:
    return sp.diags_array(_inverse_roots(number))


def _inverse_roots(number: NDArray[np.generic]) -> Floats:
    return np.asarray(1 / np.sqrt(np.maximum(number, 1.0)), np.float64)


def _directions(scaled: sp.csr_array, n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Singular values, largest first, without the very first, `(n,)`; and items' vectors `(n_items, n)`.

    ARPACK would draw from a state of its own where singular values repeat, so that no two fits were alike.
    Source: Halko, Martinsson, Tropp (2011), "Finding structure with randomness", algorithm 4.4.
    """
    width = min(n + 1 + SPARE, *scaled.shape)
    basis = rng.normal(size=(scaled.shape[1], width))
    for _ in range(POWERS):
        basis = np.linalg.qr(scaled.T @ (scaled @ basis)).Q
    _, values, rotation = np.linalg.svd(scaled @ basis, full_matrices=False)
    kept = np.flatnonzero(values > LEAST_SHARE * values[0])[1 : n + 1]
    return values[kept], basis @ rotation[kept].T
