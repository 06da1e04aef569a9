import json
from pathlib import Path

import pytest

from marquee.data.quarantine import REASONS, Quarantine
from marquee.data.records import Rejected
from marquee.errors import WarehouseError


def test_quarantine_row_says_source_line_reason_columns_and_record(tmp_path: Path):
    path = tmp_path / "q" / "run.jsonl"

    with Quarantine(path, max_record_chars=4) as quarantine:
        quarantine.add(
            Path("a.csv"), [Rejected(3, "nul_byte", "abcdefgh"), Rejected(9, "bad_encoding", "\u00e9\ud800")]
        )
        quarantine.add(Path("b.csv"), [Rejected(1, "missing_value", "x", ("interaction_type", "value"))])
        assert quarantine.keep() == path

    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert rows[0] == {"source": "a.csv", "line": 3, "reason": "nul_byte", "columns": [], "record": "abcd"}
    assert rows[2]["columns"] == ["interaction_type", "value"]
    assert quarantine.reasons == {"nul_byte": 1, "bad_encoding": 1, "missing_value": 1}


def test_quarantine_of_nothing_makes_no_file(tmp_path: Path):
    with Quarantine(tmp_path / "q" / "run.jsonl", max_record_chars=4) as quarantine:
        quarantine.add(Path("a.csv"), [])
        assert quarantine.keep() is None

    assert list(tmp_path.iterdir()) == []


def test_quarantine_that_is_not_kept_leaves_no_file(tmp_path: Path):
    with Quarantine(tmp_path / "run.jsonl", max_record_chars=4) as quarantine:
        quarantine.add(Path("a.csv"), [Rejected(1, "nul_byte", "x")])

    assert list(tmp_path.iterdir()) == []


def test_quarantine_where_no_folder_can_be_made_is_one_error(tmp_path: Path):
    (tmp_path / "q").write_text("a file")

    with (
        Quarantine(tmp_path / "q" / "run.jsonl", max_record_chars=4) as quarantine,
        pytest.raises(WarehouseError, match=r"the quarantine folder .*q can't be"),
    ):
        quarantine.add(Path("a.csv"), [Rejected(1, "nul_byte", "x")])


def test_every_reason_has_a_meaning():
    assert all(code == code.lower() and len(meaning) > 10 for code, meaning in REASONS.items())
