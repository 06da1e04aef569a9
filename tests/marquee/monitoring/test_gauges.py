"""The list of gauges, and what a gauge yields."""

import re
from datetime import UTC, datetime

import pytest

from marquee.monitoring.gauges import CANARY_PHASE, DRIFT_Z, GAUGES, LAST_SUCCESS, WINDOW_USERS, Reading

FORBIDDEN = {"job", "instance", "user", "user_id", "item", "item_id", "request", "request_id"}


def test_names_are_unique_and_say_whose_they_are():
    names = [each.name for each in GAUGES]

    assert len(set(names)) == len(names) > 40
    assert [each for each in names if not re.fullmatch(r"marquee(_[a-z0-9]+)+", each)] == []
    assert [each.name for each in GAUGES if not each.help.endswith(".")] == []


def test_no_label_is_a_user_an_item_or_prometheus_own():
    assert [each.name for each in GAUGES if FORBIDDEN & set(each.labels)] == []


def test_moments_are_named_so():
    said = [each.name for each in GAUGES if each.help.startswith(("When", "Until when", "Time of", "End of"))]

    assert [each for each in said if not each.endswith("_timestamp_seconds")] == []


@pytest.mark.parametrize("value", [None, float("nan")])
def test_what_is_unknown_is_not_drawn(value: float | None):
    assert list(DRIFT_Z.at(value, "genre_psi")) == []
    assert list(LAST_SUCCESS.when(None, "drift")) == []


def test_moment_is_in_seconds():
    moment = datetime(1970, 1, 1, 0, 1, tzinfo=UTC)

    assert list(LAST_SUCCESS.when(moment, "drift")) == [Reading(LAST_SUCCESS, ("drift",), 60.0)]


def test_one_state_of_several_is_1():
    found = list(CANARY_PHASE.one_of("b", ("a", "b"), "marquee"))

    assert found == [
        Reading(CANARY_PHASE, ("marquee", "a"), 0.0),
        Reading(CANARY_PHASE, ("marquee", "b"), 1.0),
    ]


def test_wrong_labels_are_a_fault_of_ours():
    with pytest.raises(ValueError, match="has the labels"):
        list(WINDOW_USERS.at(1.0, "too many"))
