"""The routes of the first stage: which there are, their knobs, and how they are fitted."""

from collections.abc import Callable, Mapping
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from marquee.candidates.als import AlsConfig
from marquee.candidates.ease import EaseConfig
from marquee.candidates.popular import PopularConfig
from marquee.candidates.route import Route, RouteConfig
from marquee.candidates.sequential import SequentialConfig
from marquee.data.interactions import Interactions


class RoutesConfig(BaseModel):
    """Knobs of all routes, and which of them feed the union. A field of this class is a route."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: Annotated[tuple[str, ...], Field(min_length=1)] = ("ease", "sequential", "als", "popular")
    """Routes of the union, the one that breaks ties first; also the order of their features."""
    ease: EaseConfig = EaseConfig()
    sequential: SequentialConfig = SequentialConfig()
    als: AlsConfig = AlsConfig()
    popular: PopularConfig = PopularConfig()

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
    on_progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Route]:
    """Fit the enabled routes on consumed events; `on_progress` hears the name of each before it starts."""
    routes: dict[str, Route] = {}
    for name in config.enabled:
        on_progress(name)
        routes[name] = config.knobs_of(name).fit(interactions, seed=seed)
    return routes
