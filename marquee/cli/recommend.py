"""`marquee recommend` and `marquee similar`: lists from a bundle."""

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marquee import schema
from marquee.cli.lists import list_json, list_table
from marquee.cli.render import ERR, OUT, print_json
from marquee.config import Settings
from marquee.data.histories import Queries
from marquee.data.interactions import UNKNOWN_INDEX
from marquee.errors import FeatureStoreError, RequestError
from marquee.features.item_matrix import ItemMatrixFolder
from marquee.features.movie_states import MovieStates
from marquee.features.reader import SERVICE
from marquee.features.user_rows import query_after, query_of
from marquee.packing import Model
from marquee.recommend import Lists, Recommender, Restrictions
from marquee.run_folder import find_bundle


@dataclass(frozen=True)
class ListRequest:
    """What is asked for."""

    user_id: str | None
    history: tuple[str, ...] | None  # item ids, oldest first; None means: look the user up
    n: int
    maturity_limit: int | None
    exclude: tuple[str, ...]

    @classmethod
    def of(
        cls, user: str | None, *, history: str | None, n: int, maturity_limit: int | None, exclude: str | None
    ) -> Self:
        """Read the options as typed."""
        return cls(
            user, _ids(history) if history is not None else None, n, maturity_limit, _ids(exclude or "")
        )


def _ids(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def recommend_and_show(
    request: ListRequest, bundle: Path | None, *, runs: Path | None, now: datetime, as_json: bool
) -> None:
    """Print a list, and on what it rests."""
    settings = Settings.from_environment()
    model = Model.read(find_bundle(runs or settings.runs, bundle))
    query, basis = make_query(model, request, settings, now=now)
    recommender = fresh(model, settings)
    lists = recommender.recommend(query, request.n, restrictions=_restrictions(model, request))
    items = _named(model, lists)
    if as_json:
        print_json(
            {
                "user_id": request.user_id,
                "basis": basis,
                "bundle_id": model.manifest.bundle_id,
                "items": list_json(items),
            }
        )
    else:
        OUT.print(list_table(f"For {request.user_id or 'somebody'}, {basis}", items))
        if len(items) < request.n:
            ERR.print(f"[dim]{len(items)} of {request.n}: no other item may be shown.[/]")


def similar_and_show(item: str, n: int, *, bundle: Path | None, runs: Path | None, as_json: bool) -> None:
    """Print the items most like one."""
    settings = Settings.from_environment()
    model = Model.read(find_bundle(runs or settings.runs, bundle))
    index = find_item(model, item)
    items = _named(model, model.recommender.similar(index, n))
    asked = model.movies.row(index, named=True)
    if as_json:
        print_json({"item": asked, "bundle_id": model.manifest.bundle_id, "items": list_json(items)})
    else:
        OUT.print(list_table(f"Like {asked[schema.TITLE] or asked[schema.ITEM_ID]}", items))


def make_query(
    model: Model, request: ListRequest, settings: Settings, *, now: datetime
) -> tuple[Queries, str]:
    """The request as the model understands it, and in words what it rests on.

    Raises:
        RequestError: an item of the given history or exclusion is unknown.
    """
    now_us = int(now.timestamp() * 1e6)
    items = model.recommender.items
    if request.history is not None:
        chosen = items.decode(np.array([find_item(model, item) for item in request.history], np.int64))
        query = query_after(chosen, time_us=now_us, items=items)
        return query, f"after the {len(chosen)} given events"
    row = _user_row(model, request.user_id, settings, now=now) if request.user_id else {}
    query = query_of(row, time_us=now_us, items=items)
    if not query.histories.lengths[0]:
        return query, "without history: the list for everybody"
    return query, f"after {query.histories.lengths[0]} events"


def _user_row(model: Model, user_id: str, settings: Settings, *, now: datetime) -> dict[str, Any]:
    """What the feature store knows of a user; nothing, and a word of why, where it is out of reach."""
    from marquee.feature_state import FeatureState  # and with it Feast, which takes seconds to import

    storage = model.manifest.provenance["warehouse"]
    try:
        door = FeatureState.of(storage, settings, environment=os.environ).open()
        for service, meaning in model.manifest.content["features"]["services"].items():
            door.require_service(service, meaning)
        return door.get_user_row(SERVICE, user_id, now=now).values
    except FeatureStoreError as error:
        ERR.print(f"[yellow]no history:[/] {error.problem} {error.remedy}", soft_wrap=True)
        return {}


def fresh(model: Model, settings: Settings) -> Recommender:
    """The recommender with the movies' state of the item matrix where that is newer than the bundle's.

    Raises:
        FeatureStoreError: the item matrix is torn, or of another release.
    """
    recommender = model.recommender
    folder = ItemMatrixFolder(settings.item_matrix(model.manifest.provenance["warehouse"]))
    if folder.current_version() is None:
        return recommender
    held = folder.load_current()
    if held.as_of_us <= recommender.catalogue.states.moments_us[-1]:
        return recommender
    return recommender.with_states(MovieStates.of_matrix(held, recommender.items))


def find_item(model: Model, text: str) -> int:
    """An item's index by its id, its title with or without "(year)", or the beginning of a unique title.

    Raises:
        RequestError: none fits, or several do.
    """
    if (index := model.recommender.items.index_of(text)) != UNKNOWN_INDEX:
        return index
    titles = model.movies[schema.TITLE].str.to_lowercase()
    shown = titles + " (" + model.movies[schema.YEAR].cast(pl.String) + ")"
    wanted = text.lower()
    for matches in (shown == wanted, titles == wanted, titles.str.starts_with(wanted)):
        found = model.movies.with_row_index("row").filter(matches.fill_null(value=False))
        if len(found) == 1:
            return int(found["row"][0])
        if len(found) > 1:
            known = ", ".join(
                f"{row[schema.ITEM_ID]} {row[schema.TITLE]} ({row[schema.YEAR]})"
                for row in found.head(5).iter_rows(named=True)
            )
            raise RequestError(f"{text!r} fits {len(found)} items: {known}.", remedy="Give the id of one.")
    raise RequestError(
        f"no item has the id or title {text!r}.",
        remedy="Give an id or the beginning of a title as the lists show it.",
    )


def _restrictions(model: Model, request: ListRequest) -> Restrictions:
    limits: NDArray[np.float32] | None = None
    if request.maturity_limit is not None:
        limits = np.array([request.maturity_limit], np.float32)
    excluded = [np.array([find_item(model, item) for item in request.exclude], np.int64)]
    return Restrictions(limits, excluded)


def _named(model: Model, lists: Lists) -> pl.DataFrame:
    shown = lists.item_index[0] >= 0
    rows = lists.item_index[0][shown].astype(np.int64)
    movies: pl.DataFrame = model.movies[rows]
    return movies.with_columns(pl.Series("score", lists.score[0][shown]))
