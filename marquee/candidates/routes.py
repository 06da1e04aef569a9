"""The routes of the first stage: which there are, their knobs, and how they are fitted."""

from collections.abc import Callable, Mapping
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from marquee.candidates.als import AlsConfig
from marquee.candidates.content import ContentConfig
from marquee.candidates.ease import EaseConfig
from marquee.candidates.item_knn import ItemKnnConfig
from marquee.candidates.kernel import KernelConfig
from marquee.candidates.movie_facts import MovieFacts
from marquee.candidates.nearby import NearbyConfig
from marquee.candidates.neighbours import NeighboursConfig
from marquee.candidates.popular import PopularConfig
from marquee.candidates.recent_popular import RecentPopularConfig
from marquee.candidates.route import Route, RouteConfig
from marquee.candidates.sequential import SequentialConfig
from marquee.candidates.trending import TrendingConfig
from marquee.data.interactions import Interactions


class RoutesConfig(BaseModel):
    """Knobs of all routes, and which of them feed the union. A field of this class is a route."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: Annotated[tuple[str, ...], Field(min_length=1)] = (
        "ease",
        "sequential",
        "als",
        "popular",
        "content",
    )
    """Routes of the union, the one that breaks ties first; also the order of their features."""
    ease: EaseConfig = EaseConfig()
    sequential: SequentialConfig = SequentialConfig()
    als: AlsConfig = AlsConfig()
    popular: PopularConfig = PopularConfig()
    kernel: KernelConfig = KernelConfig()
    item_knn: ItemKnnConfig = ItemKnnConfig()
    nearby: NearbyConfig = NearbyConfig()
    neighbours: NeighboursConfig = NeighboursConfig()
    content: ContentConfig = ContentConfig()
    recent_popular: RecentPopularConfig = RecentPopularConfig()
    trending: TrendingConfig = TrendingConfig()

    @field_validator("enabled")
    @classmethod
    def _knows_its_routes(cls, enabled: tuple[str, ...]) -> tuple[str, ...]:
        known = set(cls.model_fields) - {"enabled"}
        if unknown := sorted(set(enabled) - known):
            raise ValueError(f"{unknown} are none of {sorted(known)}")
        if len(set(enabled)) < len(enabled):
            raise ValueError("each route may be named once")
        return enabled

    def knobs_of(self, name: str) -> RouteConfig:
        """The knobs of a route by its name."""
        knobs: RouteConfig = getattr(self, name)
        return knobs


ROUTE_TYPES: Final[Mapping[str, type[Route]]] = {
    name: field.default.route_type()
    for name, field in RoutesConfig.model_fields.items()
    if isinstance(field.default, RouteConfig)
}
"""Route class by name: how a bundle finds the class of its arrays."""


def fit_routes(
    interactions: Interactions,
    config: RoutesConfig,
    *,
    seed: int,
    facts: MovieFacts | None = None,
    on_progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Route]:
    """Fit the enabled routes on consumed events.

    Args:
        interactions: one event per user and item.
        config: which routes, and their knobs.
        seed: of everything that draws.
        facts: of the movies, aligned with `interactions.items`; None where nothing is known of them.
        on_progress: hears the name of each route before it is fitted.
    """
    facts = MovieFacts.unknown(len(interactions.items)) if facts is None else facts
    routes: dict[str, Route] = {}
    for name in config.enabled:
        on_progress(name)
        routes[name] = config.knobs_of(name).fit_with_facts(interactions, facts, seed=seed)
    return routes
