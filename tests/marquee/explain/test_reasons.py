from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from marquee import schema
from marquee.explain.impersonal import Basis
from marquee.explain.reasons import ExplainConfig, explain, promising
from marquee.policy.restrictions import UNRESTRICTED, Restrictions
from marquee.policy.rules import PolicyConfig
from marquee.recommend import Recommender
from tests.factories import queries

ACTION, COMEDY = 0, 1  # an item's genre is its number modulo 3
ASKED = queries([(1, 10), (4, 20), (3, 30)])


@dataclass(frozen=True)
class Weighted:
    """A ranker that adds up some features."""

    weights: Mapping[int, float]
    n: int
    name: ClassVar[str] = "weighted"

    def score(self, features):
        return self.contributions(features).sum(axis=1)

    def contributions(self, features):
        found = np.zeros((len(features), self.n + 1))
        for column, weight in self.weights.items():
            found[:, column] = weight * np.nan_to_num(features[:, column])
        return found


def by(recommender: Recommender, **weights: float) -> Recommender:
    names = recommender.feature_names
    columns = {names.index(name): weight for name, weight in weights.items()}
    return recommender.with_ranker(Weighted(columns, len(names)))


def reasons_of(recommender, asked=ASKED, *, n=6, restrictions=UNRESTRICTED, **knobs):
    lists = recommender.recommend(asked, n, restrictions=restrictions)
    found = explain(recommender, asked, lists, restrictions=restrictions, config=ExplainConfig(**knobs))
    return [
        list(zip(row.tolist(), reasons, strict=False))
        for row, reasons in zip(lists.item_index, found, strict=True)
    ]


def test_explain_names_the_movie_of_the_genre_that_the_model_believes_in(recommender):
    affine = by(recommender, **{schema.CROSS_GENRE_AFFINITY: 1.0})

    (listed,) = reasons_of(affine)

    # Two of three watched are comedies, so that the list is of comedies: each speaks for all of them.
    # Without the newer one (4) the affinity is 1/2 instead of 2/3, as it is without the older one (1).
    assert {item % 3 for item, _ in listed} == {COMEDY}
    assert {(reason.basis, reason.items) for _, reason in listed} == {(Basis.WATCHED, (4,))}
    assert [reason.drop for _, reason in listed] == pytest.approx([2 / 3 - 1 / 2] * 6, rel=1e-5)


def test_explain_of_a_score_that_needs_two_deletions_names_the_genre(recommender):
    # Affinity to comedy stays 1 without either comedy, as nothing else was watched; it is 0 without both.
    affine = by(recommender, **{schema.CROSS_GENRE_AFFINITY: 1.0})

    (listed,) = reasons_of(affine, queries([(1, 10), (4, 20)]))

    assert {(reason.basis, reason.items) for _, reason in listed} == {(Basis.GENRE, (4, 1))}
    assert [reason.drop for _, reason in listed] == pytest.approx([1.0] * 6)


def test_explain_of_a_score_that_rests_on_the_number_of_events_says_the_history(recommender):
    # The more events the better, whatever they are: with none left out but one, the fall is the same for
    # all, so that it takes a score that falls only below two events.
    class AnyHistory(Weighted):
        def score(self, features):
            return (features[:, self.n - 1] > 0).astype(float)

    names = recommender.feature_names
    column = names.index(schema.USER_EVENTS_ALL)
    ranker = AnyHistory({}, column + 1)

    (listed,) = reasons_of(recommender.with_ranker(ranker), queries([(1, 10), (3, 20)]))

    assert {(reason.basis, reason.items, reason.drop) for _, reason in listed} == {(Basis.HISTORY, (), 1.0)}


def test_explain_of_a_score_that_owes_nothing_to_the_history_says_for_everybody(recommender):
    popular = by(recommender, popular_score=1.0, **{schema.ITEM_EVENTS_7D: -0.1})

    (listed,) = reasons_of(popular)

    assert {reason.basis for _, reason in listed} == {Basis.POPULAR}
    assert all(reason.items == () and np.isnan(reason.drop) for _, reason in listed)


