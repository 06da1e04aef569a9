"""Tables of responses: one row each, also where nothing was shown."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from marquee.monitoring.request_frame import REQUESTS_SCHEMA, requests_frame
from tests.marquee.monitoring.exposure_factory import exposure, exposures, shown


def test_frame_says_what_each_request_took_and_lacked():
    frame = requests_frame(
        [
            exposure(1, items=(shown(1),), degraded=("cold",), latency_ms=7.5),
            exposure(2, items=()),
            exposure(3, items=(), n=0, user_id=None),
        ]
    )

    assert frame.schema == pl.Schema(REQUESTS_SCHEMA)
    assert frame.select("request_id", "shown_n", "is_degraded", "is_empty", "latency_ms").rows() == [
        ("r1", 1, True, False, 7.5),
        ("r2", 0, False, True, 2.5),
        ("r3", 0, False, False, 2.5),
    ]
    assert frame["user_id"].to_list() == ["u1", "u2", None]


def test_frame_of_nothing_has_the_columns():
    assert requests_frame([]).schema == pl.Schema(REQUESTS_SCHEMA)


@given(st.lists(exposures, max_size=3))
def test_frame_of_anything_that_may_be_logged_has_a_row_each(records):
    assert requests_frame(records)["request_id"].to_list() == [each.request_id for each in records]
