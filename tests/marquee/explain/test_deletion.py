import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marquee import schema
from marquee.data.interactions import Vocabulary
from marquee.explain.deletion import kept_with
from marquee.features.state.activity import user_activity
from marquee.features.state.events import events_of, resolved
from marquee.features.user_rows import query_of
from tests.factories import HOUR_S, SECOND_US, events, queries

ITEMS = Vocabulary.of("abcdefgh")
NOW_US = 10**15


def asked_after(rows):
    """What a store would answer after these (item, hours, value) events."""
    if not rows:
        return query_of({}, time_us=NOW_US, items=ITEMS)
    past = events(*(("u", item, hours * HOUR_S, value) for item, hours, value in rows))
    newest = user_activity(resolved(events_of(past))).tail(1).to_dicts()[0]
    return query_of(newest, time_us=NOW_US, items=ITEMS)


# Some share a moment, some lie exactly an hour, a day, a week or 30 days apart.
hours = st.sampled_from([0, 1, 2, 24, 25, 100, 168, 169, 720, 721])
watched = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), hours, st.sampled_from([None, 1.0, 4.0])),
    min_size=1,
    max_size=8,
    unique_by=lambda row: row[0],
)


@given(watched, st.sets(st.sampled_from("abcdefgh")))
@settings(max_examples=60)
def test_kept_with_is_what_the_store_would_know_had_the_others_never_happened(rows, left_out):
    whole = asked_after(rows)
    left_index = ITEMS.encode(sorted(left_out))

    found = kept_with(whole, ~np.isin(whole.histories.item_index, left_index)[np.newaxis])

    expected = asked_after([row for row in rows if row[0] not in left_out])
    np.testing.assert_array_equal(found.histories.item_index, expected.histories.item_index)
    np.testing.assert_array_equal(found.histories.timestamp_us, expected.histories.timestamp_us)
    np.testing.assert_array_equal(found.histories.value, expected.histories.value)
    np.testing.assert_allclose(found.user_state, expected.user_state, rtol=1e-6)


def test_kept_with_several_variants_keeps_each_its_own():
    query = queries([(4, 1, 5.0), (6, 2, 3.0), (1, 3)], users=[9])
    kept = np.array([[True, True, True], [False, True, True], [True, False, False], [False] * 3])

    found = kept_with(query, kept)

    assert found.histories.offsets.tolist() == [0, 3, 5, 6, 6]
    assert found.histories.item_index.tolist() == [4, 6, 1, 6, 1, 4]
    assert found.histories.timestamp_us.tolist() == [each * SECOND_US for each in (1, 2, 3, 2, 3, 1)]
    assert found.user_index.tolist() == [9, 9, 9, 9]
    assert (found.time_us == query.time_us).all()
    n_events = found.user_state[:, schema.USER_STATE.index(schema.USER_EVENTS_ALL)]
    assert n_events.tolist() == [3, 2, 1, 0]


def test_kept_with_leaves_what_is_known_beside_the_history():
    query = queries([(4, 1), (6, 2)], **{schema.USER_AGE: 30.0, schema.USER_EVENTS_ALL: [1_200]})

    found = kept_with(query, np.array([[False, True]]))

    state = pl.DataFrame(found.user_state, schema=list(schema.USER_STATE)).row(0, named=True)
    assert state[schema.USER_AGE] == 30
    assert state[schema.USER_EVENTS_ALL] == 1_199  # of a history too long to be held whole
    assert state[schema.USER_IS_MALE] != state[schema.USER_IS_MALE]  # unknown stays unknown


def test_kept_with_the_mean_rating_is_that_of_the_ratings_left():
    rows = [("a", 0, 5.0), ("b", 1, 1.0), ("c", 2, 3.0)]

    found = kept_with(asked_after(rows), np.array([[True, False, True]]))

    mean = found.user_state[0, schema.USER_STATE.index(schema.USER_RATING_MEAN)]
    assert mean == pytest.approx((5 + 3) / 2)
