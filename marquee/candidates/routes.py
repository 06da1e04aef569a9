"""The routes of the first stage: which there are, their knobs, and how they are fitted."""

from collections.abc import Callable, Mapping
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from marquee.candidates.als import AlsConfig, ImplicitAls
from marquee.candidates.ease import Ease, EaseConfig
from marquee.candidates.popular import Popular
from marquee.candidates.route import Route
from marquee.data.interactions import Interactions


class RoutesConfig(BaseModel):
    """Knobs of all routes, and which of them feed the union."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: Annotated[tuple[str, ...], Field(min_length=1)] = ("ease", "als", "popular")
    """Routes of the union, the one that breaks ties first; also the order of their features."""
    ease: EaseConfig = Field(default=EaseConfig())
    """Knobs of EASE."""
    als: AlsConfig = Field(default=AlsConfig())
    """Knobs of implicit ALS."""

    @field_validator("enabled")
    @classmethod
    def _knows_its_routes(cls, enabled: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(enabled) - set(ROUTE_TYPES)):
            raise ValueError(f"{unknown} are none of {sorted(ROUTE_TYPES)}")
        if len(set(enabled)) < len(enabled):
            raise ValueError("each route may be named once")
        return enabled


ROUTE_TYPES: Final[Mapping[str, type[Route]]] = {
    Ease.name: Ease,
    ImplicitAls.name: ImplicitAls,
    Popular.name: Popular,
}
"""Route class by name: how a bundle finds the class of its arrays."""

_FITS: Final[Mapping[str, Callable[[Interactions, RoutesConfig, int], Route]]] = {
    Ease.name: lambda interactions, config, _: Ease.fit(interactions, config.ease),
    ImplicitAls.name: lambda interactions, config, seed: ImplicitAls.fit(interactions, config.als, seed=seed),
    Popular.name: lambda interactions, _config, _seed: Popular.fit(interactions),
}


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
        routes[name] = _FITS[name](interactions, config, seed)
    return routes
