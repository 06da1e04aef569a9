"""An empty tracking store, migrated once: a copy takes no second."""

import shutil
from functools import cache
from pathlib import Path

import pytest

from marquee.adapters.mlflow import Tracking


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("empty_store")
    with Tracking.of(folder, {}).connected():
        return folder / "mlflow.db"


@cache
def newest_layout() -> str:
    """MLflow's newest layout of its database; it parses all of its migrations to know that."""
    from mlflow.store.db.utils import _get_latest_schema_revision

    return str(_get_latest_schema_revision())


@pytest.fixture
def runs(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runs folder with an empty store, and a name that has to be quoted in an address."""
    newest = newest_layout()
    monkeypatch.setattr("mlflow.store.db.utils._get_latest_schema_revision", lambda: newest)
    folder = tmp_path / "my runs"
    folder.mkdir()
    shutil.copy(empty_store, folder)
    return folder
