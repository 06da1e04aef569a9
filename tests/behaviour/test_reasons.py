"""Reasons are true by the model: delete what they name, ask again, and the score is lower."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from marquee.explain.impersonal import Basis
from marquee.explain.reasons import explain
from marquee.policy.restrictions import Restrictions
from tests.factories import DAY_S, World, queries

N_ITEMS = World().n_items
NOW_S = 101 * DAY_S
OF_HISTORY = {Basis.WATCHED, Basis.GENRE, Basis.PEOPLE, Basis.HISTORY}
few_examples = settings(max_examples=12)
watched = st.lists(st.integers(0, N_ITEMS - 1), unique=True, min_size=1, max_size=10).map(
    lambda items: [(item, NOW_S - 3600 * (len(items) - at)) for at, item in enumerate(items)]
)


def score_without(recommender, history, items, *, of):
    """An item's score had some items of the history never been chosen; -inf where nobody proposes it."""
    left = [event for event in history if event[0] not in items]
    still_blocked = Restrictions(excluded=[np.array(sorted(items), np.int64)])
    lists = recommender.recommend(queries(left, time_s=NOW_S), N_ITEMS, restrictions=still_blocked)
    found = lists.score[0][lists.item_index[0] == of]
    return found[0] if len(found) else -np.inf


@given(watched)
@few_examples
def test_score_falls_when_the_reason_is_deleted(recommender, history):
    query = queries(history, time_s=NOW_S)
    lists = recommender.recommend(query, 5)

    (reasons,) = explain(recommender, query, lists)

    for item, score, reason in zip(lists.item_index[0], lists.score[0], reasons, strict=True):
        if reason.basis in OF_HISTORY:
            deleted = set(reason.items) or {each for each, _ in history}
            assert score_without(recommender, history, deleted, of=item) < score
            assert reason.drop > 0


@given(watched)
@few_examples
def test_no_other_single_deletion_lowers_the_score_more(recommender, history):
    query = queries(history, time_s=NOW_S)
    lists = recommender.recommend(query, 3)

    (reasons,) = explain(recommender, query, lists)

    for item, score, reason in zip(lists.item_index[0], lists.score[0], reasons, strict=True):
        drops = [score - score_without(recommender, history, {each}, of=item) for each, _ in history]
        most = max(drop for drop in [0, *drops] if np.isfinite(drop))
        if reason.basis == Basis.WATCHED:
            assert reason.drop >= most * (1 - 1e-3) - 1e-6
        else:
            assert most <= 1e-4 * abs(score)


def test_reasons_are_mostly_of_the_taste_of_their_item(result):
    history = [(item, NOW_S - 3600 * (4 - at)) for at, item in enumerate((4, 0, 3, 6))]
    query = queries(history, time_s=NOW_S)  # three of one genre, one of another: numbers modulo 3
    lists = result.recommender.recommend(query, 12)

    (reasons,) = explain(result.recommender, query, lists)

    listed = zip(lists.item_index[0].tolist(), reasons, strict=True)
    same = [reason.items[0] % 3 == item % 3 for item, reason in listed if reason.basis == Basis.WATCHED]
    assert len(same) >= 6
    assert np.mean(same) > 0.5
