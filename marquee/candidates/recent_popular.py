"""Recent popular: the same list for all, by how many users chose an item lately."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from marquee.candidates.route import Arrays, RouteConfig
from marquee.data.histories import Histories
from marquee.data.interactions import Interactions

DAY_US: Final = 86_400_000_000


class RecentPopularConfig(RouteConfig):
    """Knobs of recent popularity."""

    half_life_days: float = Field(default=3.0, gt=0)
    """An event counts half after this time."""
    background: float = Field(default=0.05, gt=0, lt=1)
    """Weight that an event never falls below, so that old choices still order what is rare."""

    @classmethod
    def route_type(cls) -> type["RecentPopular"]:
        """The class of the route."""
        return RecentPopular

    def fit(self, interactions: Interactions, *, seed: int) -> "RecentPopular":
        """Fit the route."""
        return RecentPopular.fit(interactions, self)


@dataclass(frozen=True, eq=False)
class RecentPopular:
    """Ranks by exponentially decayed choices, as of the last event that was learned from.

    Source: Cormode, Shkapenyuk, Srivastava, Xu (2009), "Forward Decay", section II (exponential
    backward decay); the background is ours.
    """

    name: ClassVar[str] = "recent_popular"
    counts: NDArray[np.float32]  # (n_items,)

    @classmethod
    def fit(cls, interactions: Interactions, config: RecentPopularConfig) -> Self:
        """Add up b + (1 - b) × 0.5 ** (age ÷ half-life) over the events of each item."""
        times = interactions.timestamp_us
        age_days = (times[-1] - times) / DAY_US if len(times) else np.empty(0)
        fresh = np.power(0.5, age_days / config.half_life_days)
        weight = config.background + (1 - config.background) * fresh
        counts = np.bincount(interactions.item_index, weights=weight, minlength=len(interactions.items))
        return cls(counts.astype(np.float32))

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """The decayed counts, once per query; an item that nobody chose is 0, not unknown."""
        return np.tile(self.counts, (len(histories), 1))

    def similar(self, item_index: int) -> NDArray[np.float32]:
        """The decayed counts, `-inf` for the item itself: without taste, all are like what is in vogue."""
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
