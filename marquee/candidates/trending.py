"""Trending: the same list for all, first what draws far more users than usual, then what is popular now."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from marquee import schema
from marquee.candidates.route import Arrays, RouteConfig
from marquee.candidates.surges import SurgeConfig
from marquee.data.histories import Histories
from marquee.data.interactions import Interactions
from marquee.features.context import DAY_US
from marquee.features.movie_states import MovieStates
from marquee.features.surprise import gamma_poisson_surprise, smoothed_share

_COUNTS: Final = {
    1: schema.ITEM_EVENTS_1D,
    7: schema.ITEM_EVENTS_7D,
    30: schema.ITEM_EVENTS_30D,
    90: schema.ITEM_EVENTS_90D,
}
"""The state that counts a movie's events of so many days: one of each user who chose it."""
LATELY_DAYS: Final = 7
"""The window of what is popular lately."""
BACKGROUND: Final = 0.05
"""What an older event counts, so that old choices still order what is rare."""
SURGES: Final = SurgeConfig()
"""When a day's or a week's users are a surge: thresholds as for the hours."""


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
    """Ranks what surges by its surprise, and the rest, all below, by the users of the last week.

    Surprise is of the recent events against those expected: the item's share of all events in the time
    before, times all recent events, so that a busy week makes no trend. Items never chosen are unknown.
    """

    name: ClassVar[str] = "trending"
    surge: NDArray[np.float32]  # (n_items,) levels of the fit, -inf where nobody ever chose the item
    config: TrendingConfig

    @classmethod
    def fit(cls, interactions: Interactions, config: TrendingConfig) -> Self:
        """Compare the windows that end with the last event."""
        times, n_items = interactions.timestamp_us, len(interactions.items)
        last_us = int(times[-1]) if len(times) else 0

        def events(days: float) -> NDArray[np.float64]:
            rows = times > last_us - days * DAY_US
            return np.bincount(interactions.item_index[rows], minlength=n_items).astype(np.float64)

        ever = events(float("inf"))
        known = ever > 0
        recent, usual, lately = (
            events(days)[known] for days in (config.recent_days, config.usual_days, LATELY_DAYS)
        )
        scores = np.full(n_items, -np.inf, np.float32)
        scores[known] = popularity_lately(lately, ever[known]) + surge_scores(
            recent, usual - recent, prior_events=config.prior_events
        )
        return cls(scores, config)

    def parts(self, states: MovieStates) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Popularity lately, from 0 to below 1, and the surprise of what surges, else 0, of each moment.

        Both are `(n_moments, n_items) float32`; popularity is -inf where nothing is known of an item. Of
        moments without any state the first is the fit's levels and nothing surges.
        """
        days = (self.config.recent_days, self.config.usual_days, LATELY_DAYS)
        recent, usual, week = (states.column(_COUNTS[each]) for each in days)
        ever = states.column(schema.ITEM_EVENTS_ALL)
        known = np.isfinite(recent) & np.isfinite(usual) & np.isfinite(week)
        lately, surge = np.full(recent.shape, -np.inf, np.float32), np.zeros(recent.shape, np.float32)
        for moment, items in enumerate(known):
            if not items.any():
                lately[moment] = self.surge
                continue
            late, all_ = (each[moment, items].astype(np.float64) for each in (recent, usual))
            lately[moment, items] = popularity_lately(week[moment, items], np.nan_to_num(ever[moment, items]))
            surge[moment, items] = surge_scores(late, all_ - late, prior_events=self.config.prior_events)
        return lately, surge

    def levels(self, states: MovieStates) -> NDArray[np.float32]:
        """The order as of each moment, from the windows of the movies' state."""
        lately, surge = self.parts(states)
        return lately + surge

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """The fit's levels, once per query."""
        return np.tile(self.surge, (len(histories), 1))

    def similar(self, item_index: int) -> NDArray[np.float32]:
        """The levels, `-inf` for the item itself."""
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


def popularity_lately(lately: NDArray[np.number], ever: NDArray[np.number]) -> NDArray[np.float32]:
    """From 0 to below 1, `(n_items,)`: events of the week, and older ones for what they still count."""
    counted = np.asarray(lately + BACKGROUND * ever, np.float64)
    return np.asarray(counted / (counted.max(initial=0) + 1), np.float32)


def surge_scores(
    recent: NDArray[np.number], usual: NDArray[np.number], *, prior_events: float
) -> NDArray[np.float32]:
    """Surprise `(n_items,)` of the recent counts against the usual ones' shares; 0 where it is no surge."""
    usual = np.maximum(usual, 0)  # a correction of the state may come to one window first
    share = smoothed_share(usual, usual.sum(), len(usual), prior=prior_events)
    surprise = gamma_poisson_surprise(recent, share * max(recent.sum(), 1), shape=SURGES.shape)
    return np.where((surprise > SURGES.enter) & (recent >= SURGES.min_users), surprise, 0).astype(np.float32)


def places_for_surges(n: int) -> int:
    """So many of a list's `n` places may surging items take."""
    return max(1, int(SURGES.max_share * n))
