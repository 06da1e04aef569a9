"""`marquee features build` and events that come as a file."""

from pathlib import Path

import polars as pl
import pytest

from marquee import schema
from marquee.cli.features.build import as_time, read_events
from marquee.errors import ContractError, SourceError, WarehouseError
from tests.factories import DAY_S, event_table
from tests.marquee.cli.features.small_place import ask, make, run

GOOD = event_table([("u0", "c", 3 * DAY_S, 5.0), ("u1", "c", 4 * DAY_S, 0.5, "view")])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make(tmp_path, monkeypatch)


def test_build_then_events_gives_the_state_of_all(place: Path):
    GOOD.write_parquet(place / "new.parquet")
    first = ask("build")

    second = ask("build", "--events", str(place / "new.parquet"))

    assert (first["events"], second["events"], second["changed_events"]) == (3, 5, 2)
    assert first["state_id"] != second["state_id"]
    assert second["changed_since"] == "1970-01-04T00:00:00+00:00"
    assert ask("build", "--events", str(place / "new.parquet"))["changed_events"] == 0


def test_build_shows_a_line_for_each_stage_and_no_more(place: Path):
    shown = run("build").stderr.split("\n")

    stages = [line.split("✓")[1].split("  ")[0].strip() for line in shown if "✓" in line]
    assert stages == ["sorting events", "user activity", "movie statistics"]


def test_build_without_a_warehouse_names_the_command_that_makes_it(place: Path):
    with pytest.raises(WarehouseError, match="no warehouse of ml-1m") as refusal:
        ask("build", "--source", "zips/ml 1m", dataset="ml-1m")

    assert refusal.value.remedy == "Run `marquee data fetch ml-1m --source 'zips/ml 1m'`."


def test_data_of_a_source_have_a_warehouse_and_state_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from marquee.data.datasets.fetch import DatasetConfig
    from marquee.data.datasets.prepare import storage_name

    storage = storage_name("small", source=str(tmp_path), config=DatasetConfig())
    make(tmp_path, monkeypatch, storage=storage)

    built = ask("build", "--source", str(tmp_path))

    assert built["state"] == str(tmp_path / "features" / storage)
    with pytest.raises(WarehouseError):
        ask("build")


@pytest.mark.parametrize(
    ("events", "error", "seen"),
    [
        (GOOD.drop("item_id"), SourceError, "contract: item_id: "),
        (GOOD.with_columns(timestamp=pl.lit("yesterday")), SourceError, "contract: timestamp: "),
        (GOOD.with_columns(interaction_type=pl.lit("stare")), SourceError, "stare"),
        (GOOD.with_columns(user_id=pl.lit(None, pl.String)), ContractError, "2 of 2 .*user_id"),
        (GOOD.with_columns(value=pl.lit(2.0)), ContractError, "1 of 2 .*view_is_fraction: 1"),
        (GOOD.with_columns(value=pl.lit(float("nan"))), ContractError, "value_finite: 2"),
        (GOOD.with_columns(pl.lit(-1).cast(schema.TIME_DTYPE).alias("timestamp")), ContractError, "2 of 2"),
    ],
)
def test_events_that_break_the_contract_are_refused_with_what_is_wrong(
    tmp_path: Path, events: pl.DataFrame, error: type, seen: str
):
    events.write_parquet(tmp_path / "new.parquet")

    with pytest.raises(error, match=seen):
        read_events(tmp_path / "new.parquet")


def test_file_without_events_names_the_columns(tmp_path: Path):
    (tmp_path / "new.parquet").write_text("nothing")

    with pytest.raises(SourceError, match="holds no events") as refusal:
        read_events(tmp_path / "new.parquet")

    assert "It needs user_id, item_id, interaction_type, timestamp, value;" in refusal.value.remedy


def test_good_events_are_read_as_they_are(tmp_path: Path):
    GOOD.with_columns(pl.col("interaction_type").cast(pl.String)).write_parquet(tmp_path / "new.parquet")

    assert read_events(tmp_path / "new.parquet").equals(GOOD)


def test_time_keeps_its_microseconds():
    assert as_time(DAY_S * 1_000_000 + 5) == "1970-01-02T00:00:00.000005+00:00"
    assert as_time(-1) == "1969-12-31T23:59:59.999999+00:00"
    assert as_time(None) is None
