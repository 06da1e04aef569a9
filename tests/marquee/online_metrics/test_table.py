"""Metrics of small logs, by hand."""

import math
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from marquee import schema
from marquee.errors import NotEnoughDataError
from marquee.experiments.comparison import Arm, compare
from marquee.online_metrics.config import OnlineConfig
from marquee.online_metrics.table import METRICS, TABLE_SCHEMA
from tests.marquee.online_metrics.small_log import (
    CONFIG,
    DAY,
    LATE,
    asked,
    at,
    catalogue,
    done,
    logs_of,
    measured,
    row_of,
    rows_of,
    value_of,
)  # fmt: skip

SHOWN = [
    asked(1, "ann", 1, "a", "b", "c"),
    asked(2, "ann", 2, "b", "d"),
    asked(3, "bob", 3, "a"),
    asked(4, None, 4, "a", "b", degraded=("cold",)),
    asked(5, "cat", 5),
]
DONE = [
    ("ann", "a", "click", 1.5),
    ("ann", "a", "view", 1.6, 0.5),
    ("ann", "c", "like", 1.7),  # shown third, below the cut
    ("ann", "d", "view", 3, 1.0),
    ("bob", "a", "impression", 3.1),
]


def test_ratios_are_sums_over_known_users_by_sums():
    found = measured(logs_of(SHOWN, done(*DONE)))

    # Six items were shown to known users; the stranger's two have no outcome.
    assert value_of(found, "ctr") == 1 / 6
    assert value_of(found, "engagement") == 3 / 6
    assert value_of(found, "watch_through") == pytest.approx((0.5 + 1.0) / 2)
    # Of four requests two had one relevant item among the first two each.
    assert value_of(found, "precision") == pytest.approx((1 / 2 + 1 / 2 + 0 + 0) / 4)
    # ann's first list: hits at 1 of two relevant (the other at 3); her second: one at 2.
    ideal = 1 + 1 / math.log2(3)
    assert value_of(found, "ndcg") == pytest.approx((1 / ideal + (1 / math.log2(3)) / 1) / 2)
    assert value_of(found, "degraded_share") == 1 / 5
    assert value_of(found, "empty_share") == 1 / 5
    assert value_of(found, "label_coverage") == 1.0
    assert value_of(found, "requests") == 5.0
    assert (row_of(found, "requests")["n_users"], row_of(found, "ctr")["n_users"]) == (3, 2)
    assert (row_of(found, "ctr")["total"], row_of(found, "ctr")["base"]) == (1.0, 6.0)


def test_table_has_its_schema_and_only_known_metrics():
    table = measured(logs_of(SHOWN, done(*DONE), movies=catalogue("a", "b"))).table

    assert table.schema == pl.Schema(TABLE_SCHEMA)
    assert set(table["metric"]) <= set(METRICS)
    assert table.filter(pl.col("metric").is_in(["ctr", "requests"]))["k"].null_count() == len(
        table.filter(pl.col("metric").is_in(["ctr", "requests"]))
    )
    assert set(table.filter(pl.col("metric") == "ndcg")["k"]) == {2}


def test_coverage_is_of_the_catalogue_at_the_cut():
    found = measured(logs_of(SHOWN, done(*DONE), movies=catalogue("a", "b", "c", "e")))

    # c was shown below the cut, d is not in the catalogue: a and b of four.
    assert value_of(found, "coverage") == 2 / 4
    assert row_of(found, "coverage")["low"] is None
    assert rows_of(measured(logs_of(SHOWN, done(*DONE))), "coverage") == []


def test_novelty_is_by_what_people_did_before_the_period():
    past = [("x", "a", "view", -1), ("x", "a", "click", -2), ("y", "a", "view", -3), ("z", "b", "view", -24)]
    later = [("w", "b", "view", 1)]  # within the period: nothing that the list's makers could know
    found = measured(logs_of([asked(1, "ann", 5, "a", "b", "c")], done(*past, *later)))

    # Three users; a is known to two, b to one; c is below the cut.
    assert value_of(found, "novelty") == pytest.approx((math.log2(4 / 3) + math.log2(4 / 2)) / 2)
    assert rows_of(measured(logs_of(SHOWN, done(*DONE))), "novelty") == []  # nobody did anything before


def test_popularity_older_than_its_days_is_forgotten():
    past = [("x", "a", "view", -25), ("y", "b", "view", -1)]
    config = OnlineConfig(k=2, popularity_days=1)
    found = measured(logs_of([asked(1, "ann", 5, "a")], done(*past)), config=config)

    assert value_of(found, "novelty") == math.log2(2 / 1)


