"""Trending: the same list for all, by how far an item's latest events exceed its usual level."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from marquee import schema
from marquee.candidates.route import Arrays, RouteConfig
from marquee.data.histories import Histories
from marquee.data.interactions import Interactions
from marquee.features.context import DAY_US
from marquee.features.movie_states import MovieStates

_COUNTS: Final = {
    1: schema.ITEM_EVENTS_1D,
    7: schema.ITEM_EVENTS_7D,
    30: schema.ITEM_EVENTS_30D,
    90: schema.ITEM_EVENTS_90D,
}
"""The state that counts a movie's events of so many days."""


class TrendingConfig(RouteConfig):
    """Knobs of the surge."""

    recent_days: Literal[1, 7, 30] = 7
    """The window whose events are compared: one of those that the movies' state counts."""
    usual_days: Literal[7, 30, 90] = 30
    """The window that ends with it and, but for it, says what is usual."""
    prior_events: float = Field(default=5.0, gt=0)
    """Events that every item is taken to have beside those seen, on either side of the comparison."""

    @model_validator(mode="after")
    def _is_usual_longer(self) -> Self:
        if self.recent_days >= self.usual_days:
            raise ValueError(
                f"recent_days {self.recent_days} must be fewer than usual_days {self.usual_days}"
            )
        return self

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
    surge: NDArray[np.float32]  # (n_items,) z-scores of the fit, -inf where nobody ever chose the item
    config: TrendingConfig

    @classmethod
    def fit(cls, interactions: Interactions, config: TrendingConfig) -> Self:
        """Compare the two windows."""
        times, n_items = interactions.timestamp_us, len(interactions.items)
        last_us = int(times[-1]) if len(times) else 0
        recent_from = last_us - config.recent_days * DAY_US
        usual_from = last_us - config.usual_days * DAY_US
        is_recent = times > recent_from
        is_usual = ~is_recent & (times > usual_from)
        known = np.bincount(interactions.item_index, minlength=n_items) > 0
        recent, usual = (
            np.bincount(interactions.item_index[rows], minlength=n_items) for rows in (is_recent, is_usual)
        )
        surge = surge_scores(recent[known], usual[known], prior_events=config.prior_events)
        scores = np.full(n_items, -np.inf, np.float32)
        scores[known] = surge
        return cls(scores, config)

    def levels(self, states: MovieStates) -> NDArray[np.float32]:
        """The surge as of each moment, from the windows of the movies' state."""
        recent, usual = (
            states.column(_COUNTS[days]) for days in (self.config.recent_days, self.config.usual_days)
        )
        known = np.isfinite(recent) & np.isfinite(usual)
        levels = np.full(recent.shape, -np.inf, np.float32)
        for moment, items in enumerate(known):
            if not items.any():
                levels[moment] = self.surge
                continue
            late, all_ = recent[moment, items], usual[moment, items]
            levels[moment, items] = surge_scores(late, all_ - late, prior_events=self.config.prior_events)
        return levels

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """The fit's z-scores, once per query."""
        return np.tile(self.surge, (len(histories), 1))

    def similar(self, item_index: int) -> NDArray[np.float32]:
        """The z-scores, `-inf` for the item itself."""
        scores = self.surge.copy()
        scores[item_index] = -np.inf
        return scores

    def arrays(self) -> Arrays:
        """The fitted state."""
        knobs = [self.config.recent_days, self.config.usual_days, self.config.prior_events]
        return {"surge": self.surge, "knobs": np.array(knobs, np.float64)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """Rebuild from the fitted state."""
        recent_days, usual_days, prior_events = np.asarray(arrays["knobs"], np.float64).tolist()
        config = TrendingConfig.model_validate(
            {"recent_days": int(recent_days), "usual_days": int(usual_days), "prior_events": prior_events}
        )
        return cls(np.asarray(arrays["surge"], np.float32), config)


def surge_scores(
    recent: NDArray[np.number], usual: NDArray[np.number], *, prior_events: float
) -> NDArray[np.float32]:
    """Z-scores `(n_items,)` of the recent counts against those expected from the usual ones."""
    share = (usual + prior_events) / max(usual.sum() + prior_events * len(usual), 1)
    expected = recent.sum() * share
    return np.asarray(2 * (np.sqrt(recent + 3 / 8) - np.sqrt(expected + 3 / 8)), np.float32)
