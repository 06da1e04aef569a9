"""Trending: the same list for all, by how far an item's latest events exceed its usual level."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from marquee.candidates.route import Arrays, RouteConfig
from marquee.data.histories import Histories
from marquee.data.interactions import Interactions
from marquee.features.context import DAY_US


class TrendingConfig(RouteConfig):
    """Knobs of the surge."""

    recent_days: float = Field(default=14.0, gt=0)
    """The window whose events are compared, ending with the last event."""
    usual_days: float = Field(default=30.0, gt=0)
    """The window before it, which says what is usual."""
    prior_events: float = Field(default=5.0, gt=0)
    """Events that every item is taken to have beside those seen, on either side of the comparison."""

    @classmethod
    def route_type(cls) -> type["Trending"]:
        """The class of the route."""
        return Trending

    def fit(self, interactions: Interactions, *, seed: int) -> "Trending":
        """Fit the route."""
        return Trending.fit(interactions, self)


@dataclass(frozen=True, eq=False)
class Trending:
    """Ranks by a z-score of the events of the last days against those expected from the time before.

    Expected is the item's share of all events before, times all recent events, so that a busy week
    makes no trend. Positive is a surge; items never chosen are unknown.

    Sources: shares smoothed by a gamma prior on the ratio of observed to expected counts, DuMouchel
    (1999), "Bayesian Data Mining in Large Frequency Tables", section 2; the z-score of Poisson counts,
    2 (√(n + 3/8) - √(expected + 3/8)), after Anscombe (1948), "The Transformation of Poisson,
    Binomial and Negative-Binomial Data", eq. 1.3.
    """

    name: ClassVar[str] = "trending"
    surge: NDArray[np.float32]  # (n_items,) z-scores, -inf where nobody ever chose the item

    @classmethod
    def fit(cls, interactions: Interactions, config: TrendingConfig) -> Self:
        """Compare the two windows."""
        times, n_items = interactions.timestamp_us, len(interactions.items)
        last_us = int(times[-1]) if len(times) else 0
        recent_from = last_us - config.recent_days * DAY_US
        usual_from = recent_from - config.usual_days * DAY_US
        is_recent = times > recent_from
        is_usual = ~is_recent & (times > usual_from)
        known = np.bincount(interactions.item_index, minlength=n_items) > 0
        recent, usual = (
            np.bincount(interactions.item_index[rows], minlength=n_items) for rows in (is_recent, is_usual)
        )
        surge = surge_scores(recent[known], usual[known], prior_events=config.prior_events)
        scores = np.full(n_items, -np.inf, np.float32)
        scores[known] = surge
        return cls(scores)

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """The z-scores, once per query."""
        return np.tile(self.surge, (len(histories), 1))

    def similar(self, item_index: int) -> NDArray[np.float32]:
        """The z-scores, `-inf` for the item itself."""
        scores = self.surge.copy()
        scores[item_index] = -np.inf
        return scores

    def arrays(self) -> Arrays:
        """The fitted state."""
        return {"surge": self.surge}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """Rebuild from the fitted state."""
        return cls(np.asarray(arrays["surge"], np.float32))


def surge_scores(
    recent: NDArray[np.integer], usual: NDArray[np.integer], *, prior_events: float
) -> NDArray[np.float32]:
    """Z-scores `(n_items,)` of the recent counts against those expected from the usual ones."""
    share = (usual + prior_events) / max(usual.sum() + prior_events * len(usual), 1)
    expected = recent.sum() * share
    return np.asarray(2 * (np.sqrt(recent + 3 / 8) - np.sqrt(expected + 3 / 8)), np.float32)
