"""Tables of exposures: one row for each item shown, and for each experiment met."""

from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from marquee import schema
from marquee.monitoring.exposure import AssignmentRecord
from marquee.monitoring.exposure_frame import assignments_frame, to_frame
from tests.marquee.monitoring.exposure_factory import exposure, exposures, shown

START = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_frame_has_a_row_for_each_item_with_all_of_the_request():
    frame = to_frame(
        [
            exposure(1, items=(shown(1, propensity=0.25), shown(2, score=None)), degraded=("slow", "cold")),
            exposure(2, items=()),
            exposure(3, surface="similar", item_id="asked", items=(shown(1),), user_id=None),
        ]
    )

    assert frame.schema == pl.Schema(schema.EXPOSURES_SCHEMA)
    assert frame.select("request_id", "item_id", "position", "score", "propensity").rows() == [
        ("r1", "i1", 1, 1.0, 0.25),
        ("r1", "i2", 2, None, None),
        ("r3", "i1", 1, 1.0, None),
    ]
    assert frame.row(0, named=True)["timestamp"] == START + timedelta(microseconds=1)
    assert frame.row(0, named=True)["asked_at"] == START
    assert frame["degraded"].to_list() == [["slow", "cold"], ["slow", "cold"], []]
    assert (
        frame.row(2, named=True).items()
        >= {
            "surface": "similar",
            "asked_item_id": "asked",
            "asked_n": 12,
            "user_id": None,
            "device": "tv",
            "location": None,
            "route": "ease",
            "bundle_id": "b" * 64,
            "variant": "champion",
            "features_hash": None,
            "item_matrix_version": "m1",
            "history_events": 3,
            "latency_ms": 2.5,
        }.items()
    )


def test_frame_of_nothing_has_the_columns():
    assert to_frame([]).schema == pl.Schema(schema.EXPOSURES_SCHEMA)
    assert assignments_frame([]).schema == pl.Schema(schema.ASSIGNMENTS_SCHEMA)


@given(st.lists(exposures, max_size=3))
def test_frame_of_anything_that_may_be_logged_has_its_items(records):
    frame = to_frame(records)

    assert frame["item_id"].to_list() == [item.item_id for each in records for item in each.items]
    assert frame["score"].to_list() == [item.score for each in records for item in each.items]


def test_assignments_have_a_row_for_each_experiment_of_a_request():
    met = [
        AssignmentRecord(experiment="ranker", variant="b", propensity=0.5, is_override=False),
        AssignmentRecord(experiment="policy", variant="a", propensity=0.9, is_override=True),
    ]

    frame = assignments_frame([exposure(1, assignments=tuple(met)), exposure(2)])

    assert frame.drop("timestamp").rows() == [
        ("r1", "u1", "ranker", "b", 0.5, False),
        ("r1", "u1", "policy", "a", 0.9, True),
    ]
