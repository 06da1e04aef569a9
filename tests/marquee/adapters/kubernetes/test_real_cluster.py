"""The same against a real API server, which KUBECONFIG leads to: `make test-cluster`.

Works in a namespace of its own, which it deletes. Where KServe is not installed, it brings a definition of
InferenceServices without a schema, and writes what KServe's controller would write.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from marquee.adapters.deployment import CanaryNotReadyError, DeploymentConflictError, DeploymentError
from marquee.adapters.kubernetes import Address, ClusterApi, InferenceServiceDeployment, Shelf
from marquee.adapters.kubernetes.api import ClusterConfig
from marquee.adapters.object_store import open_store
from tests.marquee.adapters.kubernetes.manifests import arm, manifest, stored_bundle

kubernetes = pytest.importorskip("kubernetes", reason="kubernetes is not installed")
pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("default")]

NAME = "marquee"
KIND = ("serving.kserve.io", "v1beta1")
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "inferenceservices.serving.kserve.io"},
    "spec": {
        "group": KIND[0],
        "scope": "Namespaced",
        "names": {"kind": "InferenceService", "plural": "inferenceservices", "singular": "inferenceservice"},
        "versions": [
            {
                "name": KIND[1],
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                        },
                    }
                },
            }
        ],
    },
}


class Cluster:
    """A real one, and a namespace of our own."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.core = kubernetes.client.CoreV1Api(client)
        self.apps = kubernetes.client.AppsV1Api(client)
        self.objects = kubernetes.client.CustomObjectsApi(client)
        self.definitions = kubernetes.client.ApiextensionsV1Api(client)
        self.namespace = f"marquee-test-{os.urandom(3).hex()}"
        self.is_bare = False
        """Without KServe: its controller is played here."""

    def prepare(self) -> None:
        names = {each.metadata.name for each in self.definitions.list_custom_resource_definition().items}
        if DEFINITION["metadata"]["name"] not in names:
            self.definitions.create_custom_resource_definition(DEFINITION)
            self.is_bare = True
        self.core.create_namespace({"metadata": {"name": self.namespace}})
        self._until_served()

    def _until_served(self) -> None:
        for _ in range(100):
            try:
                self.objects.list_namespaced_custom_object(*KIND, self.namespace, "inferenceservices")
            except kubernetes.client.exceptions.ApiException:
                pause(0.1)
            else:
                return
        raise AssertionError("the definition is not served")

    def clean(self) -> None:
        self.core.delete_namespace(self.namespace)
        if self.is_bare:
            self.definitions.delete_custom_resource_definition(DEFINITION["metadata"]["name"])

    def get(self) -> dict[str, Any]:
        found: dict[str, Any] = self.objects.get_namespaced_custom_object(
            *KIND, self.namespace, "inferenceservices", NAME
        )
        return found

    def play_controller(self) -> None:
        """Roll out what the specification says, as KServe and the Deployment's controller would."""
        live = self.get()
        canaries = [
            {
                "name": each["predictor"]["name"],
                "ready": True,
                "trafficPercent": each["trafficPercent"],
            }
            for each in live["spec"].get("canary", [])
        ]
        live["status"] = {
            "observedGeneration": live["metadata"]["generation"],
            "conditions": [{"type": "Ready", "status": "True"}],
            "canaryStatuses": canaries,
        }
        self.objects.replace_namespaced_custom_object_status(
            *KIND, self.namespace, "inferenceservices", NAME, live
        )
        self._roll_out(live["spec"]["predictor"])

    def _roll_out(self, predictor: dict[str, Any]) -> None:
        name = "-".join(part for part in (NAME, predictor.get("name"), "predictor") if part)
        labels, count = {"app": name}, predictor["minReplicas"]
        template = {
            "metadata": {"labels": labels, "annotations": predictor["annotations"]},
            "spec": {"containers": [{"name": "c", "image": "none:1"}]},
        }
        spec = {"replicas": count, "selector": {"matchLabels": labels}, "template": template}
        body = {"metadata": {"name": name}, "spec": spec}
        known = {each.metadata.name for each in self.apps.list_namespaced_deployment(self.namespace).items}
        if name in known:
            made = self.apps.patch_namespaced_deployment(name, self.namespace, body)
        else:
            made = self.apps.create_namespaced_deployment(self.namespace, body)
        counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), count)
        status = {"status": {"observedGeneration": made.metadata.generation, **counts}}
        self.apps.patch_namespaced_deployment_status(name, self.namespace, status)


