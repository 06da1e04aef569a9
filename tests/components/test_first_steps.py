"""The bodies of ingest-interactions and validate-data, on the data set that trains in a second."""

import json
from pathlib import Path

import polars as pl
import pytest
from kfp import dsl

from components.ingest_interactions import ingest_interactions
from components.validate_data import validate_data
from marquee.errors import ConfigError, DataQualityError, StepError, WarehouseError
from marquee.steps.folders import Data
from tests.components.artifacts import artifact
from tests.small_run import DATASET, Place


@pytest.fixture
def settled(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A place to which the environment points."""
    monkeypatch.setenv("MARQUEE_DATA", str(place.settings.data))
    monkeypatch.setenv("MARQUEE_RUNS", str(place.runs))
    return place


def ingest(place: Place, name: str = "data", **given: str) -> dsl.Dataset:
    """What ingest-interactions hands on."""
    data = artifact(dsl.Dataset, place.root / name)
    asked = {
        "dataset": DATASET,
        "source": str(place.root / "source"),
        "config": "",
        "fingerprint": "",
        **given,
    }
    ingest_interactions.python_func(**asked, data=data)
    return data


def test_ingested_snapshot_is_described_and_whole(settled: Place):
    data = ingest(settled)

    facts = Data.read(Path(data.path))
    assert (facts.name, facts.storage) == (DATASET, settled.storage)
    assert facts.rows["users"] == 75
    assert facts.ingested["new"] == 75 * 30
    assert data.metadata == {"dataset": DATASET, "snapshot": facts.snapshot, "rows": facts.rows}


def test_ingest_again_hands_on_the_same_snapshot_and_finds_nothing_new(settled: Place):
    first, second = ingest(settled, "first"), ingest(settled, "second")

    assert first.metadata["snapshot"] == second.metadata["snapshot"]
    assert Data.read(Path(second.path)).ingested.get("new", 0) == 0


@pytest.mark.parametrize("config", ["{", '{"sede": 1}'])
def test_ingest_with_a_configuration_that_does_not_fit_is_refused(settled: Place, config: str):
    with pytest.raises(ConfigError):
        ingest(settled, config=config)

    assert not (settled.root / "data").exists()


def test_valid_snapshot_passes_with_a_table_of_what_was_looked_at(settled: Place):
    data, checks = ingest(settled), artifact(dsl.Markdown, settled.root / "checks")

    assert validate_data.python_func(data, "", checks) is True

    table = Path(checks.path).read_text(encoding="utf-8")
    assert "| events | 2250 | at least 200 |" in table
    assert "| users | 75 | at least 10 |" in table
    assert "| interactions: nulls of user_id | 0 | at most 0 |" in table


def test_snapshot_with_too_few_events_is_refused_with_what_was_seen(settled: Place):
    events = settled.root / "source" / "events.csv"
    events.write_text(
        "".join(events.read_text(encoding="utf-8").splitlines(keepends=True)[:101]), encoding="utf-8"
    )
    data = ingest(settled)

    with pytest.raises(DataQualityError, match="events = 100, should be at least 200"):
        validate_data.python_func(data, "", artifact(dsl.Markdown, settled.root / "checks"))


def rewrite(place: Place, **columns: pl.Expr) -> None:
    """Change columns of the source's users."""
    path = place.root / "source" / "users.csv"
    pl.read_csv(path).with_columns(**columns).write_csv(path)


def test_feed_with_a_column_that_went_null_is_refused_until_it_is_mended(settled: Place):
    first = ingest(settled, "first")
    validate_data.python_func(first, "", artifact(dsl.Markdown, settled.root / "checks"))
    whole = (settled.root / "source" / "users.csv").read_bytes()
    rewrite(settled, age=pl.lit(None, pl.String))
    broken = ingest(settled, "broken")

    for _ in range(2):  # what was refused is not remembered: it is refused again
        with pytest.raises(DataQualityError, match="users: nulls of age = 1, should be"):
            validate_data.python_func(broken, "", artifact(dsl.Markdown, settled.root / "checks"))

    (settled.root / "source" / "users.csv").write_bytes(whole)
    mended = ingest(settled, "mended")
    assert validate_data.python_func(mended, "", artifact(dsl.Markdown, settled.root / "checks")) is True


def test_limits_of_the_gate_are_those_of_the_configuration(settled: Place):
    checks = artifact(dsl.Markdown, settled.root / "checks")
    validate_data.python_func(ingest(settled, "first"), "", checks)
    rewrite(settled, age=pl.when(pl.int_range(pl.len()) % 4 > 0).then(pl.col("age")))
    quarter_null = ingest(settled, "second")

    with pytest.raises(DataQualityError, match="nulls of age"):
        validate_data.python_func(quarter_null, "", checks)
    assert validate_data.python_func(quarter_null, '{"quality": {"max_null_share": 0.3}}', checks)


def test_feed_older_than_asked_for_is_refused(settled: Place):
    data, checks = ingest(settled), artifact(dsl.Markdown, settled.root / "checks")

    with pytest.raises(DataQualityError, match="hours since the newest row"):
        validate_data.python_func(data, '{"quality": {"max_age_hours": 24}}', checks)


def test_snapshot_with_a_changed_part_is_refused(settled: Place):
    data = ingest(settled)
    for part in Path(data.path).rglob("*.parquet"):
        content = part.read_bytes()
        part.unlink()  # it is a link into the warehouse
        part.write_bytes(content[:-9] + bytes(9))

    with pytest.raises(WarehouseError):
        validate_data.python_func(data, "", artifact(dsl.Markdown, settled.root / "checks"))


def test_unfinished_folder_is_refused(settled: Place):
    data = ingest(settled)
    (Path(data.path) / "facts.json").unlink()

    with pytest.raises(StepError, match="no finished data folder"):
        validate_data.python_func(data, "", artifact(dsl.Markdown, settled.root / "checks"))


def test_facts_of_another_release_are_refused(settled: Place):
    path = Path(ingest(settled).path) / "facts.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), "colour": "red"}))

    with pytest.raises(StepError, match="it holds something else"):
        Data.read(path.parent)
