from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from marquee import schema
from marquee.candidates.union import Candidates, UnionConfig
from marquee.data.interactions import UNKNOWN_INDEX
from marquee.features.context import DAY_US
from marquee.policy.restrictions import Restrictions
from marquee.recommend import Lists, Recommender, training_window
from tests.factories import SECOND_US, events, first_stage, queries, quick_config, taste_groups

ASKED = queries([(0, 5), (3, 9), (6, 9)], [(1, 2)], [], users=[2, 5, -1])


@dataclass(frozen=True)
class ByFeature:
    """A ranker that believes in one feature."""

    column: int
    name: ClassVar[str] = "by_feature"

    def score(self, features):
        return features[:, self.column].astype(np.float64)


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    return first_stage(taste_groups())


def ranked_by(recommender: Recommender, feature: str) -> Recommender:
    return recommender.with_ranker(ByFeature(recommender.feature_names.index(feature)))


def test_feature_names_are_the_schemas_for_its_routes(recommender):
    enabled = quick_config().routes.enabled

    assert recommender.feature_names == schema.ranking_features(enabled)


def test_features_hold_the_stars_that_are_shown(recommender):
    candidates, features = recommender.propose(ASKED)

    column = features[:, recommender.feature_names.index(schema.PREDICTED_RATING)]
    stars = recommender.stars(ASKED.histories, candidates.row, candidates.item_index)
    np.testing.assert_array_equal(column, stars)
    assert 2 <= stars.min() < stars.max() <= 5  # of `taste_groups`: 5 for the own taste, 2 for others
    own = (
        candidates.item_index[candidates.row == 0] % 3 == 0
    )  # the first query chose items of the first taste
    assert stars[candidates.row == 0][own].mean() > stars[candidates.row == 0][~own].mean()


def test_stars_where_nobody_rated_are_unknown(recommender):
    unrated = replace(recommender, ratings=None)

    assert np.isnan(unrated.stars(ASKED.histories, np.array([0, 2]), np.array([1, 4], np.int32))).all()


def test_recommend_ranker_decides_the_order(recommender):
    lists = ranked_by(recommender, schema.ITEM_YEARS_SINCE_RELEASE).recommend(ASKED, 10)

    years = recommender.catalogue.movies.year[lists.item_index]
    assert (np.diff(years, axis=1) >= 0).all()  # the oldest first
    assert (np.diff(lists.score, axis=1) <= 0).all()


def test_recommend_equal_scores_are_ordered_by_the_first_route(recommender):
    lists = ranked_by(recommender, schema.CONTEXT_HOUR).recommend(ASKED, 10)  # the same for all

    ease = recommender.routes["ease"].score(ASKED.histories)
    for query in (0, 1):
        assert (np.diff(ease[query, lists.item_index[query]]) <= 0).all()
    assert (ease[2] == ease[2, 0]).all()  # nothing to tell apart without a history: by index
    assert (np.diff(lists.item_index[2]) > 0).all()


def test_recommend_without_ranker_begins_with_the_best_of_the_routes(recommender):
    unseen = recommender.blocked(ASKED, Restrictions())
    best = []
    for route in recommender.routes.values():
        scores = route.score(ASKED.histories)
        scores[unseen] = -np.inf
        best.append(scores[:2].argmax(axis=1))

    lists = recommender.recommend(ASKED, 1 + len(best))

    for query in range(2):
        favourites = {int(items[query]) for items in best}
        assert lists.item_index[query, 0] == best[0][query]
        assert set(lists.item_index[query, : len(favourites)].tolist()) == favourites


def test_recommend_user_without_history_gets_what_is_popular(recommender):
    lists = recommender.recommend(ASKED, 10)

    counts = recommender.routes["popular"].counts
    assert counts[lists.item_index[2]].tolist() == sorted(counts, reverse=True)[:10]


def test_recommend_list_longer_than_the_candidates_is_padded(recommender):
    narrow = replace(recommender, union=UnionConfig(depth=2))

    lists = narrow.recommend(ASKED, 50)

    filled = lists.item_index != UNKNOWN_INDEX
    assert filled[:2].sum(axis=1).min() >= 2
    assert filled.sum(axis=1).max() <= 2 * len(recommender.routes)
    assert (np.diff(filled.astype(int), axis=1) <= 0).all()  # nothing after the padding
    np.testing.assert_array_equal(np.isnan(lists.score), ~filled)


def test_recommend_everything_excluded_gives_an_empty_list(recommender):
    everything = np.arange(len(recommender.items))

    lists = recommender.recommend(ASKED, 5, restrictions=Restrictions(excluded=[everything] * 3))

    assert (lists.item_index == UNKNOWN_INDEX).all()
    assert np.isnan(lists.score).all()


def test_recommend_no_query_gives_no_list(recommender):
    assert recommender.recommend(queries(), 5).item_index.shape == (0, 5)


def test_recommend_in_blocks_is_like_all_at_once(recommender, monkeypatch):
    restrictions = Restrictions(
        maturity_limits=np.array([12, np.nan, 18], np.float32),
        excluded=[np.array([9]), np.array([10]), np.array([], int)],
    )
    together = recommender.recommend(ASKED, 10, restrictions=restrictions)
    heard: list[tuple[int, int]] = []
    monkeypatch.setattr("marquee.candidates.union.BLOCK_CELLS", len(recommender.items))

    apart = recommender.recommend(
        ASKED, 10, restrictions=restrictions, on_progress=lambda done, total: heard.append((done, total))
    )

    assert heard == [(1, 3), (2, 3), (3, 3)]
    np.testing.assert_array_equal(apart.item_index, together.item_index)


