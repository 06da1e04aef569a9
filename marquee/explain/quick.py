"""A reason for each item of a list at the price of a few sums, from the arithmetic of one route."""

from collections.abc import Iterator
from typing import Final, TypeGuard

import numpy as np
from numpy.typing import NDArray

from marquee.candidates.route import LinearRoute, Route
from marquee.data.histories import Histories, Queries
from marquee.explain.impersonal import Basis, basis_of_route
from marquee.explain.reasons import Reason
from marquee.policy.restrictions import UNRESTRICTED, Restrictions
from marquee.recommend import Answer, Recommender

_RANKS: Final = slice(2, None, 3)
"""Where `Candidates.route_values` has the routes' ranks."""


def best_routes(recommender: Recommender, answer: Answer) -> list[str]:
    """For each item of the list the name of the route that ranked it best, of equals the first."""
    names = list(recommender.routes)
    return [names[at] for at in _ranks(answer).argmin(axis=1).tolist()]


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
    ranks = _ranks(answer)
    history = recommender.answered(query).histories
    may_be_named = ~recommender.hidden(query.time_us, restrictions)[0][history.item_index]
    watched = _watched(recommender, answer, ranks, history, may_be_named) if may_be_named.any() else {}
    personal = Basis.HISTORY if len(history.item_index) else Basis.EVERYBODY
    bases = [basis_of_route(name) or personal for name in recommender.routes]
    return [
        Reason(Basis.WATCHED, (watched[place],)) if place in watched else Reason(bases[at])
        for place, at in enumerate(ranks.argmin(axis=1).tolist())
    ]


def _watched(
    recommender: Recommender,
    answer: Answer,
    ranks: NDArray[np.float32],
    history: Histories,
    may_be_named: NDArray[np.bool_],
) -> dict[int, int]:
    """By place in the list, the watched item that the best of the linear routes names."""
    routes = {at: route for at, route in enumerate(recommender.routes.values()) if _is_linear(route)}
    if not routes:
        return {}
    items, ranks = _listed(answer), ranks[:, list(routes)]
    best = np.where(ranks.min(axis=1) <= recommender.union.depth, ranks.argmin(axis=1), -1)
    found: dict[int, int] = {}
    for at, route in enumerate(routes.values()):
        places = np.flatnonzero(best == at)
        for place, item in _strongest(route, history, items[places], may_be_named):
            found[int(places[place])] = item
    return found


def _listed(answer: Answer) -> NDArray[np.int32]:
    item = answer.lists.item_index[0]
    return np.asarray(item[item >= 0], np.int32)


def _ranks(answer: Answer) -> NDArray[np.float32]:
    """Rank of each listed item by each route, `(n_listed, n_routes)`."""
    candidates = answer.candidates
    rows = np.searchsorted(candidates.item_index, _listed(answer))  # those of one query ascend
    return candidates.route_values[rows, _RANKS]


def _is_linear(route: Route) -> TypeGuard[LinearRoute]:
    """Whether it is a `LinearRoute`."""
    return hasattr(route, "summands")


def _strongest(
    route: LinearRoute, history: Histories, items: NDArray[np.int32], may_be_named: NDArray[np.bool_]
) -> Iterator[tuple[int, int]]:
    """Place of each item to which an event adds anything, and the item of the one that adds most."""
    if not len(items):
        return
    added = np.where(may_be_named[:, np.newaxis], route.summands(history, items), -np.inf)
    best = len(added) - 1 - added[::-1].argmax(axis=0)  # of equals the newest
    for place, event in enumerate(best.tolist()):
        if added[event, place] > 0:
            yield place, int(history.item_index[event])
