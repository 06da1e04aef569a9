"""The record as it is written: one line that holds all of it, or a clear error."""

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given

from marquee.errors import ContractError
from marquee.monitoring.exposure import Exposure
from marquee.monitoring.exposure_lines import parsed
from tests.marquee.monitoring.exposure_factory import exposure, exposures, shown


@given(exposures)
def test_line_of_any_exposure_reads_back_as_the_same(record: Exposure):
    line = record.to_line()

    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert parsed(line.decode(), line=1) == record


def test_line_holds_every_field_of_the_record():
    values = json.loads(exposure(items=(shown(1),)).to_line())

    assert set(values) == {field.name for field in dataclasses.fields(Exposure)}
    assert values["items"] == [
        {"item_id": "i1", "position": 1, "score": 1.0, "route": "ease", "propensity": None}
    ]


@pytest.mark.parametrize(
    "differences",
    [
        {"latency_ms": math.nan},
        {"items": (shown(1, score=math.inf),)},
        {"items": (shown(1, score=np.float32(0.5)),)},
        {"history_events": np.int64(3)},
        {"user_id": "\ud800"},
    ],
)
def test_value_that_no_line_can_hold_is_refused_with_its_request(differences):
    with pytest.raises(ContractError, match="the exposure of request 'r1' can't be written"):
        exposure(**differences).to_line()
