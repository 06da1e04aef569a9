import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from marquee import schema
from marquee.data.ingest import IngestConfig, IngestReport, TooManyBadRowsError
from marquee.data.mapping import Mapping
from marquee.data.warehouse import Warehouse
from marquee.errors import ContractError, SourceError

HEADER = "user,item,type,time,value\n"
GOOD = HEADER + "u1,i1,like,1,\nu2,i2,rating,2,4\n"
Write = Callable[..., Path]
Ingest = Callable[..., IngestReport]


def test_ingested_events_are_in_the_warehouse(write: Write, ingest: Ingest, warehouse: Warehouse):
    report = ingest(write(GOOD))

    assert (report.read, report.accepted, report.new, report.duplicate, report.quarantined) == (2, 2, 2, 0, 0)
    assert report.committed
    assert warehouse.read_interactions(
        columns=["user_id", "item_id", "interaction_type", "value"]
    ).rows() == [
        ("u1", "i1", "like", None),
        ("u2", "i2", "rating", 4.0),
    ]
    assert (report.first_timestamp, report.last_timestamp) == (
        datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
        datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC),
    )


def test_bad_records_are_quarantined_with_file_line_reason_and_text(write: Write, ingest: Ingest):
    path = write(GOOD + "u3,i3,view,3,7\nu4,i4,like,soon,\nu5,i5\n")

    report = ingest(path, max_bad_share=0.6)

    assert report.quarantine_path is not None
    rows = [json.loads(line) for line in report.quarantine_path.read_text().splitlines()]
    assert [(row["source"], row["line"], row["reason"], row["record"]) for row in rows] == [
        (str(path), 4, "view_out_of_range", "u3,i3,view,3,7"),
        (str(path), 5, "unreadable_timestamp", "u4,i4,like,soon,"),
        (str(path), 6, "too_few_fields", "u5,i5"),
    ]
    assert (report.read, report.accepted, report.quarantined) == (5, 2, 3)
    assert sum(report.reasons.values()) == 3


def test_same_event_is_one_across_lines_chunks_files_and_ingests(
    write: Write, ingest: Ingest, warehouse: Warehouse
):
    first = write(HEADER + "u,i,rating,1,5\nu,i,rating,1,5\nu,i,rating,1,4\n", "a.csv")
    second = write(HEADER + "u,i,rating,1,3\nu,i,rating,2,3\n", "b.csv")
    third = write(HEADER + "u,i,rating,2,1\nu,i,like,2,\n", "c.csv")

    report = ingest(first, second, chunk_records=1, staged_rows=1)
    later = ingest(third)

    assert (report.accepted, report.new, report.duplicate) == (5, 2, 3)
    assert (later.accepted, later.new, later.duplicate) == (2, 1, 1)
    read = warehouse.read_interactions(columns=["interaction_type", "value"])
    assert read.rows() == [("rating", 5.0), ("like", None), ("rating", 3.0)]


def test_file_that_was_ingested_is_skipped_under_any_name(write: Write, ingest: Ingest, warehouse: Warehouse):
    ingest(write(GOOD))
    before = warehouse.contents

    again = ingest(write(GOOD), write(GOOD, "copy.csv"), write(GOOD + "u3,i3,like,3,\n", "more.csv"))

    assert [Path(name).name for name in again.skipped_files] == ["events.csv", "copy.csv"]
    assert [(Path(file.name).name, file.read) for file in again.files] == [("more.csv", 3)]
    assert (again.new, again.duplicate) == (1, 2)
    assert len(warehouse.contents.files) == len(before.files) + 1


def test_two_equal_files_in_one_run_are_read_once(write: Write, ingest: Ingest):
    report = ingest(write(GOOD, "a.csv"), write(GOOD, "b.csv"))

    assert (report.read, report.duplicate) == (2, 0)
    assert [Path(name).name for name in report.skipped_files] == ["b.csv"]