def test_explain_without_history_and_without_ranker_says_for_everybody(recommender):
    (listed,) = reasons_of(recommender, queries([]))

    assert {reason for _, reason in listed if reason.basis != Basis.EVERYBODY} == set()
    assert len(listed) == 6


def test_explain_contributions_are_the_rankers_strongest_first(recommender):
    popular = by(recommender, popular_score=1.0, ease_rank=-0.5)

    (listed,) = reasons_of(popular, contributions=1)
    (both,) = reasons_of(popular, contributions=9)

    counts = recommender.routes["popular"].counts
    for (item, reason), (_, longer) in zip(listed, both, strict=True):
        assert dict(longer.contributions)["popular_score"] == pytest.approx(counts[item])
        assert reason.contributions == longer.contributions[:1]
        sizes = [abs(value) for _, value in longer.contributions]
        assert sizes == sorted(sizes, reverse=True)
        assert len(sizes) == 2  # what adds nothing is not named


def test_explain_names_nothing_that_is_hidden_though_it_matters_most(recommender):
    affine = by(recommender, **{schema.CROSS_GENRE_AFFINITY: 1.0})
    unwanted = Restrictions(excluded=[np.array([4])])

    (listed,) = reasons_of(affine, restrictions=unwanted)

    assert {reason.items for _, reason in listed} == {(1,)}


def test_explain_where_all_that_matters_is_hidden_says_the_history_and_names_nothing(recommender):
    affine = by(recommender, **{schema.CROSS_GENRE_AFFINITY: 1.0})
    unwanted = Restrictions(excluded=[np.array([1, 3, 4])])

    (listed,) = reasons_of(affine, restrictions=unwanted)

    assert {(reason.basis, reason.items) for _, reason in listed} == {(Basis.HISTORY, ())}


def test_explain_under_a_minimum_of_events_is_for_everybody(recommender):
    ruled = replace(recommender, policy=PolicyConfig(min_events=4))

    (listed,) = reasons_of(ruled)

    assert {reason.basis for _, reason in listed} == {Basis.EVERYBODY}


def test_explain_a_query_is_like_explaining_it_alone(recommender):
    affine = by(recommender, **{schema.CROSS_GENRE_AFFINITY: 1.0})
    asked = queries([(1, 10), (4, 20), (3, 30)], [], [(5, 7)])

    together = reasons_of(affine, asked)

    assert [len(listed) for listed in together] == [6, 6, 6]
    for query in range(3):
        (alone,) = reasons_of(affine, asked.take(np.array([query])))
        assert [repr(pair) for pair in alone] == [repr(pair) for pair in together[query]]


def test_explain_a_list_that_is_empty_has_no_reasons(recommender):
    everything = Restrictions(excluded=[np.arange(len(recommender.items))])
    lists = recommender.recommend(ASKED, 3, restrictions=everything)

    assert explain(recommender, ASKED, lists, restrictions=everything) == [[]]


def test_promising_of_a_short_history_is_all_of_it_newest_first(recommender):
    history = np.array([5, 8, 5, 2], np.int32)

    found = promising(recommender, history, np.array([11], np.int32), ExplainConfig(most=3))

    assert found.tolist() == [2, 5, 8]


def test_promising_of_a_long_history_is_the_newest_and_the_most_alike(recommender):
    history = np.arange(30, dtype=np.int32)
    items = np.array([60, 61], np.int32)
    likeness = recommender.routes["ease"].similar

    found = promising(recommender, history, items, ExplainConfig(most=6, newest=2)).tolist()

    assert found[:2] == [29, 28]
    assert len(found) == 6
    assert found[2:] == sorted(found[2:], reverse=True)
    others = np.arange(28)
    for item in (60, 61):  # the likest to each, and the second likest
        assert set(others[np.argsort(-likeness(item)[others])][:2].tolist()) <= set(found)
