"""A Kubeflow Pipelines API of our own, for every test that asks one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines import rest
from pipelines.api import Api, connect
from tests.pipelines.kfp_stub import KfpStub, clean, settings_of


@pytest.fixture
def stub() -> Iterator[KfpStub]:
    """Complains at the end of the test about each request that its own models can't read."""
    with clean(KfpStub()) as running:
        yield running


@pytest.fixture
def api(stub: KfpStub, tmp_path: Path) -> Api:
    return connect(settings_of(stub, tmp_path))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause between two tries, and no place but the one that a test names."""
    monkeypatch.setattr(rest, "PAUSE_S", 0.0)
    for name in ("KF_PIPELINES_ENDPOINT", "KF_PIPELINES_SA_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