def test_file_that_was_ingested_with_another_mapping_is_read_again(
    write: Write, ingest: Ingest, mapping: Mapping
):
    ingest(write(GOOD))

    report = ingest(write(GOOD), by=mapping.model_copy(update={"timestamp_unit": "ms"}))

    assert (report.skipped_files, report.new) == ((), 2)


def test_months_without_new_events_keep_their_part(write: Write, ingest: Ingest, warehouse: Warehouse):
    ingest(write(HEADER + "u,i,like,1,\nu,i,like,2678400,\n"))
    january, february = warehouse.contents.tables[schema.INTERACTIONS]

    ingest(write(HEADER + "u,i,like,1,\nu,i2,like,2678400,\n", "more.csv"))

    after = warehouse.contents.tables[schema.INTERACTIONS]
    assert [part.partition for part in after] == ["1970-01", "1970-02"]
    assert after[0] == january
    assert (after[1].rows, february.rows) == (2, 1)


def test_too_many_bad_records_stop_the_ingest_and_the_quarantine_stays_to_look_at(
    write: Write, ingest: Ingest, warehouse: Warehouse
):
    ingest(write(GOOD))
    before = warehouse.contents
    bad = write(
        HEADER + "".join(f"u{i},i,like,{i},\n" for i in range(18)) + "u,i,like,x,\nu,i,like,y,\n", "bad.csv"
    )

    with pytest.raises(TooManyBadRowsError) as caught:
        ingest(bad, max_bad_share=0.099)

    assert "2 of 20" in caught.value.problem
    assert "10.0%" in caught.value.problem
    assert "unreadable_timestamp (2)" in caught.value.problem
    path = caught.value.report.quarantine_path
    assert path is not None
    assert str(path) in caught.value.remedy
    assert len(path.read_text().splitlines()) == 2
    assert warehouse.contents == before
    assert not caught.value.report.committed

    assert ingest(bad, max_bad_share=0.1).quarantined == 2  # the share itself is allowed


def test_bad_share_is_that_of_all_files_together(write: Write, ingest: Ingest):
    good = write(HEADER + "".join(f"u{i},i,like,{i},\n" for i in range(19)), "good.csv")

    report = ingest(write(HEADER + "u,i,like,x,\n", "bad.csv"), good)

    assert [(file.read, file.accepted, file.quarantined) for file in report.files] == [(1, 0, 1), (19, 19, 0)]


def test_validate_only_reports_the_same_and_commits_nothing(
    write: Write, ingest: Ingest, warehouse: Warehouse, tmp_path: Path
):
    ingest(write(GOOD))
    before = warehouse.contents
    more = write(GOOD + "u3,i3,like,3,\nu,i,like,x,\n", "more.csv")

    checked = ingest(more, max_bad_share=0.5, validate_only=True, quarantine_folder=tmp_path / "looked at")

    assert warehouse.contents == before
    assert (checked.read, checked.new, checked.duplicate, checked.quarantined) == (4, 1, 2, 1)
    assert checked.quarantine_path is not None
    assert checked.quarantine_path.parent == tmp_path / "looked at"
    done = ingest(more, max_bad_share=0.5)
    same = {"seconds", "quarantine_path", "committed"}
    assert done.model_dump(exclude=same) == checked.model_dump(exclude=same)


def test_whole_file_that_is_bad_stops_the_ingest_of_all(write: Write, ingest: Ingest, warehouse: Warehouse):
    torn = gzip.compress(GOOD.encode() * 1_000)[:-50]

    with pytest.raises(SourceError, match=r"torn\.csv"):
        ingest(write(GOOD), write(torn, "torn.csv"))
    with pytest.raises(ContractError, match="'time'"):
        ingest(write(GOOD), write("user,item,type,when,value\n", "other.csv"))

    assert not (warehouse.root / "warehouse.json").exists()
    assert list(warehouse.root.rglob("*.parquet")) == []


