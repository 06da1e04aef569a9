from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from marquee import schema
from marquee.data.contract import BROKEN_RULES, CheckedChunk, InteractionSchema, check_chunk
from marquee.data.mapping import Mapping
from marquee.data.records import RecordChunk, Rejected

COLUMNS = ("user_id", "item_id", "interaction_type", "timestamp", "value", "position")
LATEST = datetime(2024, 6, 2, tzinfo=UTC)
LATEST_S = 1_717_286_400
GOOD = ("u", "i", "rating", "5", "4", "1")

Row = tuple[str | None, ...]


def mapping_of(**changes: object) -> Mapping:
    return Mapping.model_validate({"format": "jsonl", "columns": {name: name for name in COLUMNS}} | changes)


def check(*rows: Row, mapping: Mapping | None = None, rejected: tuple[Rejected, ...] = ()) -> CheckedChunk:
    frame = pl.DataFrame(list(rows), schema=dict.fromkeys(COLUMNS, pl.String), orient="row")
    lines = [10 * (i + 1) for i in range(len(rows))]
    chunk = RecordChunk(frame, lines, lambda i: f"raw {i}", rejected, 0)
    return check_chunk(chunk, mapping or mapping_of(), latest=LATEST)


def changed(**fields: str | None) -> Row:
    return tuple((dict(zip(COLUMNS, GOOD, strict=True)) | fields).values())


BROKEN = {
    "missing_user_id": [{"user_id": None}, {"user_id": ""}, {"user_id": " \t"}],
    "missing_item_id": [{"item_id": None}, {"item_id": " "}],
    "missing_interaction_type": [{"interaction_type": None}, {"interaction_type": " "}],
    "unknown_interaction_type": [{"interaction_type": "Rating"}, {"interaction_type": "bought"}],
    "missing_timestamp": [{"timestamp": None}, {"timestamp": ""}],
    "unreadable_timestamp": [{"timestamp": "noon"}, {"timestamp": "nan"}],
    "negative_timestamp": [{"timestamp": "-1"}, {"timestamp": "-1e300"}],
    "future_timestamp": [{"timestamp": str(LATEST_S + 1)}, {"timestamp": "1e300"}],
    "unreadable_value": [{"value": "four"}, {"value": "4,5"}],
    "value_not_finite": [{"value": "nan"}, {"value": "-inf"}, {"value": "1e39"}],
    "missing_value": [{"value": None}, {"value": ""}],
    "view_out_of_range": [
        {"interaction_type": "view", "value": "1.01"},
        {"interaction_type": "view", "value": "-0.01"},
    ],
    "unreadable_position": [{"position": "1.5"}, {"position": "top"}, {"position": "2147483648"}],
    "negative_position": [{"position": "-1"}],
}


@pytest.mark.parametrize(
    ("reason", "fields"), [(reason, fields) for reason, cases in BROKEN.items() for fields in cases]
)
def test_record_that_breaks_one_rule_is_rejected_for_it_with_its_line(
    reason: str, fields: dict[str, str | None]
):
    checked = check(GOOD, changed(**fields), GOOD)

    assert len(checked.good) == 2
    assert [(r.line, r.reason, r.record) for r in checked.rejected] == [(20, reason, "raw 1")]
    assert set(fields) <= set(checked.rejected[0].columns) | {"interaction_type"}


def test_every_reason_of_the_contract_is_caused_above():
    assert {reason.code for reason in BROKEN_RULES} == set(BROKEN)


def test_record_that_breaks_several_rules_counts_once_for_the_first():
    checked = check(changed(user_id="", timestamp="noon", value="four"))

    assert [record.reason for record in checked.rejected] == ["missing_user_id"]


@pytest.mark.parametrize(
    "fields",
    [
        {"timestamp": str(LATEST_S)},
        {"timestamp": "0"},
        {"interaction_type": "view", "value": "0"},
        {"interaction_type": "view", "value": "1"},
        {"interaction_type": "view", "value": None},
        {"interaction_type": "click", "value": "", "position": ""},
        {"value": "-3"},
        {"position": "0"},
        {"position": "3.0"},
    ],
)
def test_record_on_the_edge_of_the_contract_is_accepted(fields: dict[str, str | None]):
    checked = check(changed(**fields))

    assert (len(checked.good), checked.rejected) == (1, [])


def test_good_rows_conform_to_the_schema_in_their_order():
    checked = check(changed(user_id=" b "), changed(user_id="a", timestamp="7.5"))

    assert dict(checked.good.schema) == schema.INTERACTIONS_SCHEMA
    assert checked.good["user_id"].to_list() == ["b", "a"]
    assert checked.good["timestamp"][1] == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=7.5)
    assert checked.good["device"].null_count() == 2
    assert InteractionSchema.is_valid(checked.good)


def test_source_values_are_translated_and_null_spellings_become_null():
    mapping = mapping_of(interaction_types={"watched": "view"}, null_values=["NA"])

    checked = check(changed(interaction_type="watched", value="NA"), changed(user_id="NA"), mapping=mapping)

    assert checked.good.select("interaction_type", "value").rows() == [("view", None)]
    assert [record.reason for record in checked.rejected] == ["missing_user_id"]


def test_constant_stands_in_each_row():
    columns = {name: name for name in COLUMNS if name != "interaction_type"}
    mapping = mapping_of(columns=columns, constants={"interaction_type": "like", "device": "tv"})
    frame = pl.DataFrame({name: ["1", "2"] for name in columns})

    good = check_chunk(RecordChunk(frame, [1, 2], str, [], 0), mapping, latest=LATEST).good

    assert good.select("interaction_type", "device").rows() == [("like", "tv")] * 2


def test_whole_float_ids_of_parquet_lose_their_point():
    frame = pl.DataFrame(
        {"user_id": [7.0, None], "item_id": [1, 2], "interaction_type": ["like"] * 2, "timestamp": [1, 2]}
        | {"value": [0.5, 0.5], "position": [1, 1]}
    )

    checked = check_chunk(RecordChunk(frame, [1, 2], str, [], 0), mapping_of(), latest=LATEST)

    assert checked.good.select("user_id", "item_id").rows() == [("7", "1")]
    assert [record.reason for record in checked.rejected] == ["missing_user_id"]


def test_rejected_records_of_reader_and_contract_stand_by_line():
    early, late = Rejected(5, "bad_encoding", "x"), Rejected(25, "nul_byte", "y")

    checked = check(changed(user_id=""), changed(item_id=""), GOOD, rejected=(late, early))

    assert [record.line for record in checked.rejected] == [5, 10, 20, 25]


def test_chunk_without_rows_gives_an_empty_table_of_the_contract():
    assert dict(check().good.schema) == schema.INTERACTIONS_SCHEMA
