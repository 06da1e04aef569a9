"""Similar items through an index: the same promises as item by item, approximately the same lists."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marquee import schema
from marquee.candidates.similar_index import SimilarConfig, index_similar
from marquee.data.interactions import UNKNOWN_INDEX
from marquee.policy.restrictions import Restrictions
from tests.factories import World

N_ITEMS = World().n_items
N = 8


@pytest.fixture(scope="module", params=["hnsw", "lsh"])
def indexed(request, result):
    config = SimilarConfig(index=request.param, index_from_items=N_ITEMS)
    served = result.recommender
    return replace(served, similar_index=index_similar(served.routes, config, seed=1))


@given(
    st.integers(0, N_ITEMS - 1),
    st.integers(1, N_ITEMS),
    st.one_of(st.none(), st.integers(0, 21)),
    st.lists(st.integers(0, N_ITEMS - 1), unique=True),
)
@settings(max_examples=60)
def test_similar_by_index_leaks_past_neither_limit_nor_exclusion(indexed, item, n, limit, excluded):
    restrictions = Restrictions(
        np.array([np.nan if limit is None else limit], np.float32), [np.array(excluded, np.int64)]
    )

    lists = indexed.similar(item, n, restrictions=restrictions)
    exact = replace(indexed, similar_index=None).similar(item, n, route="als", restrictions=restrictions)

    shown = lists.item_index[0][lists.item_index[0] != UNKNOWN_INDEX]
    assert not {item, *excluded} & set(shown.tolist())
    min_age = indexed.catalogue.states.column(schema.MOVIE_MIN_AGE)[-1]
    assert limit is None or (min_age[shown] <= limit).all()
    # Never shorter than item by item, and as long as was asked.
    assert lists.item_index.shape == lists.score.shape == (1, n)
    np.testing.assert_array_equal(np.isnan(lists.score), np.isnan(exact.score))


def test_similar_by_index_is_nearly_the_exact_list_of_its_route(indexed):
    without = replace(indexed, similar_index=None)
    hits = [
        np.isin(indexed.similar(item, N).item_index, without.similar(item, N, route="als").item_index).mean()
        for item in range(N_ITEMS)
    ]

    assert np.mean(hits) > 0.95


def test_similar_of_a_route_without_index_is_as_without(indexed):
    lists = indexed.similar(4, N, route="ease")

    np.testing.assert_array_equal(
        lists.item_index, replace(indexed, similar_index=None).similar(4, N).item_index
    )


def test_similar_after_a_refresh_of_the_state_still_asks_the_index(indexed, monkeypatch):
    refreshed = indexed.with_states(indexed.catalogue.states)
    monkeypatch.setattr(type(indexed.routes["als"]), "similar", None)  # item by item is out of order

    np.testing.assert_array_equal(refreshed.similar(4, N).item_index, indexed.similar(4, N).item_index)


def test_similar_where_the_routes_were_replaced_leaves_the_index_alone(indexed):
    als = indexed.routes["als"]
    turned = replace(als, item_factors=als.item_factors[::-1].copy())
    other = replace(indexed, routes={**indexed.routes, "als": turned})

    lists = other.similar(4, N, route="als")

    np.testing.assert_array_equal(
        lists.item_index, replace(other, similar_index=None).similar(4, N, route="als").item_index
    )
