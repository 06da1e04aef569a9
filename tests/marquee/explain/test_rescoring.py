from dataclasses import replace

import numpy as np
import pytest

from marquee.candidates.union import UnionConfig
from marquee.explain.rescoring import features_of_items
from marquee.policy.restrictions import UNRESTRICTED, Restrictions
from tests.factories import queries

LONG = [(item, 60 * item) for item in range(0, 40, 3)]


@pytest.mark.parametrize("history", [[], [(4, 5)], LONG], ids=["none", "one", "many"])
@pytest.mark.parametrize("depth", [5, 20])
@pytest.mark.parametrize(
    "restrictions",
    [UNRESTRICTED, Restrictions(np.array([12], np.float32), [np.array([0, 1, 2])])],
    ids=["free", "limited"],
)
def test_features_of_items_are_those_of_the_candidates(recommender, history, depth, restrictions):
    narrow = replace(recommender, union=UnionConfig(depth=depth))
    query = queries(history)
    candidates, expected = narrow.propose(query, restrictions)

    found = features_of_items(narrow, query, candidates.item_index, narrow.blocked(query, restrictions)[0])

    assert len(expected) >= depth
    np.testing.assert_array_equal(found, expected)


def test_features_of_items_stand_by_query_and_then_by_item(recommender):
    both, items = queries(LONG, [(4, 5)]), np.array([70, 5, 31], np.int32)
    blocked = np.zeros(len(recommender.items), bool)

    together = features_of_items(recommender, both, items, blocked)

    for query in range(2):
        alone = features_of_items(recommender, both.take(np.array([query])), items, blocked)
        np.testing.assert_allclose(together[3 * query : 3 * query + 3], alone, rtol=1e-5, atol=1e-6)


def test_features_of_items_below_the_depth_have_the_rank_after_it(recommender):
    narrow = replace(recommender, union=UnionConfig(depth=5))
    query, items = queries(LONG), np.arange(len(recommender.items), dtype=np.int32)
    blocked = recommender.blocked(query, UNRESTRICTED)[0]

    rank = features_of_items(narrow, query, items, blocked)[:, recommender.feature_names.index("ease_rank")]

    assert sorted(rank[rank < 6].tolist()) == [1, 2, 3, 4, 5]
    assert (rank[blocked] == 6).all()


def test_features_of_items_of_equal_scores_rank_by_index(recommender):
    query = queries([])
    items = np.arange(len(recommender.items), dtype=np.int32)
    counts = recommender.routes["popular"].counts

    found = features_of_items(recommender, query, items, np.zeros(len(items), bool))

    rank = found[:, recommender.feature_names.index("popular_rank")].astype(int)
    order = np.lexsort((items, -counts))[:40]
    assert len(set(counts[order].tolist())) < 40  # there are ties to break
    assert rank[order].tolist() == list(range(1, 41))