def test_header_alone_is_a_file_without_events(write: Write, ingest: Ingest, warehouse: Warehouse):
    report = ingest(write(HEADER))

    assert (report.read, report.first_timestamp, report.committed) == (0, None, True)
    assert warehouse.read_interactions().is_empty()


def test_formats_layouts_and_compression_give_the_same_snapshot(write: Write, ingest: Ingest, tmp_path: Path):
    ratings = [("1", "10", 4.0, 881250949), ("2", "20", 3.5, 881250950)]
    columns = {"user_id": "user_id", "item_id": "item_id", "value": "rating", "timestamp": "ts"}
    rating = {"interaction_type": "rating"}
    names = ("user_id", "item_id", "rating", "ts")
    table = pl.DataFrame(ratings, schema=names, orient="row")
    table.write_parquet(tmp_path / "r.parquet")

    def rows(separator: str) -> str:
        return "".join(separator.join(map(str, row)) + "\n" for row in ratings)

    recbole = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    sources = [
        (write(rows("\t"), "u.data"), Mapping.preset("movielens-u-data")),
        (write(rows("::"), "ratings.dat"), Mapping.preset("movielens-ratings-dat")),
        (
            write(
                gzip.compress(("userId,movieId,rating,timestamp\n" + rows(",")).encode()), "ratings.csv.gz"
            ),
            Mapping.preset("movielens-ratings-csv"),
        ),
        (write(recbole + rows("\t"), "ml.inter"), Mapping.preset("recbole-inter")),
        (write(table.write_ndjson(), "r.jsonl"), Mapping(format="jsonl", columns=columns, constants=rating)),
        (tmp_path / "r.parquet", Mapping(format="parquet", columns=columns, constants=rating)),
    ]
    warehouses = [Warehouse(tmp_path / f"w{i}") for i in range(len(sources))]

    for (path, by), into in zip(sources, warehouses, strict=True):
        ingest(path, by=by, into=into)

    assert len({into.snapshot().id for into in warehouses}) == 1
    assert warehouses[0].read_interactions(columns=["user_id", "value"]).rows() == [("1", 4.0), ("2", 3.5)]


def test_warehouse_can_be_ingested_into_another_one(
    write: Write, ingest: Ingest, warehouse: Warehouse, tmp_path: Path
):
    ingest(write(GOOD))
    copy = Warehouse(tmp_path / "copy")

    ingest(warehouse.root / schema.INTERACTIONS, by=Mapping.preset("contract-parquet"), into=copy)

    assert copy.snapshot() == warehouse.snapshot()


def test_progress_rises_to_the_size_of_the_fresh_files(write: Write, ingest: Ingest):
    text = HEADER + "".join(f"u{i},i,like,{i},\n" for i in range(1_000))
    seen: list[tuple[int, int]] = []
    paths = [write(text, "a.csv"), write(gzip.compress(text.encode() + b"v,i,like,1,\n"), "b.csv")]

    ingest(*paths, chunk_records=100, on_progress=lambda done, total: seen.append((done, total)))

    total = sum(path.stat().st_size for path in paths)
    assert {total} == {pair[1] for pair in seen}
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert (seen[0][0], seen[-1][0], len(seen) > 20) == (0, total, True)


def test_file_that_grows_while_it_is_read_stops_the_ingest(
    write: Write, ingest: Ingest, warehouse: Warehouse
):
    path = write(GOOD)

    def grow(done: int, total: int) -> None:
        with path.open("a") as file:
            file.write("u3,i3,like,3,\n")

    with pytest.raises(SourceError, match="changed"):
        ingest(path, on_progress=grow)
    assert not (warehouse.root / "warehouse.json").exists()


@pytest.mark.parametrize("fault", [{"max_bad_share": 2}, {"chunk_records": 0}, {"chunk_size": 1}])
def test_config_out_of_range_is_refused(fault: dict[str, int]):
    with pytest.raises(ValidationError):
        IngestConfig.model_validate(fault)
