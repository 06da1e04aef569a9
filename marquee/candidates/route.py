"""What a first-stage route is: fitted once, then asked with histories.

A route holds nothing per user: it scores from the history that comes with the request (fold-in), so
that no user state goes stale and a new user is personal after one click. Adding a route is one new
file, with the route and its knobs, and one line in `marquee.candidates.routes`.
"""

from collections.abc import Mapping
from typing import ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from marquee.candidates.movie_facts import MovieFacts
from marquee.data.histories import Histories
from marquee.data.interactions import Interactions
from marquee.features.movie_states import MovieStates

Arrays = dict[str, NDArray[np.generic]]
"""A route's fitted state by name, as the bundle stores it."""


@runtime_checkable
class Route(Protocol):
    """A fitted first-stage model."""

    name: ClassVar[str]

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """Score all items, `(n_queries, n_items) float32`, higher is better.

        An item that the route knows nothing of scores `-inf`; a query that it knows nothing of scores
        0 for all others, and the union then takes no proposal from it. Items of the history are scored like
        any other: leaving them out is the caller's.
        """
        ...

    def similar(self, item_index: int) -> NDArray[np.float32]:
        """Score all items by likeness to one, `(n_items,) float32`, `-inf` where unknown and for itself."""
        ...

    def arrays(self) -> Arrays:
        """The fitted state; `from_arrays` of it is an equal route."""
        ...

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """Rebuild a route from its fitted state."""
        ...


class StateRoute(Route, Protocol):
    """A route of the movies' state instead of a history: as fresh as the item matrix, however old its fit."""

    def levels(self, states: MovieStates) -> NDArray[np.float32]:
        """Score all items at each moment, `(n_moments, n_items) float32`, as `score` does.

        At a moment at which nothing is known of any movie it is what was fitted.
        """
        ...


class LinearRoute(Route, Protocol):
    """A route whose score of an item is a sum over the events of the history."""

    def summands(self, histories: Histories, item_index: NDArray[np.integer]) -> NDArray[np.float32]:
        """What each event adds to the scores of some items, `(n_events, n_items_asked) float32`."""
        ...


class RouteConfig(BaseModel):
    """Knobs of a route, which know how to fit it. Subclasses implement `route_type` and `fit`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def route_type(cls) -> type[Route]:
        """The class of the route."""
        raise NotImplementedError

    def fit(self, interactions: Interactions, *, seed: int) -> Route:
        """Fit the route on consumed events, one per user and item."""
        raise NotImplementedError

    def fit_with_facts(self, interactions: Interactions, facts: MovieFacts, *, seed: int) -> Route:
        """Fit the route, knowing the movies; one that learns from events alone ignores the facts."""
        return self.fit(interactions, seed=seed)
