"""No surface shows a profile what it may not see, whatever the models inside."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marquee import schema
from marquee.candidates.trending import Trending, TrendingConfig
from marquee.data.interactions import UNKNOWN_INDEX
from marquee.explain.reasons import explain
from marquee.policy.diversity import DiversityConfig
from marquee.policy.restrictions import Restrictions
from marquee.policy.rules import PolicyConfig
from marquee.recommend import Recommender
from tests.factories import DAY_S, World, queries

N_ITEMS = World().n_items
NOW_S = 101 * DAY_S
AGES = st.one_of(st.none(), st.integers(0, 21))
few_examples = settings(max_examples=15)

item_sets = st.lists(st.integers(0, N_ITEMS - 1), unique=True, max_size=8)
ratings = st.lists(AGES, min_size=N_ITEMS, max_size=N_ITEMS)
limits = st.one_of(st.none(), st.integers(0, 21))
profiles = st.lists(st.tuples(item_sets, limits, item_sets), min_size=1, max_size=3)
"""History, limit and exclusions of each of some queries."""


def asked(*histories):
    """Queries after the given items, one a minute up to a minute before the request."""
    rows = [[(item, NOW_S - 60 * (len(items) - at)) for at, item in enumerate(items)] for items in histories]
    return queries(*rows, time_s=NOW_S)


def rated(recommender, min_ages):
    """The same model where movies suit other ages, None for unknown."""
    states = recommender.catalogue.states
    matrix = states.matrix.copy()
    known = [np.nan if age is None else age for age in min_ages]
    matrix[:, :, schema.MOVIE_STATE.index(schema.MOVIE_MIN_AGE)] = known
    return recommender.with_states(replace(states, matrix=matrix))


def restrictions_of(profiles):
    return Restrictions(
        np.array([np.nan if limit is None else limit for _, limit, _ in profiles], np.float32),
        [np.array(excluded, np.int64) for _, _, excluded in profiles],
    )


def ruled(recommender: Recommender, **rules) -> Recommender:
    return replace(recommender, policy=PolicyConfig(**rules))


def route_surface(name):
    def surface(model, query, restrictions):
        trending = Trending(np.arange(N_ITEMS, dtype=np.float32), TrendingConfig())
        route = trending if name == "trending" else model.routes[name]
        return model.route_lists(route, query, N_ITEMS, restrictions=restrictions)

    return surface


def list_surface(**rules):
    def surface(model, query, restrictions):
        return ruled(model, **rules).recommend(query, N_ITEMS, restrictions=restrictions).item_index

    return surface


SURFACES = {
    "recommend": list_surface(),
    "too short a history": list_surface(min_events=100),
    "diverse": list_surface(diversity=DiversityConfig(relevance=0.5)),
    "popular": route_surface("popular"),
    "trending": route_surface("trending"),
    "first route": route_surface("ease"),
}


def require_suitable(found, *, min_ages, limit, excluded):
    """Assert that a profile may hear of all of these items."""
    shown = [item for item in found if item != UNKNOWN_INDEX]
    assert not set(shown) & set(excluded)
    if limit is not None:
        assert all(min_ages[item] is not None and min_ages[item] <= limit for item in shown)


@pytest.mark.parametrize("surface", SURFACES)
@given(profiles, ratings)
@few_examples
def test_list_of_no_surface_leaks_past_limit_exclusion_or_history(recommender, surface, profiles, min_ages):
    model = rated(recommender, min_ages)

    lists = SURFACES[surface](model, asked(*(seen for seen, _, _ in profiles)), restrictions_of(profiles))

    for found, (seen, limit, excluded) in zip(lists.tolist(), profiles, strict=True):
        require_suitable(found, min_ages=min_ages, limit=limit, excluded=excluded)
        assert not set(found) & set(seen)


@pytest.mark.parametrize("route", ["ease", "sequential", "als", "popular"])
@given(st.integers(0, N_ITEMS - 1), limits, item_sets, ratings)
@few_examples
def test_similar_items_leak_past_neither_limit_nor_exclusion(
    recommender, route, item, limit, excluded, min_ages
):
    model = rated(recommender, min_ages)

    lists = model.similar(item, N_ITEMS, route=route, restrictions=restrictions_of([([], limit, excluded)]))

    found = lists.item_index[0].tolist()
    require_suitable(found, min_ages=min_ages, limit=limit, excluded=excluded)
    assert item not in found
    assert np.array_equal(np.isnan(lists.score[0]), lists.item_index[0] == UNKNOWN_INDEX)


@given(profiles, ratings)
@few_examples
def test_reasons_name_nothing_past_limit_or_exclusion_and_nothing_but_the_history(
    recommender, profiles, min_ages
):
    model, restrictions = rated(recommender, min_ages), restrictions_of(profiles)
    query = asked(*(seen for seen, _, _ in profiles))

    lists = model.recommend(query, 4, restrictions=restrictions)
    found = explain(model, query, lists, restrictions=restrictions)

    for reasons, (seen, limit, excluded) in zip(found, profiles, strict=True):
        named = [item for reason in reasons for item in reason.items]
        require_suitable(named, min_ages=min_ages, limit=limit, excluded=excluded)
        assert set(named) <= set(seen)


def test_no_list_is_lost_to_the_rules_where_nothing_is_forbidden(recommender):
    for surface in SURFACES.values():
        assert (surface(recommender, asked([0, 3]), Restrictions())[0] != UNKNOWN_INDEX).sum() >= 40


@given(item_sets, st.integers(1, 40))
@few_examples
def test_diverse_list_of_fewer_is_the_beginning_of_the_list_of_more(recommender, seen, n):
    model = ruled(recommender, diversity=DiversityConfig(relevance=0.6, pool=20))

    short, long = model.recommend(asked(seen), n), model.recommend(asked(seen), 60)

    np.testing.assert_array_equal(short.item_index, long.item_index[:, :n])
    np.testing.assert_array_equal(short.score, long.score[:, :n])


@given(item_sets)
@few_examples
def test_diverse_list_of_all_has_the_same_items_with_their_scores(recommender, seen):
    plain = recommender.recommend(asked(seen), N_ITEMS)
    diverse = ruled(recommender, diversity=DiversityConfig(relevance=0.4)).recommend(asked(seen), N_ITEMS)

    expected = dict(zip(plain.item_index[0].tolist(), plain.score[0].tolist(), strict=True))
    found = dict(zip(diverse.item_index[0].tolist(), diverse.score[0].tolist(), strict=True))
    assert {item: score for item, score in found.items() if item >= 0} == {
        item: score for item, score in expected.items() if item >= 0
    }


def test_diverse_list_has_more_genres_at_its_top(recommender):
    after_action = asked([0, 3, 6, 9])

    plain = recommender.recommend(after_action, 6).item_index[0]
    diverse = (
        ruled(recommender, diversity=DiversityConfig(relevance=0.2)).recommend(after_action, 6).item_index[0]
    )

    assert len(set((diverse % 3).tolist())) == 3  # an item's genre is its number modulo 3
    assert diverse[0] == plain[0]


@given(item_sets, st.integers(0, 9))
@few_examples
def test_list_of_a_history_shorter_than_the_minimum_is_that_of_nobody(recommender, seen, minimum):
    model = ruled(recommender, min_events=minimum)
    query = asked(seen)

    found = model.recommend(query, 12)

    if len(seen) < minimum:
        unseen = Restrictions(excluded=[np.array(seen, np.int64)])
        expected = recommender.recommend(asked([]), 12, restrictions=unseen)
    else:
        expected = recommender.recommend(query, 12)
    np.testing.assert_array_equal(found.item_index, expected.item_index)
    np.testing.assert_array_equal(found.score, expected.score)
