"""Recommender ⇄ bundle: which part of the model lies under which name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import ValidationError

from marquee import schema
from marquee.bundle import Bundle, Manifest, Parts
from marquee.candidates.routes import ROUTE_TYPES
from marquee.candidates.similar_index import read_similar_index
from marquee.candidates.union import UnionConfig
from marquee.data.interactions import Vocabulary
from marquee.data.sparse_rows import csr_of
from marquee.errors import BundleError
from marquee.features.assemble import FeaturesConfig
from marquee.features.context import Calendar
from marquee.features.cross import Catalogue
from marquee.features.movie_states import MovieStates
from marquee.features.profiles import MovieProfiles
from marquee.policy.rules import PolicyConfig
from marquee.ranking.rankers import read_ranker
from marquee.ranking.ratings import RatingModel
from marquee.recommend import Recommender

DISPLAY_COLUMNS: Final = (schema.ITEM_ID, schema.TITLE, schema.YEAR, schema.GENRES)
"""What is shown of a movie beside its id."""


@dataclass(frozen=True, eq=False)
class Model:
    """A recommender as it was read from a bundle, with what is shown of its movies."""

    manifest: Manifest
    recommender: Recommender
    movies: pl.DataFrame  # one row per item index, DISPLAY_COLUMNS

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read, verify and unpack a bundle.

        Raises:
            BundleError: as `Bundle.read`, and for a bundle that lacks a part.
        """
        bundle = Bundle.read(path)
        try:
            return cls(bundle.manifest, unpack(bundle), bundle.parts.tables["movies"])
        except (KeyError, ValidationError) as error:
            raise BundleError(
                f"{path} lacks or misnames a part of the model: {error}.", remedy="Train again."
            ) from error


def pack(recommender: Recommender, movies: pl.DataFrame | None) -> Parts:
    """Lay a recommender out as the files of a bundle.

    Raises:
        ValueError: the recommender has no ranker.
    """
    ranker = recommender.ranker
    if ranker is None:
        raise ValueError("a bundle holds both stages, and this recommender has no ranker")
    parts = pack_first_stage(recommender, movies)
    parts.texts[f"ranker/{ranker.name}"] = ranker.to_text()
    return parts


def pack_first_stage(recommender: Recommender, movies: pl.DataFrame | None) -> Parts:
    """Lay a recommender out without its ranker."""
    catalogue = recommender.catalogue
    parts = Parts(
        tables={
            "movies": displayed(recommender.items, movies),
        }
    )
    if recommender.similar_index is not None:
        index = recommender.similar_index.arrays()
        parts.arrays.update({f"similar/{kind}": array for kind, array in index.items()})
    if recommender.ratings is not None:
        parts.arrays.update({f"ratings/{key}": array for key, array in recommender.ratings.arrays().items()})
    for name, route in recommender.routes.items():
        parts.arrays.update({f"routes/{name}/{key}": array for key, array in route.arrays().items()})
    parts.arrays.update(
        {
            "features/movies/year": catalogue.movies.year,
            "features/states/matrix": catalogue.states.matrix,
            "features/states/moments_us": catalogue.states.moments_us,
            "features/calendar/first_day": np.array(catalogue.calendar.first_day, np.int64),
            "features/calendar/named": catalogue.calendar.named,
            **_sparse_arrays("features/movies/genres", catalogue.movies.genres),
            **_sparse_arrays("features/movies/people", catalogue.movies.people),
        }
    )
    return parts


def describe(recommender: Recommender, config: Mapping[str, Any]) -> dict[str, Any]:
    """What `unpack` has to find in the manifest beside the files."""
    return {
        "config": dict(config),
        "routes": list(recommender.routes),
        "movie_state_order": list(schema.MOVIE_STATE),
        "feature_order": list(recommender.feature_names),
    }


