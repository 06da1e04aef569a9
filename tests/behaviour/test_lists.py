"""What anyone who uses the lists may count on, whatever the models inside."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marquee import schema
from marquee.candidates.trending import Trending, TrendingConfig
from marquee.data.interactions import UNKNOWN_INDEX, Interactions
from marquee.policy.restrictions import Restrictions
from tests.factories import DAY_S, World, queries, trained, with_events

N_ITEMS = World().n_items
N_USERS = World().n_users
NOW_S = 101 * DAY_S


def asked(*item_rows, users=None):
    """Queries after the given items, one a minute up to a minute before the request."""
    rows = [[(item, NOW_S - 60 * (len(items) - at)) for at, item in enumerate(items)] for items in item_rows]
    return queries(*rows, users=users, time_s=NOW_S)


item_sets = st.lists(st.integers(0, N_ITEMS - 1), unique=True, max_size=12)
one_query = st.tuples(item_sets, st.integers(-1, N_USERS - 1))
few_examples = settings(max_examples=25)


def min_ages(recommender):
    return recommender.catalogue.states.column(schema.MOVIE_MIN_AGE)[0]


def shown(lists):
    return [row[row != UNKNOWN_INDEX].tolist() for row in lists.item_index]


@given(st.lists(one_query, min_size=1, max_size=4), st.integers(1, 100))
@few_examples
def test_list_has_no_seen_item_and_no_repeat(recommender, requests, n):
    query = asked(*(items for items, _ in requests), users=[user for _, user in requests])

    lists = recommender.recommend(query, n)

    for (seen, _), found in zip(requests, shown(lists), strict=True):
        assert not set(found) & set(seen)
        assert len(set(found)) == len(found)
        assert len(found) <= n


@given(one_query, st.integers(1, 40))
@few_examples
def test_list_of_fewer_is_the_beginning_of_the_list_of_more(recommender, request_, n):
    query = asked(request_[0], users=[request_[1]])

    short, long = recommender.recommend(query, n), recommender.recommend(query, 60)

    np.testing.assert_array_equal(short.item_index, long.item_index[:, :n])
    np.testing.assert_array_equal(short.score, long.score[:, :n])


@given(one_query, st.integers(0, 21), item_sets)
@few_examples
def test_list_never_exceeds_the_maturity_limit_nor_shows_the_excluded(recommender, request_, limit, excluded):
    restrictions = Restrictions(np.array([limit], np.float32), [np.array(excluded, np.int64)])

    found = shown(
        recommender.recommend(asked(request_[0], users=[request_[1]]), 90, restrictions=restrictions)
    )

    ages = min_ages(recommender)[found[0]]
    assert (ages <= limit).all()  # False for an unrated movie: it fails closed
    assert not set(found[0]) & set(excluded)


def test_list_under_a_limit_is_filled_with_what_is_left(recommender):
    suitable = int((min_ages(recommender) <= 12).sum())

    found = shown(
        recommender.recommend(asked([]), suitable, restrictions=Restrictions(np.array([12], np.float32)))
    )

    assert 0 < suitable < N_ITEMS
    assert len(found[0]) == min(suitable, recommender.union.depth)


def test_list_under_a_limit_follows_the_item_matrix_and_not_the_training(recommender):
    states = recommender.catalogue.states
    matrix = states.matrix.copy()
    suitable = np.flatnonzero(min_ages(recommender) <= 12)
    matrix[0, suitable[0], schema.MOVIE_STATE.index(schema.MOVIE_MIN_AGE)] = 18
    limit = Restrictions(np.array([12], np.float32))

    before = shown(recommender.recommend(asked([]), N_ITEMS, restrictions=limit))[0]
    corrected = recommender.with_states(replace(states, matrix=matrix))
    after = shown(corrected.recommend(asked([]), N_ITEMS, restrictions=limit))[0]

    assert set(before) - set(after) == {suitable[0]}


def test_list_of_a_route_of_the_state_follows_the_item_matrix(recommender):
    trending = Trending(np.zeros(N_ITEMS, np.float32), TrendingConfig())
    states = recommender.catalogue.states
    matrix = states.matrix.copy()
    for name, events in ((schema.ITEM_EVENTS_7D, 50), (schema.ITEM_EVENTS_30D, 60)):
        matrix[0, 7, schema.MOVIE_STATE.index(name)] = events
    fresh = recommender.with_states(replace(states, matrix=matrix))

    assert fresh.route_lists(trending, asked([], []), 1).tolist() == [[7], [7]]


def test_list_without_limit_shows_unrated_movies_too(recommender):
    found = shown(recommender.recommend(asked([]), N_ITEMS))

    assert np.isnan(min_ages(recommender)[found[0]]).any()


def test_list_belongs_to_the_query_and_not_to_its_neighbours(recommender):
    together = recommender.recommend(asked([0, 3], [1], [], users=[0, 1, -1]), 12)

    for query, (items, user) in enumerate([([0, 3], 0), ([1], 1), ([], -1)]):
        alone = recommender.recommend(asked(items, users=[user]), 12)
        np.testing.assert_array_equal(together.item_index[query], alone.item_index[0])


def genre_share(recommender, histories, genre, n=12):
    """Share of a genre in the lists after each history, for users of whom nothing else is known."""
    lists = recommender.recommend(asked(*histories), n).item_index
    return (lists % 3 == genre).mean(axis=1)


@pytest.mark.parametrize("genre", [0, 1, 2])
def test_one_more_movie_of_a_genre_raises_that_genre(recommender, genre):
    # Each starts with one movie of either genre, then adds another movie of the one in question.
    other = (genre + 1) % 3
    before = [[3 * at + other, 3 * at + genre] for at in range(8)]
    after = [[*items, 3 * (at + 9) + genre] for at, items in enumerate(before)]

    rises = genre_share(recommender, after, genre) - genre_share(recommender, before, genre)

    assert rises.mean() > 0
    assert (rises >= 0).mean() >= 0.75


@pytest.mark.parametrize("genre", [0, 1, 2])
def test_new_user_is_personal_after_three_clicks(recommender, genre):
    share = genre_share(recommender, [[genre, genre + 9, genre + 18]], genre)

    assert share[0] > 1 / 3


def test_history_of_the_request_decides_and_not_the_one_that_was_learned_from(recommender, dataset):
    # User 0 learned as a friend of genre 0, asks after three movies of genre 1.
    learned = dataset.interactions.item_index[dataset.interactions.user_index == 0]
    assert (learned % 3 == 0).mean() > 0.7

    lists = recommender.recommend(asked([1, 10, 19], users=[0]), 12).item_index

    assert (lists % 3 == 1).mean() > 1 / 2
    stranger = recommender.recommend(asked([1, 10, 19], users=[UNKNOWN_INDEX]), 12).item_index
    np.testing.assert_array_equal(lists, stranger)


def test_repeated_request_gives_the_same_list(recommender):
    query = asked([5, 8, 40], users=[3])

    one, again = recommender.recommend(query, 30), recommender.recommend(query, 30)

    np.testing.assert_array_equal(one.item_index, again.item_index)
    np.testing.assert_array_equal(one.score, again.score)


def test_order_of_input_rows_does_not_matter(dataset, result):
    # Built again from its rows in another order.
    events = dataset.interactions
    order = np.random.default_rng(0).permutation(len(events))
    shuffled = Interactions.from_table(_table(events.take(order)), users=events.users, items=events.items)

    again = trained(with_events(dataset, shuffled))

    query = asked([5, 8, 40], [], [2], users=[3, -1, 7])
    one, other = (found.recommender.recommend(query, 30) for found in (result, again))
    np.testing.assert_array_equal(one.item_index, other.item_index)
    np.testing.assert_array_equal(one.score, other.score)


def _table(events):
    from tests.factories import event_table

    return event_table(
        zip(
            events.users.decode(events.user_index),
            events.items.decode(events.item_index),
            (events.timestamp_us / 1e6).tolist(),
            events.value.tolist(),
            strict=True,
        )
    )


def test_renamed_movies_are_measured_alike(dataset, result):
    """Ids order the storage within a second; only ties of score may fall otherwise under new names."""
    events = dataset.interactions
    names = np.random.default_rng(1).permutation(N_ITEMS)
    new_index = names.astype(np.int32)[events.item_index]
    order = np.lexsort((new_index, events.user_index, events.timestamp_us))
    renamed = replace(events, item_index=new_index).take(order)
    movies = dataset.movies.with_columns(item_id=pl.Series([f"m{name:03}" for name in names]))

    other = trained(replace(dataset, interactions=renamed, movies=movies))

    assert len(other.split.test) == len(result.split.test)
    for model in ("ease", "ease_plain"):
        one, two = (found.assessment.evaluation.means[model]["ndcg@10"] for found in (result, other))
        assert two == pytest.approx(one, abs=0.005)
