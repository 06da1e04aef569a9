from collections.abc import Iterator
from pathlib import Path

import pytest

from marquee.adapters.kubernetes import Address, ClusterApi, InferenceServiceDeployment, Shelf
from marquee.adapters.kubernetes.api import ClusterConfig
from marquee.adapters.object_store import open_store
from tests.marquee.adapters.kubernetes.fake_cluster import ADDRESS
from tests.marquee.adapters.kubernetes.reached import cluster, kubeconfig

__all__ = ["cluster", "kubeconfig"]

QUICK = ClusterConfig(connect_timeout_s=1, read_timeout_s=0.25, attempts=5, pause_s=0)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def place(kubeconfig: Path, models: Path) -> Iterator[InferenceServiceDeployment]:
    shelf = Shelf(open_store(str(models)))
    with InferenceServiceDeployment(ClusterApi.at(Address.of(ADDRESS), QUICK), shelf) as made:
        yield made