def unpack(bundle: Bundle) -> Recommender:
    """Rebuild the recommender that `pack` laid out.

    Raises:
        BundleError: a ranker is missing or unknown, or the columns are those of another release.
    """
    return unpack_first_stage(bundle).with_ranker(read_ranker(bundle.parts.texts_under("ranker")))


def unpack_first_stage(bundle: Bundle) -> Recommender:
    """Rebuild the recommender that `pack_first_stage` laid out, which has no ranker.

    Raises:
        BundleError: the columns are those of another release.
    """
    parts, content = bundle.parts, bundle.manifest.content
    config = content["config"]
    ratings = parts.under("ratings")
    routes = {
        name: ROUTE_TYPES[name].from_arrays(parts.under(f"routes/{name}")) for name in content["routes"]
    }
    recommender = Recommender(
        items=Vocabulary(parts.tables["movies"][schema.ITEM_ID]),
        routes=routes,
        catalogue=_catalogue(parts),
        union=UnionConfig.model_validate(config["union"]),
        views_off=FeaturesConfig.model_validate(config["features"]).views_off,
        ratings=RatingModel.from_arrays(ratings) if ratings else None,
        policy=PolicyConfig.model_validate(config.get("policy", {})),
        similar_index=read_similar_index(routes, parts.under("similar")),
    )
    _check_order("movie state", content["movie_state_order"], schema.MOVIE_STATE)
    _check_order("features", content["feature_order"], recommender.feature_names)
    return recommender


def _catalogue(parts: Parts) -> Catalogue:
    states, movies, calendar = (
        parts.under(f"features/{folder}") for folder in ("states", "movies", "calendar")
    )
    return Catalogue(
        movies=MovieProfiles(
            year=_float32(movies["year"]),
            genres=_sparse("genres", movies),
            people=_sparse("people", movies),
        ),
        states=MovieStates(np.asarray(states["moments_us"], np.int64), _float32(states["matrix"])),
        calendar=Calendar(int(calendar["first_day"]), _float32(calendar["named"])),
    )


def _check_order(what: str, trained: Sequence[str], assembled: Sequence[str]) -> None:
    """Refuse a model that was trained on other columns than this program assembles."""
    if list(trained) != list(assembled):
        first = next((pair for pair in zip(trained, assembled, strict=False) if pair[0] != pair[1]), None)
        detail = f"{first[0]!r} where this program has {first[1]!r}" if first else f"another number of {what}"
        raise BundleError(f"the bundle was trained with {detail}.", remedy="Train again with this release.")


def displayed(items: Vocabulary, movies: pl.DataFrame | None) -> pl.DataFrame:
    """What is shown of each item, one row per item index; null where the movies table lacks it."""
    columns = {name: schema.MOVIES_SCHEMA[name] for name in DISPLAY_COLUMNS}
    if movies is None:
        movies = pl.DataFrame(schema=columns)
    known = movies.select(DISPLAY_COLUMNS).unique(schema.ITEM_ID, keep="first", maintain_order=True)
    return items.ids.to_frame(schema.ITEM_ID).join(
        known, on=schema.ITEM_ID, how="left", maintain_order="left"
    )


def _sparse_arrays(name: str, matrix: sp.csr_array) -> dict[str, NDArray[np.generic]]:
    return {
        f"{name}_data": matrix.data,
        f"{name}_indices": matrix.indices,
        f"{name}_indptr": matrix.indptr,
        f"{name}_shape": np.array(matrix.shape, np.int64),
    }


def _sparse(name: str, arrays: Mapping[str, NDArray[np.generic]]) -> sp.csr_array:
    data, indices, indptr = (arrays[f"{name}_{part}"] for part in ("data", "indices", "indptr"))
    rows, columns = (int(size) for size in arrays[f"{name}_shape"])
    return csr_of(_float32(data), indices, indptr, (rows, columns))


def _float32(array: NDArray[np.generic]) -> NDArray[np.float32]:
    return np.asarray(array, np.float32)
