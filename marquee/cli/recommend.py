"""`marquee recommend` and `marquee similar`: lists from a bundle."""

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import polars as pl
from rich.markup import escape

from marquee import schema
from marquee.cli.lists import STARS, list_json, list_table
from marquee.cli.render import ERR, OUT, print_json
from marquee.cli.visible import Visible
from marquee.data.histories import Queries
from marquee.data.warehouse import Warehouse
from marquee.errors import FeatureStoreError, WarehouseError
from marquee.explain.reasons import ExplainConfig, Reason, explain
from marquee.explain.words import Shared, in_words, title_of
from marquee.features.item_matrix import ItemMatrixFolder
from marquee.features.movie_states import MovieStates
from marquee.features.reader import SERVICE
from marquee.features.user_rows import query_after, query_of
from marquee.packing import Model
from marquee.policy.restrictions import strictest
from marquee.recommend import Lists, Recommender
from marquee.run_folder import find_bundle
from marquee.settings import Settings

SHOWN_CONTRIBUTIONS: Final = 5
"""Features that are named for each item on request."""


@dataclass(frozen=True)
class ListRequest:
    """What is asked for."""

    user_id: str | None
    history: tuple[str, ...] | None  # item ids, oldest first; None means: look the user up
    n: int
    maturity_limit: int | None
    exclude: tuple[str, ...]
    explain: bool = False
    contributions: bool = False

    @classmethod
    def of(
        cls,
        user: str | None,
        *,
        history: str | None,
        n: int,
        maturity_limit: int | None,
        exclude: str | None,
        explain: bool = False,
        contributions: bool = False,
    ) -> Self:
        """Read the options as typed."""
        return cls(
            user,
            _ids(history) if history is not None else None,
            n,
            maturity_limit,
            _ids(exclude or ""),
            explain or contributions,
            contributions,
        )


