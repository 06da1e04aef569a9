import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from marquee import schema
from marquee.candidates.movie_facts import MovieFacts
from marquee.candidates.routes import ROUTE_TYPES, RoutesConfig, fit_routes
from tests.factories import checkerboard


def test_fit_routes_keeps_the_order_asked_for():
    heard: list[str] = []

    routes = fit_routes(
        checkerboard(), RoutesConfig(enabled=("popular", "ease")), seed=0, on_progress=heard.append
    )

    assert list(routes) == heard == ["popular", "ease"]


def test_fit_routes_every_registered_route_can_be_fitted():
    names = tuple(sorted(ROUTE_TYPES))

    routes = fit_routes(checkerboard(), RoutesConfig(enabled=names), seed=0)

    assert {name: type(route) for name, route in routes.items()} == dict(ROUTE_TYPES)
    assert {name: route.name for name, route in routes.items()} == {name: name for name in names}


def test_fit_routes_facts_reach_the_route_that_learns_from_them():
    board = checkerboard(4, spare_items=1)
    genres = [["War"], ["Drama"], ["War"], ["Drama"], ["War"]]
    facts = MovieFacts.of(pl.DataFrame({schema.MOVIE_GENRES: genres}))
    config = RoutesConfig(enabled=("content", "popular"))

    told = fit_routes(board, config, seed=0, facts=facts)["content"]
    untold = fit_routes(board, config, seed=0)["content"]

    assert np.isfinite(told.similar(0)[4])  # of the spare item nothing else is known
    assert np.isneginf(untold.similar(0)).all()


@pytest.mark.parametrize("enabled", [(), ("ease", "nonsense"), ("ease", "ease")])
def test_config_routes_that_cannot_be_are_refused(enabled):
    with pytest.raises(ValidationError):
        RoutesConfig(enabled=enabled)
