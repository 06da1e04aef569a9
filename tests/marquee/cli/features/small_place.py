"""A data folder whose warehouse "small" holds three events and a users table."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from marquee import schema
from marquee.cli.app import app
from marquee.data.warehouse import Warehouse
from marquee.errors import MarqueeError
from tests.factories import DAY_S, event_table
from tests.marquee.adapters.feast.place import REPO, TABLES

ROWS = [("u0", "a", DAY_S, 4.0), ("u0", "b", 2 * DAY_S, 3.0), ("u1", "a", 2 * DAY_S, 2.0)]


def make(folder: Path, monkeypatch: pytest.MonkeyPatch, *, storage: str = "small") -> Path:
    """The environment points there, and to nothing of the machine's."""
    monkeypatch.setenv("MARQUEE_DATA", str(folder))
    monkeypatch.setenv("MARQUEE_FEATURE_REPO", str(REPO))
    for name in ("MARQUEE_STATE", "MARQUEE_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    warehouse = Warehouse(folder / "warehouse" / storage)
    warehouse.write_table(schema.USERS, TABLES.users)
    with warehouse.writing() as writer:
        file = writer.staging / "events.parquet"
        event_table(ROWS).write_parquet(file)
        part = writer.add_part(file, table=schema.INTERACTIONS, partition="1970-01", rows=len(ROWS))
        writer.commit(writer.contents.with_parts(schema.INTERACTIONS, {"1970-01": part}))
    return folder


def run(*words: str, dataset: str = "small") -> Any:
    """What CliRunner saw; a MarqueeError, which `main` would print, is raised here."""
    result = CliRunner().invoke(app, ["features", *words, "--dataset", dataset])
    if isinstance(result.exception, MarqueeError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def ask(*words: str, dataset: str = "small") -> Any:
    """The JSON that a command answers with."""
    return json.loads(run(*words, "--json", dataset=dataset).stdout)
