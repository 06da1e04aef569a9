"""A registry in an empty store, and no other in the environment: fixtures to import."""

from pathlib import Path

import pytest

from marquee.adapters.mlflow import Registry, Tracking
from marquee.adapters.object_store import open_store


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MARQUEE_MODELS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def registry(runs: Path) -> Registry:
    return Registry("ml-100k", Tracking.of(runs, {}), open_store(str(runs / "models")))
