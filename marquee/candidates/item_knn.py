"""Item neighbours: what is chosen by the same people as the latest of the history."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from marquee.candidates.latest_events import latest_of_each_user
from marquee.candidates.matrix import user_item_matrix
from marquee.candidates.nearest import ItemLikeness, LikenessRoute, item_blocks, keep_nearest
from marquee.candidates.route import RouteConfig
from marquee.data.interactions import Interactions


class ItemKnnConfig(RouteConfig):
    """Knobs of the item neighbours."""

    user_damping: float = Field(default=0.5, ge=0, le=1)
    """A pair in a long list of choices says less: it counts the list's length to minus this power."""
    shrinkage: float = Field(default=0.1, ge=0)
    """Added to the denominator, which pulls likenesses that rest on few choices towards zero."""
    half_life_events: float | None = Field(default=3.0, gt=0)
    """An event of the asking history counts half after this many later ones; None: all alike."""
    neighbours: int = Field(default=500, ge=1)
    """Most alike items kept per item, which bounds memory."""
    max_user_events: int = Field(default=500, ge=1)
    """Only this many latest choices of a user teach: pairs grow with their square."""

    @classmethod
    def route_type(cls) -> type["ItemKnn"]:
        """The class of the route."""
        return ItemKnn

    def fit(self, interactions: Interactions, *, seed: int) -> "ItemKnn":
        """Fit the route."""
        return ItemKnn.fit(interactions, self)


@dataclass(frozen=True, eq=False)
class ItemKnn(LikenessRoute):
    """Scores by the likeness of items to those of the history, whose events count by recency.

    The likeness of i and j is Σ a(u) over users u who chose both ÷ (√(m(i) m(j)) + shrinkage), where
    a(u) is the damped length of a list and m(i) = Σ a(u) over those who chose i: the cosine of
    damped columns.

    Source: Deshpande, Karypis (2004), "Item-Based Top-N Recommendation Algorithms", section 4.1
    (cosine, with long rows of users counting less); the shrinkage after Bell, Koren (2007),
    "Scalable Collaborative Filtering with Jointly Derived Neighborhood Interpolation Weights",
    section 2.1. The recency weights are ours.
    """

    name: ClassVar[str] = "item_knn"

    @classmethod
    def fit(cls, interactions: Interactions, config: ItemKnnConfig) -> Self:
        """Compare all pairs of items, a block of rows at a time."""
        choices = user_item_matrix(
            interactions.take(latest_of_each_user(interactions, config.max_user_events))
        )
        rows = list(_nearest_rows(choices, config))
        return cls(ItemLikeness.of_rows(rows, len(interactions.items), config.half_life_events))


def _nearest_rows(choices: sp.csr_array, config: ItemKnnConfig) -> Iterator[sp.csr_array]:
    """Likenesses of blocks of items to all, the largest of each row."""
    lengths = np.diff(choices.indptr)
    damped = choices.copy()
    damped.data = np.repeat(np.maximum(lengths, 1) ** -config.user_damping, lengths).astype(np.float32)
    root_mass = np.sqrt(np.asarray(damped.sum(axis=0), np.float64).ravel())
    by_item = choices.T.tocsr()
    for items in item_blocks(choices.shape[1]):
        shared = (by_item[items] @ damped).toarray()
        norm = np.outer(root_mass[items], root_mass) + config.shrinkage
        likeness = np.divide(shared, norm, out=np.zeros_like(shared), where=shared > 0)
        yield keep_nearest(likeness, items, config.neighbours)