def test_outcomes_wait_for_their_window_and_the_rest_does_not():
    logs = logs_of([asked(1, "ann", 1, "a"), asked(2, "bob", 5, "a")], done(("ann", "a", "click", 2)))

    early = measured(logs, until=at(24 + 3))

    assert value_of(early, "ctr") == 1 / 1  # bob's request is too young
    assert row_of(early, "ctr")["n_requests"] == 1
    assert value_of(early, "label_coverage") == 1 / 2
    assert value_of(early, "requests") == 2.0
    assert (row_of(early, "ctr")["is_final"], row_of(early, "degraded_share")["is_final"]) == (False, True)
    assert rows_of(measured(logs, until=at(1)), "ctr") == []
    whole = measured(logs, until=at(48))
    assert (value_of(whole, "ctr"), row_of(whole, "ctr")["is_final"]) == (1 / 2, True)


def test_outcomes_wait_for_the_delay_of_the_feed_too():
    logs = logs_of([asked(1, "ann", 1, "a")], done(("ann", "a", "click", 24)))
    config = OnlineConfig(k=2, delay_hours=6)

    assert rows_of(measured(logs, until=at(24 + 6), config=config), "ctr") == []
    assert value_of(measured(logs, until=at(24 + 7), config=config), "ctr") == 1.0
    finals = [row_of(measured(logs, until=at(hour), config=config), "ctr")["is_final"] for hour in (53, 54)]
    assert finals == [False, True]  # 24 of the period, 24 of the window, 6 of the delay


def test_label_coverage_falls_where_events_lag_behind_the_requests():
    shown = [asked(number, "ann", 24.0 * number, "a") for number in range(1, 5)]

    assert measured(logs_of(shown, done()), until=at(24 * 4)).label_coverage == 3 / 3
    assert measured(logs_of(shown, done()), until=at(24 * 3)).label_coverage == 2 / 3
    assert measured(logs_of(shown[:1], done()), until=at(24)).label_coverage is None


def test_periods_variants_and_surfaces_are_apart():
    shown = [
        asked(1, "ann", 23.9, "a"),
        asked(2, "ann", 24, "a"),
        asked(3, "bob", 1, "a", variant="fresh"),
        asked(4, "bob", 2, "b", variant="fresh", surface="similar", item_id="a"),
    ]

    rows = rows_of(measured(logs_of(shown, done())), "requests")

    assert [(row["period"], row["variant"], row["surface"], row["value"]) for row in rows] == [
        (DAY, "default", "home", 1.0),
        (DAY, "fresh", "home", 1.0),
        (DAY, "fresh", "similar", 1.0),
        (DAY + timedelta(days=1), "default", "home", 1.0),
    ]


def test_slices_divide_the_requests():
    users = pl.DataFrame({schema.USER_ID: ["ann", "bob"], schema.MATURITY_LIMIT: [12, None]})
    shown = [
        asked(1, "ann", 1, "a", history_events=4, bundle_id="x" * 64),
        asked(2, "bob", 1, "a", history_events=5, device=None, bundle_id="y" * 64),
        asked(3, None, 1, "a", device="phone", bundle_id="y" * 64),
    ]

    found = measured(logs_of(shown, done(("ann", "a", "click", 2)), users=users))

    def counts(slicing: str) -> dict[str, float]:
        return {row["slice"]: row["value"] for row in rows_of(found, "requests", slicing=slicing)}

    assert counts("history") == {"newcomer": 1.0, "known": 2.0}
    assert counts("device") == {"tv": 1.0, "unknown": 1.0, "phone": 1.0}
    assert counts("maturity") == {"up to 12": 1.0, "no limit": 2.0}
    assert counts("bundle") == {"x" * 64: 1.0, "y" * 64: 2.0}
    assert value_of(found, "ctr", slicing="history", slice="newcomer") == 1.0
    assert value_of(found, "ctr", slicing="history", slice="known") == 0.0


def test_rare_devices_are_one_slice():
    names = ["tv", "tv", "phone", "phone", "x1", "x2"]
    shown = [asked(number, "ann", number, "a", device=name) for number, name in enumerate(names)]
    config = OnlineConfig(max_devices=2)

    rows = rows_of(measured(logs_of(shown, done()), config=config), "requests", slicing="device")

    assert {row["slice"]: row["value"] for row in rows} == {"tv": 2.0, "phone": 2.0, "other": 2.0}