def test_answer_of_a_query_is_its_list_with_what_it_was_chosen_from(recommender):
    three = queries([(1, 10), (4, 20)], [], [(3, 5)])
    limits = Restrictions(
        np.array([12, np.nan, 16], np.float32), [np.array([7]), np.array([0, 1]), np.array([])]
    )
    for row in range(3):
        one, own = three.take(np.array([row])), limits.block(slice(row, row + 1))

        answer = recommender.answer(one, 5, restrictions=own)

        lists = recommender.recommend(one, 5, restrictions=own)
        np.testing.assert_array_equal(answer.lists.item_index, lists.item_index)
        np.testing.assert_array_equal(answer.lists.score, lists.score)
        candidates = recommender.candidates(one, own)
        np.testing.assert_array_equal(answer.candidates.item_index, candidates.item_index)
        np.testing.assert_array_equal(answer.candidates.route_values, candidates.route_values)
        np.testing.assert_array_equal(answer.item_index, lists.item_index[0])
        np.testing.assert_array_equal(answer.ranks, candidates.route_values[answer.listed, 2::3])


def test_answer_shorter_than_asked_for_lists_only_what_there_is(recommender):
    narrow = replace(recommender, union=UnionConfig(depth=2))

    answer = narrow.answer(ASKED.take(np.array([0])), 50)

    item = answer.lists.item_index[0]
    assert answer.item_index.tolist() == item[item != UNKNOWN_INDEX].tolist()
    assert len(answer.listed) == len(answer.candidates.item_index) < 50


def test_fill_writes_each_query_of_a_block_into_its_row_and_leaves_the_others():
    candidates = Candidates(
        np.array([0, 3, 3, 4]), np.array([1, 4, 7, 2], np.int32), np.zeros((4, 3), np.float32)
    )
    lists = Lists.empty(5, 2)

    Recommender.fill(lists, slice(1, 4), candidates, np.array([0.5, 2, 1, 3], np.float32))

    assert lists.item_index.tolist() == [[-1, -1], [4, 7], [-1, -1], [2, -1], [-1, -1]]
    np.testing.assert_array_equal(lists.score[1:4], [[2, 1], [np.nan, np.nan], [3, np.nan]])


@pytest.mark.parametrize("asked", [queries(), queries([], [])], ids=["none", "two"])
def test_answer_of_another_number_of_queries_than_one_is_refused(recommender, asked):
    with pytest.raises(ValueError, match=f"not of {len(asked)}"):
        recommender.answer(asked, 5)


def test_route_lists_leave_out_what_was_seen(recommender):
    lists = recommender.route_lists(recommender.routes["popular"], ASKED, 90)

    for query in range(3):
        seen = ASKED.histories.item_index[ASKED.histories.row == query]
        assert not np.isin(seen, lists[query]).any()


def test_route_lists_in_blocks_leave_each_query_its_own_restrictions(recommender, monkeypatch):
    restrictions = Restrictions(excluded=[np.array([0]), np.array([1]), np.array([3])])
    popular = recommender.routes["popular"]
    monkeypatch.setattr("marquee.candidates.union.BLOCK_CELLS", len(recommender.items))

    lists = recommender.route_lists(popular, ASKED, 90, restrictions=restrictions)

    for query, (seen, unwanted) in enumerate([({0, 3, 6}, {0}), ({1}, {1}), (set(), {3})]):
        shown = lists[query][lists[query] != UNKNOWN_INDEX].tolist()
        assert set(range(90)) - set(shown) == seen | unwanted


def test_hidden_items_follow_the_state_at_the_moment_that_is_asked(recommender):
    states = recommender.catalogue.states
    later = np.concatenate([states.matrix, states.matrix])
    later[1, 0, schema.MOVIE_STATE.index(schema.MOVIE_MIN_AGE)] = 18
    first_us = int(states.moments_us[0])
    moments = np.array([first_us, first_us + DAY_US])
    asked = recommender.with_states(replace(states, matrix=later, moments_us=moments))
    limits = Restrictions(np.array([12, 12], np.float32))

    hidden = asked.hidden(moments, limits)
    similar = asked.similar(6, 90, restrictions=Restrictions(np.array([12], np.float32)))

    assert hidden[:, 0].tolist() == [False, True]
    assert 0 not in similar.item_index  # by the newest
    assert 0 in recommender.similar(6, 90, restrictions=Restrictions(np.array([12], np.float32))).item_index


def test_similar_is_the_best_of_its_route(recommender):
    lists = recommender.similar(4, 5)

    scores = recommender.routes["ease"].similar(4)
    assert 4 not in lists.item_index
    np.testing.assert_array_equal(lists.score[0], np.sort(scores)[::-1][:5])
    assert (lists.item_index[0] % 3 == 4 % 3).all()  # of its own genre


def test_training_window_ends_at_its_moment_and_keeps_the_vocabularies():
    board = events(("a", "x", 1), ("b", "y", 2), ("c", "z", 3))

    window = training_window(board, 2 * SECOND_US)

    assert window.item_index.tolist() == [0, 1]
    assert len(window.items) == len(window.users) == 3
