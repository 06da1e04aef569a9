from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from marquee.candidates.ease import Ease
from marquee.candidates.union import UnionConfig
from marquee.explain.impersonal import Basis
from marquee.explain.quick import best_routes, quick_reasons
from marquee.explain.reasons import Reason
from marquee.policy.restrictions import UNRESTRICTED, Restrictions
from marquee.policy.rules import PolicyConfig
from marquee.recommend import Recommender
from tests.factories import queries

ASKED = queries([(1, 10), (4, 20), (3, 30)])


def with_ease(recommender: Recommender, weights: Mapping[tuple[int, int], float], *others: str, depth=3):
    """EASE of these weights alone, from the watched to the listed, before some of the other routes."""
    n = len(recommender.items)
    matrix = np.zeros((n, n), np.float32)
    for (watched, listed), weight in weights.items():
        matrix[watched, listed] = weight
    ease = Ease(np.arange(n, dtype=np.int32), matrix, n, half_life_events=1.0)
    routes = {"ease": ease, **{name: recommender.routes[name] for name in others}}
    return replace(recommender, routes=routes, union=UnionConfig(depth=depth))


def reasons_of(recommender, asked=ASKED, *, n=3, restrictions=UNRESTRICTED):
    answer = recommender.answer(asked, n, restrictions=restrictions)
    found = quick_reasons(recommender, asked, answer, restrictions=restrictions)
    return dict(zip(answer.lists.item_index[0].tolist(), found, strict=False))


def watched(item: int) -> Reason:
    return Reason(Basis.WATCHED, (item,))


def test_quick_reasons_name_what_adds_most_by_weight_and_recency(recommender):
    # Weights of the events by recency: 1/4, 1/2, 1 of items 1, 4, 3.
    ease = with_ease(recommender, {(1, 50): 3.0, (3, 50): 1.0, (4, 51): 0.8, (1, 51): 1.0, (3, 52): 0.1})

    found = reasons_of(ease)

    # 50: 3/4 < 1. 51: 0.8/2 > 1/4. 52: 0.1 is all there is.
    assert found == {50: watched(3), 51: watched(4), 52: watched(3)}
    assert all(np.isnan(reason.drop) for reason in found.values())


def test_quick_reasons_of_equal_summands_name_the_newest(recommender):
    at_once = queries([(1, 10), (4, 10)])

    assert reasons_of(with_ease(recommender, {(1, 50): 1.0, (4, 50): 1.0}), at_once)[50] == watched(4)


def test_quick_reasons_never_name_what_is_hidden(recommender):
    ease = with_ease(recommender, {(3, 50): 9.0, (4, 50): 1.0, (3, 51): 9.0})
    hidden = Restrictions(excluded=[np.array([3])])

    found = reasons_of(ease, restrictions=hidden)

    assert found[50] == watched(4)
    assert found[51] == Reason(Basis.HISTORY)  # what speaks for it may not be named


def test_quick_reasons_of_summands_that_are_none_are_of_the_best_route(recommender):
    ease = with_ease(recommender, {(3, 50): 9.0, (4, 51): -1.0}, "popular", "trending", depth=4)
    first = int(recommender.route_lists(recommender.routes["popular"], ASKED, 1)[0, 0])

    found = reasons_of(ease, n=12)

    assert found[50] == watched(3)
    assert found[first] == Reason(Basis.POPULAR)
    assert {reason.basis for item, reason in found.items() if item not in {50, 51}} <= {
        Basis.POPULAR,
        Basis.POPULAR_NOW,
        Basis.HISTORY,
    }


def test_quick_reasons_name_nothing_by_a_route_that_does_not_propose_the_item(recommender):
    # The item that all like best owes a little to an event, but is not among the two that EASE proposes.
    first = int(recommender.route_lists(recommender.routes["popular"], ASKED, 1)[0, 0])
    weights = {(3, 50): 9.0, (3, 51): 8.0, (3, first): 0.1}

    shallow, deep = (
        reasons_of(with_ease(recommender, weights, "popular", depth=depth), n=20) for depth in (2, 3)
    )

    assert shallow[first] == Reason(Basis.POPULAR)
    assert deep[first] == watched(3)


@pytest.mark.parametrize("policy", [PolicyConfig(), PolicyConfig(min_events=4)], ids=["none", "too few"])
def test_quick_reasons_without_a_history_are_for_everybody(recommender, policy):
    asked = queries([]) if policy.min_events == 0 else ASKED

    found = reasons_of(replace(recommender, policy=policy), asked, n=10)

    assert len(found) == 10
    assert {reason.basis for reason in found.values()} <= {
        Basis.POPULAR,
        Basis.POPULAR_NOW,
        Basis.EVERYBODY,
    }


def test_quick_reasons_without_a_linear_route_are_of_the_history(recommender):
    als = replace(recommender, routes={"als": recommender.routes["als"]})

    assert set(reasons_of(als, n=5).values()) == {Reason(Basis.HISTORY)}


def test_quick_reasons_of_an_empty_list_are_none(recommender):
    everything = Restrictions(excluded=[np.arange(len(recommender.items))])

    answer = recommender.answer(ASKED, 5, restrictions=everything)

    assert quick_reasons(recommender, ASKED, answer, restrictions=everything) == []
    assert best_routes(recommender, answer) == []


def test_best_routes_are_those_of_the_lowest_rank_and_of_equals_the_first(recommender):
    answer = recommender.answer(ASKED, 20)

    found = best_routes(recommender, answer)

    names = list(recommender.routes)
    for item, route in zip(answer.lists.item_index[0].tolist(), found, strict=True):
        (row,) = np.flatnonzero(answer.candidates.item_index == item)
        ranks = answer.candidates.route_values[row, 2::3].tolist()
        assert route == names[ranks.index(min(ranks))]
    assert len(set(found)) > 1