def test_interval_is_of_users_as_in_experiments():
    rng = np.random.default_rng(0)
    shown, events, number = [], [], 0
    sums = {}
    for user in range(30):
        clicks, n = 0, int(rng.integers(1, 6))
        for _ in range(n):
            number += 1
            shown.append(asked(number, f"u{user}", number / 100, f"i{number}"))
            if rng.random() < 0.2 + 0.6 * (user % 2):
                clicks += 1
                events.append((f"u{user}", f"i{number}", "click", 12))
        sums[user] = (clicks, n)
    total, base = (np.array(each, dtype=float) for each in zip(*sums.values(), strict=True))

    row = row_of(measured(logs_of(shown, done(*events))), "ctr")
    arm = Arm(total=total, base=base)
    twice = compare(arm, arm).variance  # of the difference of two arms that are alike, and independent

    assert row["value"] == pytest.approx(total.sum() / base.sum())
    assert row["high"] - row["low"] == pytest.approx(2 * 1.959964 * math.sqrt(twice / 2), rel=1e-6)


def test_one_user_or_users_that_are_alike_have_no_interval():
    one = measured(
        logs_of([asked(1, "ann", 1, "a"), asked(2, "ann", 2, "b")], done(("ann", "a", "click", 2)))
    )
    alike = measured(logs_of([asked(1, "ann", 1, "a"), asked(2, "bob", 2, "b")], done()))

    assert [row_of(found, "ctr")["low"] for found in (one, alike)] == [None, None]


def test_nothing_shown_is_said():
    with pytest.raises(NotEnoughDataError, match="nothing was shown"):
        measured(logs_of([], done(("ann", "a", "click", 1))))


# --- what an event bus does ---------------------------------------------------------------------------

_items = st.lists(st.sampled_from("abcd"), unique=True, max_size=3)
_requests = st.tuples(
    st.sampled_from(["ann", "bob", None]), st.integers(0, 71), _items, st.sampled_from(["default", "fresh"])
)
_events = st.tuples(
    st.sampled_from(["ann", "bob"]),
    st.sampled_from("abcd"),
    st.sampled_from(["click", "view", "like", "impression", "rating"]),
    st.integers(-24, 120),
    st.sampled_from([0.25, 0.5, 1.0]),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(_requests, min_size=1, max_size=12), st.lists(_events, max_size=25), st.data())
def test_order_and_repeats_change_nothing(requests, events, data):
    shown = [
        asked(number, user, hour, *items, variant=variant)
        for number, (user, hour, items, variant) in enumerate(requests)
    ]
    again = data.draw(st.permutations([*shown, *data.draw(st.lists(st.sampled_from(shown), max_size=5))]))
    repeated = [*events, *(data.draw(st.lists(st.sampled_from(events), max_size=5)) if events else [])]
    moved = data.draw(st.permutations(repeated))
    movies = catalogue("a", "b", "c")

    once = measured(logs_of(shown, done(*events), movies=movies))
    twice = measured(logs_of(again, done(*moved), movies=movies.reverse()))

    assert_frame_equal(once.table, twice.table, check_exact=True)


@settings(max_examples=25, deadline=None)
@given(st.lists(_requests, min_size=1, max_size=12), st.lists(_events, max_size=25), st.integers(24, 96))
def test_what_comes_later_changes_no_final_number(requests, events, hour):
    shown = [
        asked(number, user, moment, *items, variant=variant)
        for number, (user, moment, items, variant) in enumerate(requests)
    ]
    early_events = [each for each in events if each[3] <= hour]  # the others are on their way

    logs = logs_of(shown, done(*early_events), movies=catalogue("a", "b"))
    if logs.between(None, at(hour)).requests.is_empty():
        return
    early = measured(logs.between(None, at(hour)), until=at(hour)).table.filter("is_final")
    late = measured(logs_of(shown, done(*events), movies=catalogue("a", "b")), until=LATE).table
    keys = ["period", "variant", "surface", "slicing", "slice", "metric"]

    assert_frame_equal(
        early.drop("until"), late.drop("until").join(early.select(keys), on=keys, maintain_order="left"),
        check_exact=True,
    )  # fmt: skip
    newest = max(early["period"], default=None)
    if newest is not None:  # and none is missing of the periods that are over
        is_over = late.filter(pl.col("period") < newest)
        assert len(is_over.filter(pl.col("metric") == "requests")) == len(
            early.filter(pl.col("metric") == "requests", pl.col("period") < newest)
        )


def test_exposures_before_the_first_period_change_no_outcome():
    shown = [asked(1, "ann", 1, "a"), asked(2, "ann", 25, "a"), asked(3, "bob", 20, "b")]
    logs = logs_of(shown, done(("ann", "a", "click", 26), ("bob", "b", "click", 30)))

    cut = measured(logs.between(at(24), None)).table
    whole = measured(logs).table.filter(pl.col("period") >= at(24))

    assert_frame_equal(cut, whole, check_exact=True)


def test_config_finds_the_period_of_a_moment():
    assert CONFIG.period_of(at(47.9)) == at(24)
    assert OnlineConfig(period_hours=6).period_of(at(13)) == at(12)
