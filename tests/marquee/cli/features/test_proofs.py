"""`parity` and `simulate` as a person would type them, over a warehouse of a few hundred events."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from marquee import schema
from marquee.cli.features.proofs import parity, simulate
from marquee.data.warehouse import Warehouse
from marquee.errors import ConfigError, MarqueeError, SourceError, WarehouseError
from tests.factories import event_table
from tests.marquee.adapters.feast.place import REPO, TABLES

ROWS = [
    (f"u{number % 7}", f"m{number * number % 97}", 3_600 * number, number % 5 + 1) for number in range(1, 300)
]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with the warehouse "small"."""
    monkeypatch.setenv("MARQUEE_DATA", str(tmp_path))
    monkeypatch.setenv("MARQUEE_FEATURE_REPO", str(REPO))
    for name in ("MARQUEE_STATE", "MARQUEE_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    warehouse = Warehouse(tmp_path / "warehouse" / "small")
    warehouse.write_table(schema.USERS, TABLES.users)
    with warehouse.writing() as writer:
        file = writer.staging / "events.parquet"
        event_table(ROWS).write_parquet(file)
        part = writer.add_part(file, table=schema.INTERACTIONS, partition="1970-01", rows=len(ROWS))
        writer.commit(writer.contents.with_parts(schema.INTERACTIONS, {"1970-01": part}))
    return tmp_path


def ask(*words: str, exit_code: int = 0) -> str:
    """Standard output; a MarqueeError, which `main` would print, is raised here."""
    app = typer.Typer()
    for command in (parity, simulate):
        app.command()(command)
    result = CliRunner().invoke(app, [*words, "--dataset", "small"])
    if isinstance(result.exception, MarqueeError):
        raise result.exception
    assert result.exit_code == exit_code, result.output
    return result.stdout


def test_simulated_day_is_exact_and_its_kept_log_can_be_asked_again(
    data: Path, monkeypatch: pytest.MonkeyPatch
):
    kept = data / "features" / "small"

    day = json.loads(ask("simulate", "--requests", "120", "--keep", str(kept), "--json"))
    again = json.loads(ask("parity", "--log", str(kept / "requests.jsonl"), "--json"))

    assert day["parity"] == again
    assert again["requests"] == again["equal"] == day["day"]["requests"] >= 120
    assert (again["differing"], again["causes"], again["examples"]) == ({}, {}, [])
    with pytest.raises(ConfigError, match="is not empty"):
        ask("simulate", "--keep", str(kept))


def test_differing_log_ends_with_one_and_shows_view_feature_values_and_cause(data: Path):
    kept = data / "features" / "small"
    ask("simulate", "--requests", "120", "--keep", str(kept))
    log = kept / "requests.jsonl"
    first, *others = log.read_text().splitlines()
    changed = json.loads(first)
    changed["row"]["user_age"] = 99.5
    log.write_text("\n".join([json.dumps(changed), *others]))

    values = json.loads(ask("parity", "--log", str(log), "--json", exit_code=1))
    shown = ask("parity", "--log", str(log), exit_code=1)

    assert values["differing"] == {"user_profile": {"user_age": 1}}
    assert values["causes"] == {"other": 1}
    assert values["examples"][0]["served"] == 99.5
    assert all(word in shown for word in ("user_profile", "user_age", "99.5", "cause: other"))


def test_late_events_are_told_as_such(data: Path):
    shown = ask("simulate", "--requests", "120", "--late", "0.4", exit_code=1)

    assert "cause: late event" in shown or "cause: stale" in shown
    assert "cause: other" not in shown
    assert "user_history_items" in shown


def test_line_that_is_no_request_ends_with_two_and_is_named(data: Path):
    kept = data / "features" / "small"
    ask("simulate", "--requests", "120", "--keep", str(kept))
    log = kept / "requests.jsonl"
    log.write_text('{"version": 9}\n' + log.read_text())

    shown = ask("parity", "--log", str(log), exit_code=2)

    assert "line 1, field version" in shown


def test_log_that_is_missing_is_one_clear_error(data: Path):
    with pytest.raises(SourceError, match="none\\.jsonl"):
        ask("parity", "--log", str(data / "none.jsonl"))


def test_simulation_without_a_warehouse_or_in_a_shared_place_is_refused(data: Path, tmp_path: Path):
    profile = tmp_path / "shared.yaml"
    text = (REPO / "profiles" / "local.yaml").read_text()
    profile.write_text(text.replace("${MARQUEE_STATE}/current", str(tmp_path / "elsewhere")))

    with pytest.raises(ConfigError, match="where a simulation must not write"):
        ask("simulate", "--profile", str(profile))
    (data / "warehouse" / "small" / "warehouse.json").unlink()
    with pytest.raises(WarehouseError, match="there is no warehouse"):
        ask("simulate")