def pause(seconds: float) -> None:
    import time

    time.sleep(seconds)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("no Kubernetes answers: KUBECONFIG is not set")
    kubernetes.config.load_kube_config(config_file=os.environ["KUBECONFIG"])
    made = Cluster(kubernetes.client.ApiClient())
    try:
        kubernetes.client.VersionApi(made.client).get_code(_request_timeout=10)
    except Exception as error:  # noqa: BLE001 - whatever it is, there is no cluster
        pytest.skip(f"no Kubernetes answers: {type(error).__name__}")
    made.prepare()
    try:
        yield made
    finally:
        made.clean()


@pytest.fixture
def place(cluster: Cluster, tmp_path: Path) -> Iterator[InferenceServiceDeployment]:
    address = Address(cluster.namespace, NAME)
    shelf = Shelf(open_store(str(tmp_path / "models")))
    with InferenceServiceDeployment(ClusterApi.at(address, ClusterConfig(pause_s=0.1)), shelf) as made:
        yield made
    with pytest.MonkeyPatch.context():
        try:
            cluster.objects.delete_namespaced_custom_object(
                *KIND, cluster.namespace, "inferenceservices", NAME
            )
        except kubernetes.client.exceptions.ApiException as error:
            assert error.status == 404  # noqa: PT017 - the test made none


def ours(cluster: Cluster, **options: Any) -> dict[str, Any]:
    made = manifest(**options)
    made["metadata"]["namespace"] = cluster.namespace
    return made


def test_apply_makes_it_once_and_asked_for_again_writes_nothing(place, cluster: Cluster, tmp_path: Path):
    bundle = stored_bundle(tmp_path / "models", "one")
    place.apply(place.shelf.fetch(bundle), base=ours(cluster))
    before = cluster.get()["metadata"]["resourceVersion"]
    place.apply(place.shelf.fetch(bundle), base=ours(cluster))
    live = cluster.get()

    assert place.status().stable == bundle
    assert live["metadata"]["annotations"]["marquee.dev/bundle-id"] == bundle
    if cluster.is_bare:  # a controller's status makes new versions
        assert live["metadata"]["resourceVersion"] == before


def test_canary_is_given_and_dropped_by_the_versions_that_were_read(place, cluster: Cluster, tmp_path: Path):
    one, two = (stored_bundle(tmp_path / "models", word) for word in ("one", "two"))
    place.apply(place.shelf.fetch(one), base=ours(cluster, name="v1"))
    old = place.status().version
    begun = place.set_canary(two, 0, expect=old)
    with pytest.raises(DeploymentConflictError):
        place.drop_canary(expect=old)
    with pytest.raises(CanaryNotReadyError):
        place.set_canary(two, 10, expect=begun.version)
    ended = place.drop_canary(expect=begun.version)

    assert (begun.stable, begun.canary, begun.percent) == (one, two, 0)
    assert (ended.stable, ended.canary) == (one, None)
    assert ended.generation > begun.generation


def test_write_of_an_older_version_is_a_conflict_of_the_server(place, cluster: Cluster):
    place.apply(arm("aa"), base=ours(cluster))
    stale = cluster.get()
    place.apply(arm("bb"))

    with pytest.raises(DeploymentConflictError, match="409"):
        place.api.replace(stale)
    assert place.status().stable == "bb"


def test_namespace_that_is_missing_is_named(place, cluster: Cluster):
    with InferenceServiceDeployment(ClusterApi.at(Address("nowhere-at-all", NAME)), place.shelf) as lost:
        base = ours(cluster)
        base["metadata"]["namespace"] = "nowhere-at-all"
        with pytest.raises(DeploymentError) as caught:
            lost.apply(arm("aa"), base=base)
    assert "kubectl create namespace nowhere-at-all" in caught.value.remedy


@pytest.mark.parametrize("name", [None, "v1"])
def test_whole_rollout_twice(place, cluster: Cluster, tmp_path: Path, name: str | None):
    if not cluster.is_bare:
        pytest.skip("KServe is installed, and its controller can't start the tests' images")
    one, two = (stored_bundle(tmp_path / "models", word) for word in ("one", "two"))
    for _ in range(2):
        place.apply(place.shelf.fetch(one), base=ours(cluster, name=name))
        cluster.play_controller()
        assert place.stable_standing().is_ready
        place.give(place.shelf.fetch(two), 0)
        cluster.play_controller()
        place.give(place.shelf.fetch(two), 10)
        cluster.play_controller()
        assert place.split_standing().words == "10 %"
        place.promote(two)
        assert not place.stable_standing().is_ready
        cluster.play_controller()
        found = place.status()
        assert (found.stable, found.canary, found.is_stable_ready) == (two, None, True)
        place.roll_back(one)
        cluster.play_controller()
        assert (place.status().stable, place.status().is_stable_ready) == (one, True)
        assert place.troubles() == []
