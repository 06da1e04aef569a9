"""Which event belongs to which shown item."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee import schema
from marquee.monitoring.attribution import OUTCOMES, attribute
from marquee.monitoring.exposure_frame import to_frame
from tests.factories import event_table
from tests.marquee.monitoring.exposure_factory import exposure, shown

NOON = datetime(2023, 11, 14, 12, tzinfo=UTC)
NOON_S = int(NOON.timestamp())
END = NOON + timedelta(days=9)
HOUR = 3_600


def shown_at(*rows: tuple[float, str, str | None]) -> pl.DataFrame:
    """Responses of (hour, item, user), one item each, r0 first."""
    return to_frame(
        exposure(
            number,
            time_us=round((NOON_S + hour * HOUR) * 1e6),
            user_id=user,
            items=(shown(1, item_id=item),),
        )
        for number, (hour, item, user) in enumerate(rows)
    )


def done(*rows: tuple) -> pl.DataFrame:
    """Events of (hour, item, user, type[, value])."""
    return event_table(
        [
            (user, item, NOON_S + hour * HOUR, value[0] if value else None, kind)
            for hour, item, user, kind, *value in rows
        ]
    )


def credited(exposures: pl.DataFrame, events: pl.DataFrame, **more) -> dict[str, int]:
    found = attribute(exposures, events, until=END, **more)
    return dict(found.select(schema.REQUEST_ID, "credited_events").iter_rows())


def test_event_goes_to_the_latest_exposure_before_it():
    exposures = shown_at((0, "x", "ann"), (2, "x", "ann"), (4, "x", "ann"))

    assert credited(exposures, done((3, "x", "ann", "click"))) == {"r0": 0, "r1": 1, "r2": 0}


@pytest.mark.parametrize(
    ("event", "n"),
    [
        ((0, "x", "ann", "click"), 1),  # at the very moment
        ((24, "x", "ann", "click"), 1),  # the end of the window is inside
        ((24.001, "x", "ann", "click"), 0),
        ((-0.001, "x", "ann", "click"), 0),
        ((1, "y", "ann", "click"), 0),
        ((1, "x", "bob", "click"), 0),
        ((1, "x", "ann", "impression"), 0),
    ],
)
def test_event_counts_for_the_same_user_and_item_within_the_window(event, n):
    assert credited(shown_at((0, "x", "ann")), done(event)) == {"r0": n}


def test_outcomes_by_kind():
    events = done(
        (1, "x", "ann", "click"),
        (2, "x", "ann", "view", 0.25),
        (3, "x", "ann", "view", 0.75),
        (4, "x", "ann", "rating", 2.0),
        (5, "x", "ann", "rating", 4.0),
        (6, "x", "ann", "watchlist"),
    )

    (row,) = attribute(shown_at((0, "x", "ann")), events, until=END).iter_rows(named=True)

    assert {name: row[name] for name in OUTCOMES} == {
        "clicked": True,
        "watched_share": 0.75,
        "liked": False,
        "shared": False,
        "listed": True,
        "rated": 4.0,
        "credited_events": 6,
        "first_credited_at": NOON + timedelta(hours=1),
        "is_mature": True,
    }


def test_item_without_outcome_stays_and_strangers_have_none():
    found = attribute(shown_at((0, "x", "ann"), (0, "x", None)), done((1, "x", "bob", "click")), until=END)

    assert found.schema == pl.Schema(schema.EXPOSURES_SCHEMA | OUTCOMES)
    assert found["clicked"].to_list() == [False, False]
    assert found["watched_share"].to_list() == [None, None]


def test_item_is_mature_once_its_window_has_passed():
    exposures = shown_at((0, "x", "ann"), (1, "x", "bob"))

    found = attribute(exposures, done(), until=NOON + timedelta(hours=24))

    assert found["is_mature"].to_list() == [True, False]


def test_past_can_be_asked_again():
    exposures = shown_at((0, "x", "ann"))
    late = done((1, "x", "ann", "click"), (5, "x", "ann", "like"))

    then = attribute(exposures, late, until=NOON + timedelta(hours=2))

    assert then.select("clicked", "liked", "credited_events").row(0) == (True, False, 1)


def test_nothing_at_all_gives_the_columns():
    assert attribute(shown_at(), done(), until=END).schema == pl.Schema(schema.EXPOSURES_SCHEMA | OUTCOMES)


hours = st.integers(0, 60)
names = st.sampled_from(["ann", "bob", None])
items = st.sampled_from(["x", "y"])
kinds = st.sampled_from(["click", "view", "like", "impression"])


@given(
    st.lists(st.tuples(hours, items, names), max_size=6),
    st.lists(
        st.tuples(hours, items, st.sampled_from(["ann", "bob"]), kinds, st.sampled_from([0.0, 0.5, 1.0])),
        max_size=8,
    ),
    st.randoms(use_true_random=False),
)
def test_order_and_repeats_change_nothing_and_each_event_is_credited_at_most_once(shows, acts, chance):
    exposures, events = shown_at(*shows), done(*acts)

    once = attribute(exposures, events, until=END)
    again = attribute(twice(exposures, chance), twice(events, chance), until=END)

    assert again.equals(once)
    assert len(once) == len(exposures)
    distinct = events.filter(pl.col("interaction_type") != "impression").unique(schema.EVENT_KEY)
    in_time = [
        any(user == who and item == what and 0 <= at - hour <= 24 for hour, what, who in shows)
        for at, item, user in (
            ((row["timestamp"] - NOON) / timedelta(hours=1), row["item_id"], row["user_id"])
            for row in distinct.iter_rows(named=True)
        )
    ]
    assert once["credited_events"].sum() == sum(in_time)


def twice(frame: pl.DataFrame, chance) -> pl.DataFrame:
    rows = [*range(len(frame)), *range(len(frame))]
    chance.shuffle(rows)
    return frame[rows] if rows else frame


@given(
    st.lists(st.tuples(hours, items, names), max_size=5),
    st.lists(st.tuples(hours, items, names.filter(bool), kinds), max_size=6),
)
def test_mature_items_do_not_change_when_more_arrives(shows, acts):
    exposures, events = shown_at(*shows), done(*acts)
    moment = NOON + timedelta(hours=40)

    early = attribute(exposures, events, until=moment).filter("is_mature")
    late = attribute(exposures, events, until=END).join(
        early.select("request_id"), on="request_id", how="semi"
    )

    assert late.equals(early)
