"""Gauges and points of a table."""

from datetime import timedelta

import pytest

from marquee.monitoring.gauges import Reading
from marquee.online_metrics.points import points
from marquee.online_metrics.readings import MAX_VARIANTS, readings
from marquee.online_metrics.table import OnlineMetrics
from tests.marquee.online_metrics.small_log import DAY, LATE, asked, at, catalogue, done, logs_of, measured

SHOWN = [
    asked(1, "ann", 1, "a"),
    asked(2, "bob", 2, "a", "b"),
    asked(3, "ann", 25, "b"),
    asked(4, "ann", 26, "b", variant="fresh", degraded=("cold",)),
    asked(5, "bob", 50, "b"),
]
DONE = done(("zoe", "a", "view", -5), ("ann", "a", "click", 2))


def of(found: OnlineMetrics) -> dict[tuple[str, ...], float]:
    return {(each.gauge.name, *each.labels): each.value for each in readings(found, now=LATE)}


def test_gauges_are_of_the_newest_period_in_which_nothing_will_be_added():
    found = measured(logs_of(SHOWN, DONE, movies=catalogue("a", "b")), until=at(49))

    drawn = of(found)

    # Outcomes: day 0, whose last window ended at hour 48. The rest: day 1, which is over.
    assert drawn["marquee_online_ctr", "default", "home"] == 1 / 3
    assert drawn["marquee_online_requests", "default", "home"] == 1.0
    assert drawn["marquee_online_degraded_share", "fresh", "home"] == 1.0
    assert drawn["marquee_online_coverage", "default", "home"] == 1 / 2
    assert ("marquee_online_ctr", "fresh", "home") not in drawn
    assert drawn["marquee_online_period_end_timestamp_seconds", "outcome"] == at(24).timestamp()
    assert drawn["marquee_online_period_end_timestamp_seconds", "requests"] == at(48).timestamp()
    assert drawn["marquee_online_events_until_timestamp_seconds",] == at(49).timestamp()
    assert drawn["marquee_online_cutoff",] == 2
    # Of the requests by hour 26, 24 hours before the newest, the one of hour 26 waits for its outcome.
    assert drawn["marquee_label_coverage",] == pytest.approx(3 / 4)
    assert drawn["marquee_last_success_timestamp_seconds", "online"] == LATE.timestamp()


def test_interval_is_drawn_with_its_metric():
    drawn = of(measured(logs_of(SHOWN, DONE), until=at(49)))

    # Residuals 1 - 1/3 and 0 - 2/3 of two users: 1/3 ± 1.96 * sqrt(8/9 * 2) / 3, cut to what a share can be.
    assert drawn["marquee_online_low", "ctr", "default", "home"] == 0.0
    assert drawn["marquee_online_high", "ctr", "default", "home"] == 1.0
    assert ("marquee_online_low", "requests", "default", "home") not in drawn


def test_gauges_name_neither_users_nor_items_nor_requests():
    shown = [asked(each, f"user-{each}", 1, f"item-{each}", device=f"device-{each}") for each in range(40)]
    found = measured(logs_of(shown, DONE))

    labels = [label for each in readings(found, now=LATE) for label in each.labels]

    assert not [label for label in labels if label.startswith(("user", "item", "device", "r1"))]
    assert {len(each.labels) for each in readings(found, now=LATE)} <= {0, 1, 2, 3}


def test_log_that_names_too_many_variants_draws_the_busiest():
    shown = [asked(each, "ann", each / 100, "a", variant=f"v{each % 50:02}") for each in range(75)]

    drawn: list[Reading] = list(readings(measured(logs_of(shown, DONE)), now=LATE))

    variants = {each.labels[0] for each in drawn if each.gauge.name == "marquee_online_requests"}
    assert variants == {f"v{each:02}" for each in range(MAX_VARIANTS)}


def test_points_are_final_numbers_by_period():
    table = measured(logs_of(SHOWN, DONE), until=at(49)).table

    found = {(name, step): (value, end) for name, value, step, end in points(table)}

    day = round(DAY.timestamp() / 86_400)
    assert found["home/default/ctr", day] == (1 / 3, DAY + timedelta(days=1))
    assert found["home/default/precision_at_2", day][0] == pytest.approx((1 / 2 + 0) / 2)
    assert ("home/default/ctr", day + 1) not in found
    assert found["home/default/requests", day + 1][0] == 1.0
    assert ("home/default/ctr/low", day) in found