def _ids(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def recommend_and_show(
    request: ListRequest, bundle: Path | None, *, runs: Path | None, now: datetime, as_json: bool
) -> None:
    """Print a list, and on what it rests."""
    settings = Settings.from_environment()
    model = Model.read(find_bundle(runs or settings.runs, bundle))
    recommender = fresh(model, settings)
    row = user_row(model, request.user_id, settings, now=now) if request.user_id else {}
    visible = Visible.of(model, recommender, row.get(schema.USER_MATURITY_LIMIT), request.maturity_limit)
    query, basis = make_query(visible, request, row, now=now)
    restrictions = visible.restrictions(request.exclude)
    lists = recommender.recommend(query, request.n, restrictions=restrictions)
    items, reasons = _with_stars(_named(model, lists), recommender, query, lists), None
    if request.explain:
        config = ExplainConfig(contributions=SHOWN_CONTRIBUTIONS if request.contributions else 0)
        found = explain(recommender, query, lists, restrictions=restrictions, config=config)[0]
        reasons = _reasons(found, lists, _credited(model, settings))
    if as_json:
        print_json(
            {
                "user_id": request.user_id,
                "basis": basis,
                "maturity_limit": visible.limit,
                "bundle_id": model.manifest.bundle_id,
                "items": list_json(items, reasons),
            }
        )
    else:
        suits = "" if visible.limit is None else f", suitable at {visible.limit:g} years"
        OUT.print(list_table(f"For {request.user_id or 'somebody'}, {basis}{suits}", items, reasons))
        _say_if_short(items, request.n)


def similar_and_show(
    item: str,
    n: int,
    *,
    maturity_limit: int | None,
    exclude: str | None,
    bundle: Path | None,
    runs: Path | None,
    as_json: bool,
) -> None:
    """Print the items most like one.

    Raises:
        RequestError: the item is not found, or may not be shown under the limit.
    """
    settings = Settings.from_environment()
    model = Model.read(find_bundle(runs or settings.runs, bundle))
    recommender = fresh(model, settings)
    visible = Visible.of(model, recommender, maturity_limit)
    index = visible.find(item)
    visible.require(index, item)
    restrictions = visible.restrictions(_ids(exclude or ""))
    items = _named(model, recommender.similar(index, n, restrictions=restrictions))
    asked = model.movies.row(index, named=True)
    if as_json:
        print_json({"item": asked, "bundle_id": model.manifest.bundle_id, "items": list_json(items)})
    else:
        OUT.print(list_table(f"Like {title_of(asked)}", items))
        _say_if_short(items, n)


def _say_if_short(items: pl.DataFrame, n: int) -> None:
    if len(items) < n:
        ERR.print(f"[dim]{len(items)} of {n}: no other item may be shown.[/]")


def make_query(
    visible: Visible, request: ListRequest, row: Mapping[str, Any], *, now: datetime
) -> tuple[Queries, str]:
    """The request as the model understands it, and in words what it rests on.

    Raises:
        RequestError: an item of the given history is unknown.
    """
    now_us = int(now.timestamp() * 1e6)
    items = visible.model.recommender.items
    if request.history is not None:
        chosen = items.decode(np.array([visible.find(item) for item in request.history], np.int64))
        query = query_after(chosen, time_us=now_us, items=items)
        return query, f"after the {len(chosen)} given events"
    query = query_of(row, time_us=now_us, items=items)
    if not query.histories.lengths[0]:
        return query, "without history: the list for everybody"
    return query, f"after {query.histories.lengths[0]} events"


def user_row(model: Model, user_id: str, settings: Settings, *, now: datetime) -> Mapping[str, Any]:
    """What the feature store knows of a user; where it is out of reach, why, and the user's limit."""
    from marquee.feature_state import FeatureState  # and with it Feast, which takes seconds to import

    storage = model.manifest.provenance["warehouse"]
    try:
        door = FeatureState.of(storage, settings, environment=os.environ).open()
        for service, meaning in model.manifest.content["features"]["services"].items():
            door.require_service(service, meaning)
        return door.get_user_row(SERVICE, user_id, now=now).values
    except FeatureStoreError as error:
        ERR.print(f"[yellow]no history:[/] {error.problem} {error.remedy}", soft_wrap=True)
        return {schema.USER_MATURITY_LIMIT: _limit_without_store(model, user_id, settings)}


def _limit_without_store(model: Model, user_id: str, settings: Settings) -> float | None:
    """The profile's limit by the warehouse; by the policy, and a word of it, where that is gone, too."""
    try:
        users = _table(schema.USERS, model, settings)
    except WarehouseError:
        limit = model.recommender.policy.limit_without_profile
        if limit is not None:
            ERR.print(
                f"[yellow]no profile:[/] whether {escape(user_id)} has a maturity limit is out of reach, so"
                f" that only items suitable at {limit} years are shown. Leave --user out for the list for"
                " everybody.",
                soft_wrap=True,
            )
        return limit
    return strictest(*users.filter(pl.col(schema.USER_ID) == user_id)[schema.MATURITY_LIMIT])


def _table(name: str, model: Model, settings: Settings) -> pl.DataFrame:
    return Warehouse(settings.warehouse(model.manifest.provenance["warehouse"])).read_table(name)


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


def _credited(model: Model, settings: Settings) -> pl.DataFrame:
    """The bundle's movies, with their people where the warehouse is at hand."""
    people = [schema.DIRECTORS, schema.CAST]
    try:
        known = _table(schema.MOVIES, model, settings)
    except WarehouseError:
        return model.movies
    credited = known.select(schema.ITEM_ID, *people).unique(schema.ITEM_ID, keep="first", maintain_order=True)
    return model.movies.join(credited, on=schema.ITEM_ID, how="left", maintain_order="left")


def _reasons(reasons: list[Reason], lists: Lists, movies: pl.DataFrame) -> list[dict[str, Any]]:
    """Reasons as plain values, in words first."""
    items = lists.item_index[0].tolist()
    return [_plain(reason, item, movies) for reason, item in zip(reasons, items, strict=False)]


def _plain(reason: Reason, item: int, movies: pl.DataFrame) -> dict[str, Any]:
    return {
        "text": in_words(reason, item, movies),
        "basis": str(reason.basis),
        "items": movies[schema.ITEM_ID].gather(list(reason.items)).to_list(),
        "drop": None if math.isnan(reason.drop) else reason.drop,
        "shared": asdict(Shared.of(movies, item, reason.items)),
        **({"contributions": dict(reason.contributions)} if reason.contributions else {}),
    }


def _with_stars(items: pl.DataFrame, recommender: Recommender, query: Queries, lists: Lists) -> pl.DataFrame:
    """The list with the stars that the user would give, where anybody ever gave any."""
    if recommender.ratings is None:
        return items
    shown = lists.item_index[0][: len(items)]
    stars = recommender.stars(recommender.answered(query).histories, np.zeros(len(shown), np.int64), shown)
    return items.with_columns(pl.Series(STARS, stars))


def _named(model: Model, lists: Lists) -> pl.DataFrame:
    shown = lists.item_index[0] >= 0
    rows = lists.item_index[0][shown].astype(np.int64)
    movies: pl.DataFrame = model.movies[rows]
    return movies.with_columns(pl.Series("score", lists.score[0][shown]))
