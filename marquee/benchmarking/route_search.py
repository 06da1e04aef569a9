"""Knobs of the routes, chosen on a hold-out of the training part: one knob at a time, a few values each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from marquee.benchmarking.holdouts import Holdout, Order
from marquee.benchmarking.stage import SplitStage
from marquee.candidates.route import RouteConfig
from marquee.candidates.routes import ROUTE_TYPES, RoutesConfig
from marquee.data.histories import LabelledQueries
from marquee.data.interactions import Interactions
from marquee.evaluation import ranking_metrics
from marquee.evaluation.relevance import judge

TIMED_ROUTES: Final = frozenset({"sequential", "nearby", "trending", "recent_popular"})
"""Routes that read the order of events: without one they are noise."""

FACTUAL_ROUTES: Final = frozenset({"content"})
"""Routes that read what is printed about movies."""

Grid = Sequence[tuple[str, Sequence[Any]]]

_STARTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "ease": {"regularization": 400.0},
    "als": {"factors": 64, "regularization": 20.0, "confidence": 1.5, "iterations": 15},
}
# The kernel keeps its weak ridge: alone it would do better with a stronger one, but then says what the
# others say, and the blend is worse.
_GRIDS: Final[Mapping[str, Grid]] = {
    "ease": (
        ("regularization", (100.0, 200.0, 400.0, 700.0, 1200.0)),
        ("value_weight", (0.0, 0.15, 0.3)),
    ),
    "als": (
        ("regularization", (5.0, 10.0, 15.0, 20.0, 27.0, 40.0)),
        ("confidence", (0.4, 0.7, 1.0, 1.5, 3.0, 6.0)),
        ("factors", (32, 64, 128)),
        ("value_weight", (0.0, 0.15, 0.3)),
    ),
}
_HALF_LIVES: Final = (None, 30.0, 10.0, 3.0)


def usable_routes(order: Order, *, has_facts: bool) -> tuple[str, ...]:
    """Every route that there is, without those that need an order or facts of movies where there are none."""
    silent = (frozenset() if order == "time" else TIMED_ROUTES) | (
        frozenset() if has_facts else FACTUAL_ROUTES
    )
    return tuple(name for name in ROUTE_TYPES if name not in silent)


def start_routes(names: Sequence[str], order: Order) -> RoutesConfig:
    """Where the search begins; without an order every event of a history counts alike."""
    routes = RoutesConfig(enabled=tuple(names))
    for name in names:
        changes = dict(_STARTS.get(name, {}))
        knobs = routes.knobs_of(name)
        if order == "random" and name not in TIMED_ROUTES and "half_life_events" in type(knobs).model_fields:
            changes["half_life_events"] = None
        routes = _with(routes, name, knobs.model_copy(update=changes))
    return routes


@dataclass(frozen=True, eq=False)
class Exam:
    """A hold-out, and questions about its hidden events."""

    holdout: Holdout
    asked: LabelledQueries

    def ndcg(self, stage: SplitStage, name: str, k: int) -> float:
        """Mean NDCG@k of one route with the stage's knobs, fitted on what is known."""
        known = self.holdout.known
        alone = stage.with_routes(stage.routes.model_copy(update={"enabled": (name,)}))
        route = alone.fit_routes(known)[name]
        lists = stage.unfitted(known.items).route_lists(route, self.asked.queries, k)
        return ndcg_of(lists, self.asked, k)


def search_routes(exams: Sequence[Exam], stage: SplitStage, *, order: Order, k: int) -> SplitStage:
    """The stage with the knobs whose route brings most of the hidden events to the top, by NDCG@k.

    Args:
        exams: one or more; a knob is judged by its mean, of which chance is the smaller part.
        stage: where the search begins.
        order: whether memory of the latest events is searched, too.
        k: the cut.
    """
    known = exams[0].holdout.known
    with threadpool_limits(1, "blas"):
        for name in stage.routes.enabled:
            for knob, values in _grid(stage.routes.knobs_of(name), name, known=known, order=order):
                tried = [_changed(stage, name, {knob: value}) for value in values]
                scores = [np.mean([exam.ndcg(each, name, k) for exam in exams]) for each in tried]
                stage = tried[int(np.argmax(scores))]
    return stage


def ndcg_of(lists: NDArray[np.int32], asked: LabelledQueries, k: int) -> float:
    """Mean NDCG@k of lists."""
    return float(ranking_metrics.ndcg(judge(lists, asked.targets), k).mean())


def _grid(knobs: RouteConfig, name: str, *, known: Interactions, order: Order) -> Grid:
    has_values = np.isfinite(known.value).any() and np.nanstd(known.value) > 0
    fields = type(knobs).model_fields
    grid = [
        (knob, values)
        for knob, values in _GRIDS.get(name, ())
        if knob in fields and (has_values or knob != "value_weight")
    ]
    if order == "time" and "half_life_events" in fields and name in _GRIDS:
        grid.append(("half_life_events", _HALF_LIVES))
    return grid


def _changed(stage: SplitStage, name: str, changes: Mapping[str, Any]) -> SplitStage:
    knobs = stage.routes.knobs_of(name).model_copy(update=dict(changes))
    return stage.with_routes(_with(stage.routes, name, knobs))


def _with(routes: RoutesConfig, name: str, knobs: RouteConfig) -> RoutesConfig:
    return routes.model_copy(update={name: knobs})
