"""A reason for each item of a list at the price of a few sums, from the arithmetic of one route."""

from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from marquee.candidates.route import LinearRoute, Route
from marquee.data.histories import Histories, Queries
from marquee.data.interactions import UNKNOWN_INDEX
from marquee.explain.impersonal import Basis, basis_of_route
from marquee.explain.reasons import Reason
from marquee.policy.restrictions import UNRESTRICTED, Restrictions
from marquee.recommend import Answer, Recommender


def best_routes(recommender: Recommender, answer: Answer) -> list[str]:
    """For each item of the list the name of the route that ranked it best, of equals the first."""
    names = list(recommender.routes)
    return [names[at] for at in answer.best_route]


def quick_reasons(
    recommender: Recommender,
    query: Queries,
    answer: Answer,
    *,
    restrictions: Restrictions = UNRESTRICTED,
) -> list[Reason]:
    """A reason for each item of an answer, without another score of the model.

    Of the routes whose score is a sum over the history (`LinearRoute`), the one that ranks the item best
    names the watched item that adds most to it, if it has the item among its proposals and anything that
    may be named adds to it. Otherwise the reason is the route that ranks the item best of all: what it
    shows to everybody, or for a personal one the history as a whole.

    This is no `explain`: nothing is left out and scored again, and neither the other routes nor the ranker
    are heard, so that `drop` stays unknown. The named item is what moves one route most; what moves the
    list most may be another (benchmarks/recommend_speed.py counts how often it is the same).

    Args:
        recommender: the model.
        query: the single one that was answered.
        answer: what it got.
        restrictions: what it was limited by. What is hidden from a query is not named either.

    Returns:
        One for each item of the list, in order; padding has none.
    """
    history = recommender.answered(query).histories
    hidden = None if restrictions.is_nothing else recommender.hidden(query.time_us, restrictions)[0]
    watched = _watched(recommender, answer, history, hidden)
    personal = Basis.HISTORY if len(history.item_index) else Basis.EVERYBODY
    bases = [basis_of_route(name) or personal for name in recommender.routes]
    return [
        Reason(bases[at]) if item == UNKNOWN_INDEX else Reason(Basis.WATCHED, (item,))
        for item, at in zip(watched, answer.best_route, strict=True)
    ]


def _watched(
    recommender: Recommender, answer: Answer, history: Histories, hidden: NDArray[np.bool_] | None
) -> list[int]:
    """For each item of the list what the best of the linear routes names; `UNKNOWN_INDEX` for nothing."""
    routes = {at: route for at, route in enumerate(recommender.routes.values()) if _is_linear(route)}
    named = np.full(len(answer.listed), UNKNOWN_INDEX, np.int32)
    if not routes or not len(history.item_index):
        return named.tolist()
    ranks, items = answer.ranks[:, list(routes)], answer.item_index
    is_proposed, best = ranks.min(axis=1) <= recommender.union.depth, ranks.argmin(axis=1)
    for at, route in enumerate(routes.values()):
        (places,) = (is_proposed & (best == at)).nonzero()
        if len(places):
            named[places] = _strongest(route, history, items[places], hidden)
    return named.tolist()


def _is_linear(route: Route) -> TypeGuard[LinearRoute]:
    """Whether it is a `LinearRoute`."""
    return hasattr(route, "summands")


def _strongest(
    route: LinearRoute, history: Histories, items: NDArray[np.int32], hidden: NDArray[np.bool_] | None
) -> NDArray[np.int32]:
    """The watched item that adds most to each, of equals the newest; `UNKNOWN_INDEX` if none adds to it."""
    added = route.summands(history, items)
    if hidden is not None:
        added = np.where(hidden[history.item_index, np.newaxis], 0, added)
    newest_first = added[::-1]
    strongest = history.item_index[::-1][newest_first.argmax(axis=0)]
    return np.where(newest_first.max(axis=0) > 0, strongest, UNKNOWN_INDEX)
