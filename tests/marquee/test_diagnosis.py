from dataclasses import replace

import numpy as np
import pytest

from marquee.candidates.popular import Popular
from marquee.data.cold_moments import cold_moments
from marquee.data.interactions import Ragged
from marquee.data.splits import consumed
from marquee.diagnosis import (
    RECALL_CUTS,
    Questions,
    compare_on_cold_users,
    compare_on_new_items,
    examine_ranker,
    popularity_shares,
    recall_by_depth,
)
from marquee.evaluation.relevance import judge
from tests.factories import World, quick_config, stage_of, taste_groups, trained

WORLD = World(n_users=40, n_items=60, events_per_user=24)
CONFIG = quick_config()


@pytest.fixture(scope="module")
def result():
    return trained(taste_groups(WORLD))


@pytest.fixture(scope="module")
def asked(result) -> Questions:
    events = consumed(taste_groups(WORLD).interactions)
    return Questions(*stage_of(taste_groups(WORLD)).ask(result.evaluated, result.split.test, events))


def test_ranker_facts_cover_every_feature_and_every_candidate(asked):
    facts = examine_ranker(asked, CONFIG)
    candidates, features = asked.recommender.propose(asked.labelled.queries)

    assert facts is not None
    assert set(facts.importance) == set(facts.contributions) == set(asked.recommender.feature_names)
    assert sum(facts.importance.values()) == pytest.approx(1, abs=1e-4)
    assert sum(each.n for each in facts.reliability) == len(candidates.item_index)
    wanted = [
        item in asked.labelled.targets[row]
        for row, item in zip(candidates.row, candidates.item_index, strict=True)
    ]
    assert sum(each.n_consumed for each in facts.reliability) == sum(wanted) > 0
    assert 0 < facts.n_explained <= len(features)


def test_ranker_facts_contributions_are_means_of_the_rankers_own(asked):
    few = Questions(asked.recommender, asked.labelled.take(np.arange(2)))
    _, features = asked.recommender.propose(few.labelled.queries)
    assert asked.recommender.ranker is not None
    expected = np.abs(asked.recommender.ranker.contributions(features)[:, :-1]).mean(axis=0)

    facts = examine_ranker(few, CONFIG)

    assert facts is not None
    assert facts.n_explained == len(features)  # few enough to take all
    assert list(facts.contributions.values()) == pytest.approx(expected.tolist(), abs=1e-6)


def test_ranker_facts_without_a_ranker_are_none(asked):
    assert examine_ranker(replace(asked, recommender=replace(asked.recommender, ranker=None)), CONFIG) is None


def test_recall_by_depth_of_a_route_equals_a_count_by_hand(asked):
    found = recall_by_depth(asked, union="union")

    route = asked.recommender.routes["als"]
    lists = asked.recommender.route_lists(route, asked.labelled.queries, 20)
    by_hand = [np.isin(asked.labelled.targets[row], lists[row]).mean() for row in range(len(lists))]
    assert found["als"]["recall@20"] == pytest.approx(np.mean(by_hand))
    depth = CONFIG.union.depth  # 40, not among the others
    assert list(found["als"]) == [f"recall@{n}" for n in sorted({*RECALL_CUTS, depth})]


def test_recall_by_depth_of_the_union_rises_to_that_of_all_its_candidates(asked, result):
    union = recall_by_depth(asked, union="union")["union"]
    curve = [union[f"recall@{n}"] for n in RECALL_CUTS]

    assert curve == sorted(curve)
    assert curve[-1] == union["recall@all"] == pytest.approx(result.assessment.recall_ceiling["union"])


def test_popularity_shares_of_lists_and_choices_equal_hand_arithmetic():
    counts = np.arange(10)  # item i is in decile i
    lists = {"famous": np.array([[9, 8], [9, -1]], np.int32)}

    found = popularity_shares(lists, Ragged.of([[0], [9]]), counts)

    assert found["models"]["famous"][8:] == pytest.approx([1 / 3, 2 / 3])
    assert (found["consumed"][0], found["consumed"][9]) == (0.5, 0.5)
    assert found["n_items"] == [1] * 10


def test_new_items_count_alone_and_only_where_there_are_some():
    lists = {
        "ours": np.array([[7, 1], [1, 2], [7, 1]], np.int32),
        "popular": np.array([[1, 7], [1, 2], [1, 2]], np.int32),
    }
    is_new = np.arange(8) == 7

    rows = compare_on_new_items(lists, Ragged.of([[7, 1], [1], [7]]), is_new, subject="ours", config=CONFIG)

    ndcg, recall = rows
    assert (ndcg.metric, recall.metric, ndcg.n_queries) == ("ndcg@10", "recall@100", 2)
    assert ndcg.models["ours"].estimate == 1.0
    assert ndcg.models["popular"].estimate == pytest.approx((1 / np.log2(3) + 0) / 2)
    assert recall.differences["popular"].estimate == pytest.approx(1 - 1 / 2)


def test_new_items_without_any_are_an_empty_row():
    lists = {"ours": np.array([[0]], np.int32)}

    ndcg, _ = compare_on_new_items(lists, Ragged.of([[0]]), np.zeros(2, bool), subject="ours", config=CONFIG)

    assert (ndcg.n_queries, dict(ndcg.models)) == (0, {})


def test_cold_users_are_compared_with_popular_before_and_after_they_begin(result):
    dataset = taste_groups(WORLD)
    events = consumed(dataset.interactions)
    # From the first moment on everybody is new.
    moments = cold_moments(events, after_us=0, config=CONFIG.temporal, seed=1)
    cold = Questions(*stage_of(dataset).ask(result.evaluated, moments, events))

    none, few, all_of_them = compare_on_cold_users(cold, subject="two_stage", best_route="als", config=CONFIG)

    assert (none.slice, few.slice) == ("0 events", "1-4 events")
    assert all_of_them.slice == "fewer than 5 events"
    assert all_of_them.n_queries == len(np.unique(moments.user_index))
    assert none.n_queries + few.n_queries == len(moments)
    assert none.n_queries == (cold.labelled.queries.histories.lengths == 0).sum()
    assert set(none.models) == {"two_stage", "als", Popular.name}
    lists = cold.recommender.route_lists(result.evaluated.routes["popular"], cold.labelled.queries, 10)
    hits = judge(lists, cold.labelled.targets).hit.any(axis=1)
    assert (none.models["popular"].estimate > 0) == hits[::2].any()
