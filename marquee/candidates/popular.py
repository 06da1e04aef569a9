"""Popular: the same list for all, by how many users chose an item."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from marquee.candidates.route import Arrays, RouteConfig
from marquee.data.histories import Histories
from marquee.data.interactions import Interactions


class PopularConfig(RouteConfig):
    """Popularity has no knobs."""

    @classmethod
    def route_type(cls) -> type["Popular"]:
        """The class of the route."""
        return Popular

    def fit(self, interactions: Interactions, *, seed: int) -> "Popular":
        """Fit the route."""
        return Popular.fit(interactions)


@dataclass(frozen=True, eq=False)
class ByCount:
    """What routes share that show the same list to all, by a count of each item."""

    counts: NDArray[np.float32]  # (n_items,)

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """The counts, once per query; an item that nobody chose is 0, not unknown."""
        return np.tile(self.counts, (len(histories), 1))

    def similar(self, item_index: int) -> NDArray[np.float32]:
        """The counts, `-inf` for the item itself: without taste, every item is like those of the list."""
        scores = self.counts.copy()
        scores[item_index] = -np.inf
        return scores

    def arrays(self) -> Arrays:
        """The fitted state."""
        return {"counts": self.counts}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """Rebuild from the fitted state."""
        return cls(np.asarray(arrays["counts"], np.float32))


@dataclass(frozen=True, eq=False)
class Popular(ByCount):
    """Ranks by the number of users who chose an item; the floor that every model must beat."""

    name: ClassVar[str] = "popular"

    @classmethod
    def fit(cls, interactions: Interactions) -> Self:
        """Count consumption, one per user and item expected (`marquee.data.splits.consumed`)."""
        counts = np.bincount(interactions.item_index, minlength=len(interactions.items))
        return cls(counts.astype(np.float32))
