"""Whatever stands in a file: each record is accepted or quarantined, by its right line and reason."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marquee.data.ingest import IngestConfig, ingest_interactions
from marquee.data.mapping import Mapping
from marquee.data.warehouse import Warehouse
from tests.marquee.data.conftest import NOW

CSV = {  # record, without its line end -> the reason why it is bad, None where it is good
    b"u,i,like,{n},": None,
    b'"u,1",i,rating,{n},5': None,
    b'"u\n\n""2""",i,view,{n},1': None,
    b'u"3,i,click,{n},': None,
    b",i,like,{n},": "missing_user_id",
    b"u, ,like,{n},": "missing_item_id",
    b"u,i,,{n},": "missing_interaction_type",
    b"u,i,watch,{n},": "unknown_interaction_type",
    b"u,i,like,,": "missing_timestamp",
    b"u,i,like,{n}x,": "unreadable_timestamp",
    b"u,i,like,-{n}.5,": "negative_timestamp",
    b"u,i,like,9{n}00000000000,": "future_timestamp",
    b"u,i,like,{n},much": "unreadable_value",
    b"u,i,like,{n},inf": "value_not_finite",
    b"u,i,rating,{n},": "missing_value",
    b"u,i,view,{n},2": "view_out_of_range",
    b"u,i,like,{n}": "too_few_fields",
    b"u,i,like,{n},,": "too_many_fields",
    b'"u,i,like,{n},': "unclosed_quote",
    b'"u"u,i,like,{n},': "bad_quoting",
    b"\xff,i,like,{n},": "bad_encoding",
    b"u\0,i,like,{n},": "nul_byte",
    b"u,i,like,{n}," + b"x" * 200: "line_too_long",
}
JSON = {
    b'{{"user": "u", "item": "i", "type": "like", "time": {n}}}': None,
    b'{{"user": 1, "item": 2, "type": "view", "time": {n}.5, "value": 0.25}}': None,
    b'{{"user": null, "item": "i", "type": "like", "time": {n}}}': "missing_user_id",
    b'{{"user": "u", "item": "i", "type": 7, "time": {n}}}': "unknown_interaction_type",
    b'{{"user": "u", "item": "i", "type": "view", "time": {n}, "value": NaN}}': "value_not_finite",
    b'{{"user": "u", "item": "i", "type": "like", "time": {n}': "invalid_json",
    b"[{n}]": "not_an_object",
    b'{{"user": {{}}, "item": "i", "type": "like", "time": {n}}}': "nested_value",
    b'{{"user": "\\udc00", "item": "i", "type": "like", "time": {n}}}': "bad_encoding",
    b'{{"user": "\xff", "item": "i", "type": "like", "time": {n}}}': "bad_encoding",
}


def render(template: bytes, n: int) -> bytes:
    text = template.replace(b"{n}", str(n).encode())
    return text.replace(b"{{", b"{").replace(b"}}", b"}")


@settings(max_examples=30, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_every_record_is_accepted_or_quarantined_by_its_line_and_reason(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject
):
    templates = CSV if kind == "csv" else JSON
    drawn = data.draw(st.lists(st.sampled_from(sorted(templates)), min_size=1, max_size=25))
    end = data.draw(st.sampled_from([b"\n", b"\r\n"]))
    lines = [b"user,item,type,time,value"] if kind == "csv" else []
    expected: list[tuple[int, str]] = []
    for n, template in enumerate(drawn, start=1):
        line = len(b"\n".join(lines).split(b"\n")) + 1 if lines else 1
        if reason := templates[template]:
            expected.append((line, reason))
        lines.append(render(template, n))
    folder = tmp_path_factory.mktemp("property")
    (folder / "events").write_bytes(end.join(lines) + data.draw(st.sampled_from([b"", end])))
    fields = {"user_id": "user", "item_id": "item", "interaction_type": "type", "timestamp": "time"}
    config = IngestConfig(
        max_bad_share=1,
        max_line_bytes=150,
        chunk_records=data.draw(st.integers(1, 30)),
        staged_rows=data.draw(st.integers(1, 30)),
    )

    report = ingest_interactions(
        [folder / "events"],
        Mapping.model_validate({"format": kind, "columns": fields | {"value": "value"}}),
        Warehouse(folder / "warehouse"),
        config=config,
        now=NOW,
    )

    assert report.read == len(drawn) == report.accepted + report.quarantined
    assert report.accepted == report.new + report.duplicate
    assert report.new == len(drawn) - len(expected)  # {n} makes each event another one
    assert quarantined(report.quarantine_path) == expected
    assert Warehouse(folder / "warehouse").read_interactions().height == report.new


def quarantined(path: Path | None) -> list[tuple[int, str]]:
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path else []
    return sorted((row["line"], row["reason"]) for row in rows)
