"""What speaks for an item whoever asks: the ranker's contributions by group."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from marquee import schema
from marquee.candidates.popular import Popular
from marquee.candidates.recent_popular import RecentPopular
from marquee.candidates.trending import Trending


class Basis(StrEnum):
    """On what a recommendation rests. The first four are of the history, the others for everybody."""

    WATCHED = "watched"
    GENRE = "genre"
    PEOPLE = "people"
    HISTORY = "history"
    POPULAR_NOW = "popular_now"
    POPULAR = "popular"
    ACCLAIMED = "acclaimed"
    MOMENT = "moment"
    MOVIE = "movie"
    EVERYBODY = "everybody"


_NOW: Final = frozenset(
    {
        schema.ITEM_EVENTS_1D,
        schema.ITEM_EVENTS_7D,
        schema.ITEM_EVENTS_30D,
        schema.ITEM_TREND_7D,
        schema.ITEM_TREND_SLOPE_28D,
    }
)
_LIKED: Final = frozenset({schema.ITEM_RATING_MEAN, schema.ITEM_RATING_MEAN_90D})
_OF_ROUTE: Final[Mapping[str, Basis]] = {
    Popular.name: Basis.POPULAR,
    RecentPopular.name: Basis.POPULAR_NOW,
    Trending.name: Basis.POPULAR_NOW,
}
_OF_VIEW: Final[Mapping[str, Basis]] = {
    schema.MOVIE_STATISTICS_VIEW: Basis.POPULAR,
    schema.MOVIE_PUBLICITY_VIEW: Basis.ACCLAIMED,
    schema.MOVIE_PROFILE_VIEW: Basis.MOVIE,
    schema.REQUEST_CONTEXT: Basis.MOMENT,
}


def basis_of(feature: str) -> Basis | None:
    """The group of a ranking feature; None for one that depends on who asks."""
    if feature in _NOW:
        return Basis.POPULAR_NOW
    if feature in _LIKED:
        return Basis.ACCLAIMED
    for route, basis in _OF_ROUTE.items():
        if feature in schema.route_features((route,)):
            return basis
    views = schema.FEATURE_SOURCES.get(feature, ())
    return _OF_VIEW.get(views[0]) if len(views) == 1 else None


def basis_of_route(name: str) -> Basis | None:
    """What a route shows to everybody; None for one of the history."""
    return _OF_ROUTE.get(name)


def strongest_groups(contributions: NDArray[np.float64], names: tuple[str, ...]) -> list[Basis]:
    """For each row the group that adds most to its score, `EVERYBODY` where none adds anything.

    Args:
        contributions: `(n_rows, n_features)`, without the expected score.
        names: `(n_features,)`.
    """
    bases = [basis_of(name) for name in names]
    groups = [basis for basis in Basis if basis in bases]
    if not groups:
        return [Basis.EVERYBODY] * len(contributions)
    member = np.array([[basis == group for group in groups] for basis in bases], np.float64)
    sums = contributions @ member
    return [groups[row.argmax()] if row.max() > 0 else Basis.EVERYBODY for row in sums]
