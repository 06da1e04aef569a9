"""A row and what is new make the row that the batch build makes of everything."""

from unittest import mock

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee import schema
from marquee.errors import ContractError, FeatureStoreError
from marquee.features.state import activity
from marquee.features.state.activity import user_activity
from marquee.features.state.events import resolved
from marquee.features.state.live import chosen, newest_activity
from tests.factories import DAY_S, HOUR_S, event_table

NOBODY = pl.DataFrame(schema=schema.view_columns("user_activity"))
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["u0", "u1"]),
        st.sampled_from(["a", "b", "c", "d", "e"]),
        st.sampled_from([1, 1 + 1e-6, 2, HOUR_S, HOUR_S + 1, DAY_S, 9 * DAY_S, 40 * DAY_S]),
        st.sampled_from([None, 1.0, 0.1, 4.5, float("nan")]),
        st.sampled_from(["rating", "view", "like", "impression", "click"]),
    ),
    min_size=1,
    max_size=25,
)
BATCHES = st.lists(st.integers(1, 4), min_size=25, max_size=25)


def newest_of_build(rows) -> pl.DataFrame:
    return user_activity(resolved(event_table(rows))).unique("user_id", keep="last", maintain_order=True)


def step(before: pl.DataFrame, new: list, *, older=None) -> pl.DataFrame:
    """All users' rows after some events: those of theirs made anew, the others as they were."""
    events = chosen(event_table(new))
    made = newest_activity(
        events,
        before.join(events, on="user_id", how="semi"),
        older=None if older is None else event_table(older),
    )
    return pl.concat([before.join(made, on="user_id", how="anti"), made]).sort("user_id")


@given(EVENTS, BATCHES)
def test_row_after_each_batch_of_any_events_equals_the_builds(rows, sizes):
    state, done = NOBODY, 0
    for size in sizes:
        state, done = step(state, rows[done : done + size]), done + size

        wanted = newest_of_build(rows[:done])
        assert state.equals(wanted, null_equal=True), (state, wanted)
        if done >= len(rows):
            break


@given(EVENTS, BATCHES)
def test_row_whose_history_is_cut_equals_the_builds_with_older_events(rows, sizes):
    with (
        mock.patch.object(schema, "HISTORY_WIDTH", 2),
        mock.patch.object(activity.schema, "HISTORY_WIDTH", 2),
    ):
        state, done = NOBODY, 0
        for size in sizes:
            state, done = step(state, rows[done : done + size], older=rows[:done]), done + size

            assert state.equals(newest_of_build(rows[:done]), null_equal=True)
            if done >= len(rows):
                break


def test_older_events_need_only_reach_up_to_the_history(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(schema, "HISTORY_WIDTH", 2)
    rows = [("u", item, second, 3.0) for second, item in enumerate("abcde", start=1)]
    before = newest_of_build(rows[:4])

    after = step(before, rows[4:], older=rows[:2])  # "c" and "d" are in the history

    assert after.equals(newest_of_build(rows))


def test_older_events_with_a_gap_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(schema, "HISTORY_WIDTH", 2)
    rows = [("u", item, second, 3.0) for second, item in enumerate("abcde", start=1)]

    with pytest.raises(FeatureStoreError, match="has chosen 4 items by the online row, and 3 of them"):
        step(newest_of_build(rows[:4]), rows[4:], older=rows[:1])
    with pytest.raises(FeatureStoreError, match="and 2 of them"):
        step(newest_of_build(rows[:4]), rows[4:])


def test_repeat_moves_the_rows_time_and_nothing_else():
    first = newest_of_build([("u", "a", 1, 3.0)])

    again = step(first, [("u", "a", 9, 5.0)])

    assert again[schema.USER_SEEN_US].to_list() == [9_000_000]
    assert again[schema.EVENT_TIMESTAMP].dt.epoch("us").to_list() == [9_000_000]
    changed = [name for name in first.columns if not first[name].equals(again[name])]
    assert changed == [schema.EVENT_TIMESTAMP, schema.CREATED_TIMESTAMP, schema.USER_SEEN_US]


def test_impression_and_click_choose_nothing():
    assert chosen(event_table([("u", "a", 1, None, "impression"), ("u", "a", 2, None, "click")])).is_empty()


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ({"drop": schema.VALUE}, "lack column 'value'"),
        ({"type": "watched"}, "do not fit the contract"),
        ({"user": None}, "'user_id' of events holds null"),
    ],
)
def test_events_that_break_the_contract_are_refused(change, seen: str):
    events = event_table([("u", "a", 1, 3.0)])
    if "drop" in change:
        events = events.drop(change["drop"])
    if "type" in change:
        events = events.with_columns(pl.lit(change["type"]).alias(schema.INTERACTION_TYPE))
    if "user" in change:
        events = events.with_columns(pl.lit(None, pl.String).alias(schema.USER_ID))

    with pytest.raises(ContractError, match=seen):
        chosen(events)
