"""A fake cluster and the kubeconfig that leads there: fixtures to import."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.marquee.adapters.kubernetes.fake_cluster import FakeCluster, serving, write_kubeconfig


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def kubeconfig(cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with serving(cluster) as url:
        file = write_kubeconfig(tmp_path / "kubeconfig", url)
        lead_to(file, monkeypatch)
        yield file


def lead_to(file: Path, patch: pytest.MonkeyPatch) -> None:
    """Have this process and its children use a kubeconfig; the client reads the variable at its import."""
    patch.setenv("KUBECONFIG", str(file))
    for module in ("kubernetes.config", "kubernetes.config.kube_config"):
        patch.setattr(f"{module}.KUBE_CONFIG_DEFAULT_LOCATION", str(file))
