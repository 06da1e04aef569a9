"""Each row of user_activity against the events counted one by one."""

import math

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from marquee import schema
from marquee.data.interactions import Interactions
from marquee.data.splits import consumed
from marquee.features.state.activity import user_activity
from marquee.features.state.events import bucket_of, consumed_events, events_of, resolved
from tests.factories import DAY_S, HOUR_S, event_table

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["u0", "u1", "u2"]),
        st.sampled_from(["a", "b", "c", "d"]),
        st.integers(0, 90).map(lambda quarter_days: quarter_days * DAY_S / 4),
        st.sampled_from([None, 1.0, 4.5]),
        st.sampled_from(schema.INTERACTION_TYPES),
    ),
    max_size=40,
)


def activity(rows) -> pl.DataFrame:
    return user_activity(resolved(event_table(rows)))


def test_activity_counts_a_sitting_its_windows_and_its_mean():
    table = activity(
        [
            ("u", "a", 0, 2.0),
            ("u", "b", 2 * DAY_S, None),
            ("u", "c", 2 * DAY_S + HOUR_S, 5.0),
            ("other", "a", 2 * DAY_S, 1.0),
        ]
    ).filter(pl.col("user_id") == "u")

    assert table[schema.USER_EVENTS_ALL].to_list() == [1, 2, 3]
    assert table[schema.USER_EVENTS_1H].to_list() == [1, 1, 1]  # an hour ago is outside of (t − 1 h, t]
    assert table[schema.USER_EVENTS_1D].to_list() == [1, 1, 2]
    assert table[schema.USER_EVENTS_7D].to_list() == [1, 2, 3]
    assert table[schema.USER_RATING_MEAN].to_list() == [2.0, 2.0, 3.5]
    assert table[schema.USER_HISTORY_ITEMS].to_list() == [["a"], ["a", "b"], ["a", "b", "c"]]
    assert math.isnan(table[schema.USER_HISTORY_VALUES].to_list()[1][1])


def test_activity_of_peers_is_one_row_and_of_a_repeat_a_copy_with_its_own_time():
    table = activity([("u", "a", 0), ("u", "b", 0), ("u", "a", 7)])

    assert table[schema.USER_EVENTS_ALL].to_list() == [2, 2]
    assert table[schema.USER_LAST_US].to_list() == [0, 0]
    assert table[schema.USER_SEEN_US].to_list() == [0, 7_000_000]


def test_activity_without_a_rating_has_no_mean():
    assert activity([("u", "a", 0, None, "view")])[schema.USER_RATING_MEAN].to_list() == [None]


def test_history_is_cut_to_its_width_newest_kept():
    n = schema.HISTORY_WIDTH + 5
    table = activity([("u", f"{number:03}", number) for number in range(n)])

    assert table[schema.USER_EVENTS_ALL][-1] == n
    assert table[schema.USER_HISTORY_ITEMS][-1].to_list() == [f"{number:03}" for number in range(5, n)]


@given(EVENTS)
def test_activity_of_any_events_equals_counting_by_hand(rows):
    events = resolved(event_table(rows))
    chosen = consumed_events(events)

    table = user_activity(events)

    for row in table.iter_rows(named=True):
        now = row[schema.USER_SEEN_US]
        past = chosen.filter(
            (pl.col("user_id") == row["user_id"]) & (pl.col("timestamp").dt.epoch("us") <= now)
        ).sort("timestamp", "item_id")
        times = past["timestamp"].dt.epoch("us").to_numpy()
        last = times[-1]
        assert row[schema.USER_LAST_US] == last
        for name, hours in (("1h", 1), ("1d", 24), ("7d", 168), ("30d", 720)):
            assert row[f"user_events_{name}"] == (times > last - hours * HOUR_S * 1_000_000).sum(), name
        assert row[schema.USER_HISTORY_ITEMS] == past["item_id"].to_list()
        assert row[schema.USER_HISTORY_TIMES] == times.tolist()
        mean = past["value"].mean()
        assert row[schema.USER_RATING_MEAN] == (None if mean is None else np.float32(mean))
    assert table.equals(table.sort("user_id", schema.EVENT_TIMESTAMP))


@given(EVENTS, st.integers(0, 90))
def test_activity_up_to_a_moment_is_untouched_by_what_comes_after(rows, quarter_days):
    moment = quarter_days * DAY_S / 4
    before = pl.col(schema.EVENT_TIMESTAMP).dt.epoch("us") <= moment * 1_000_000

    whole = activity(rows).filter(before)

    assert whole.equals(activity([row for row in rows if row[2] <= moment]))


@given(EVENTS)
def test_choices_are_those_of_the_splits(rows):
    interactions = Interactions.from_table(resolved(event_table(rows)))

    ours = consumed_events(resolved(event_table(rows)))

    assert ours.sort(pl.all()).equals(events_of(consumed(interactions)).sort(pl.all()))


def test_resolved_rows_do_not_depend_on_order_and_keep_the_known_value():
    rows = [("u", "a", 0, None), ("u", "a", 0, 3.0), ("u", "a", 0, 2.0)]

    assert resolved(event_table(rows)).equals(resolved(event_table(rows[::-1])))
    assert resolved(event_table(rows))["value"].to_list() == [2.0]


def test_bucket_of_a_user_is_the_same_for_ever():
    users = pl.Series(["a", "b", "c"])

    assert bucket_of(users, 4)["bucket"].to_list() == [3, 1, 3]  # crc32 modulo 4
