"""The ranker's input: state and arithmetic side by side, in the order that the schema names."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, field_validator

from marquee import schema
from marquee.data.histories import Queries
from marquee.features.cross import Catalogue, cross_features
from marquee.features.request import query_features

_FIRST_MOVIE_FEATURE: Final = schema.MOVIE_STATE.index(schema.MOVIE_FEATURES[0])
"""The ranker reads the movies' state from here on, and all of it."""

_VIEWS: Final = (*schema.FEATURE_VIEWS, schema.REQUEST_CONTEXT)


class FeaturesConfig(BaseModel):
    """What of the feature store the ranker reads."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    views_off: tuple[str, ...] = ()
    """Feature views to do without: every feature that reads one of them is left out."""

    @field_validator("views_off")
    @classmethod
    def _are_views(cls, views: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [view for view in views if view not in _VIEWS]:
            raise ValueError(f"{unknown[0]!r} is none of {', '.join(_VIEWS)}")
        return views


def assemble(
    queries: Queries,
    *,
    row: NDArray[np.integer],
    item_index: NDArray[np.int32],
    route_values: NDArray[np.float32],
    predicted_rating: NDArray[np.float32],
    catalogue: Catalogue,
) -> NDArray[np.float32]:
    """Build the feature matrix of (query, candidate) pairs.

    Training, offline evaluation and serving call this function and no other.

    Args:
        queries: who asks.
        row: `(n_pairs,)` the query of each pair.
        item_index: `(n_pairs,) int32` the candidate of each pair.
        route_values: `(n_pairs, n_route_features) float32` in the order of `schema.route_features`.
        predicted_rating: `(n_pairs,) float32` stars, NaN where there is no prediction.
        catalogue: movies, and their state at the moments of the queries.

    Returns:
        `(n_pairs, n_features) float32` in the order of `schema.ranking_features`; NaN is unknown.
    """
    states = catalogue.states
    begin = states.begin_of(queries.time_us)
    parts = [
        route_values,
        states.rows.take(begin.take(row) + item_index, axis=0)[:, _FIRST_MOVIE_FEATURE:],
        query_features(queries, catalogue.calendar).take(row, axis=0),
        cross_features(queries, row, item_index, begin, catalogue),
        predicted_rating[:, np.newaxis],
    ]
    return np.concatenate(parts, axis=1)
