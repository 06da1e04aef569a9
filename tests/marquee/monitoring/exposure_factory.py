"""Exposures to order, and the strategy of all that may be logged."""

from hypothesis import strategies as st

from marquee import schema
from marquee.monitoring.exposure import AssignmentRecord, Exposure, ExposureContext, ShownItem

NOON_US = 1_700_000_000_000_000  # 2023-11-14 22:13:20 UTC


def shown(position: int, **differences) -> ShownItem:
    values = {"item_id": f"i{position}", "score": 1 / position, "route": "ease", "propensity": None}
    return ShownItem(position=position, **values | differences)


def exposure(number: int = 1, **differences) -> Exposure:
    values = {
        "request_id": f"r{number}",
        "time_us": NOON_US + number,
        "user_id": f"u{number % 3}",
        "surface": "home",
        "item_id": None,
        "n": 12,
        "context": ExposureContext(timestamp_us=NOON_US, device="tv", location=None),
        "items": (shown(1), shown(2)),
        "bundle_id": "b" * 64,
        "variant": "champion",
        "assignments": (),
        "degraded": (),
        "features_hash": None,
        "item_matrix_version": "m1",
        "history_events": 3,
        "latency_ms": 2.5,
    }
    return Exposure(**values | differences)


_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_name = _text.filter(bool)
_finite = st.floats(allow_nan=False, allow_infinity=False)
_time = st.integers(-(2**63), 2**63 - 1)
_count = st.integers(0, 2**31 - 1)

shown_items = st.builds(
    ShownItem,
    item_id=_name,
    position=st.integers(1, 2**31 - 1),
    score=st.none() | _finite,
    route=_name,
    propensity=st.none() | st.floats(0, 1, exclude_min=True),
)
exposures = st.builds(
    Exposure,
    request_id=_name,
    time_us=_time,
    user_id=st.none() | _name,
    surface=st.sampled_from(schema.SURFACES),
    item_id=st.none() | _name,
    n=_count,
    context=st.builds(
        ExposureContext, timestamp_us=_time, device=st.none() | _text, location=st.none() | _text
    ),
    items=st.lists(shown_items, max_size=4).map(tuple),
    bundle_id=_name,
    variant=_name,
    assignments=st.lists(
        st.builds(
            AssignmentRecord,
            experiment=_name,
            variant=_name,
            propensity=st.floats(0, 1),
            is_override=st.booleans(),
        ),
        max_size=2,
    ).map(tuple),
    degraded=st.lists(_name, max_size=2).map(tuple),
    features_hash=st.none() | _name,
    item_matrix_version=st.none() | _name,
    history_events=_count,
    latency_ms=st.floats(0, allow_infinity=False),
)
