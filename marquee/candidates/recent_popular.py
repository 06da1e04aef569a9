"""Recent popular: the same list for all, by how many users chose an item lately."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from pydantic import Field

from marquee.candidates.popular import ByCount
from marquee.candidates.route import RouteConfig
from marquee.data.interactions import Interactions
from marquee.features.context import DAY_US


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
class RecentPopular(ByCount):
    """Ranks by exponentially decayed choices, as of the last event that was learned from.

    Source: Cormode, Shkapenyuk, Srivastava, Xu (2009), "Forward Decay", section II (exponential
    backward decay); the background is ours.
    """

    name: ClassVar[str] = "recent_popular"

    @classmethod
    def fit(cls, interactions: Interactions, config: RecentPopularConfig) -> Self:
        """Add up b + (1 - b) × 0.5 ** (age ÷ half-life) over the events of each item."""
        times = interactions.timestamp_us
        age_days = (times[-1] - times) / DAY_US if len(times) else np.empty(0)
        fresh = np.power(0.5, age_days / config.half_life_days)
        weight = config.background + (1 - config.background) * fresh
        counts = np.bincount(interactions.item_index, weights=weight, minlength=len(interactions.items))
        return cls(counts.astype(np.float32))
