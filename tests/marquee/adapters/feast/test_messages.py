"""Our messages are Feast's own, value by value."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pyarrow as pa
from feast import Entity, FeatureView, Field, FileSource, ValueType, utils
from feast.protos.feast.types.Value_pb2 import Value
from feast.type_map import feast_value_type_to_python_type
from feast.types import Array, Float32, Float64, Int32, Int64, String
from hypothesis import given
from hypothesis import strategies as st

from marquee import schema
from marquee.adapters.feast.messages import python_value, row_messages

TYPES = {
    "float": (Float32, pl.Float32()),
    "whole": (Int64, pl.Int64()),
    "text": (String, pl.String()),
    "texts": (Array(String), pl.List(pl.String())),
    "longs": (Array(Int64), pl.List(pl.Int64())),
    "ints": (Array(Int32), pl.List(pl.Int32())),
    "floats": (Array(Float32), pl.List(pl.Float32())),
    "double": (Float64, pl.Float64()),  # none of ours: left to Feast
}
SOURCE = FileSource(
    name="source",
    path="nowhere",
    timestamp_field=schema.EVENT_TIMESTAMP,
    created_timestamp_column=schema.CREATED_TIMESTAMP,
)
VIEW = FeatureView(
    name="view",
    entities=[Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)],
    schema=[
        Field(name="user_id", dtype=String),
        *(Field(name=name, dtype=kind) for name, (kind, _) in TYPES.items()),
    ],
    source=SOURCE,
)
WHOLE = st.integers(-(2**63), 2**63 - 1)
SINGLE = st.floats(width=32, allow_nan=False)
ROW = st.fixed_dictionaries(
    {
        "user_id": st.text(max_size=4),
        schema.EVENT_TIMESTAMP: st.integers(1, 2**52).map(
            lambda time_us: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us)
        ),
        "float": st.none() | SINGLE,
        "whole": st.none() | st.integers(-(2**53), 2**53),  # Feast's way of nulls is by float64
        "text": st.none() | st.text(max_size=4),
        "texts": st.none() | st.lists(st.text(max_size=3), max_size=3),
        "longs": st.none() | st.lists(WHOLE, max_size=3),
        "ints": st.none() | st.lists(st.integers(-(2**31), 2**31 - 1), max_size=3),
        "floats": st.none() | st.lists(st.floats(width=32), max_size=3),
        "double": st.none() | st.floats(allow_nan=False),
    }
)


def table(rows: list[dict]) -> pa.Table:
    time = pl.col(schema.EVENT_TIMESTAMP)
    dtypes = {"user_id": pl.String(), **{name: dtype for name, (_, dtype) in TYPES.items()}}
    frame = pl.DataFrame(rows, schema={schema.EVENT_TIMESTAMP: schema.TIME_DTYPE, **dtypes})
    made = frame.with_columns((time - pl.duration(hours=1)).alias(schema.CREATED_TIMESTAMP))
    return made.to_arrow(compat_level=pl.CompatLevel.oldest())


@given(st.lists(ROW, min_size=1, max_size=5))
def test_messages_of_any_rows_are_those_of_feast(rows):
    # Feast refuses a float column whose first value is zero: give it another one first, and drop it again.
    first = {**rows[0], **dict.fromkeys(TYPES), "float": 1.5, "double": 1.5}
    arrow = table([first, *rows])

    ours = row_messages(arrow, VIEW)

    theirs = utils._convert_arrow_to_proto(arrow, VIEW, {"user_id": ValueType.STRING})
    for mine, wanted in zip(ours, theirs, strict=True):
        assert mine[0] == wanted[0]
        for name, value in mine[1].items():
            assert value.SerializeToString() == wanted[1][name].SerializeToString(), name
        assert mine[2:] == tuple(utils.make_tzaware(moment) for moment in wanted[2:])


@given(ROW, st.lists(st.binary(max_size=3), max_size=2))
def test_values_of_any_messages_are_those_of_feast(row, others):
    messages = [*row_messages(table([row]), VIEW)[0][1].values(), Value(bytes_list_val={"val": others})]

    assert [repr(python_value(each)) for each in messages] == [
        repr(feast_value_type_to_python_type(each)) for each in messages
    ]


def test_messages_of_a_column_that_begins_with_zero_hold_zero():
    moment = datetime(2025, 1, 1, tzinfo=UTC)
    row = {"user_id": "u", schema.EVENT_TIMESTAMP: moment, **dict.fromkeys(TYPES), "float": 0.0, "whole": 0}

    key, values, event, created = row_messages(table([row]), VIEW)[0]

    assert key.entity_values[0].string_val == "u"
    assert (values["float"].WhichOneof("val"), values["float"].float_val) == ("float_val", 0.0)
    assert values["whole"].WhichOneof("val") == "int64_val"
    assert values["text"].WhichOneof("val") is None
    assert (event, created) == (moment, moment - timedelta(hours=1))
