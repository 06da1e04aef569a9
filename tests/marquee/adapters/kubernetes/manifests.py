"""A manifest as k8s/base has it, bundles of one file, and the arms that serve them."""

from pathlib import Path
from typing import Any

from marquee.adapters.kubernetes import Arm
from marquee.adapters.object_store import open_store, put_folder
from marquee.bundle import Parts, write_bundle
from tests.marquee.adapters.kubernetes.fake_cluster import NAME, NAMESPACE


def manifest(*, name: str | None = None, mode: str = "Standard", replicas: int = 4) -> dict[str, Any]:
    """What a user applies."""
    predictor = {
        "minReplicas": replicas,
        "maxReplicas": 12,
        "containers": [
            {
                "name": "kserve-container",
                "image": "serving:1",
                "args": ["--model_name=marquee"],
                "env": [{"name": "PROTOCOL", "value": "v1"}],
                "readinessProbe": {"httpGet": {"path": "/v1/models/marquee", "port": 8080}},
            }
        ],
    }
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": NAME,
            "namespace": NAMESPACE,
            "annotations": {"serving.kserve.io/deploymentMode": mode},
        },
        "spec": {"predictor": predictor | ({"name": name} if name else {})},
    }


def arm(bundle_id: str, image: str | None = None) -> Arm:
    """An arm of a bundle that nobody fetched."""
    return Arm(bundle_id, f"run-of-{bundle_id}", f"s3://models/bundles/ml/{bundle_id}/bundle/0/", image)


def stored_bundle(models: Path, word: str, *, dataset: str = "ml-100k") -> str:
    """A bundle of one text, in the store as registered ones are; its id."""
    folder = models.parent / f"bundle-of-{word}"
    content = {"word": word, "dataset": dataset, "snapshot": "a" * 64, "metrics": {}}
    provenance = {"run_id": f"run-{word}"}
    made = write_bundle(folder, Parts(texts={"ranker": word}), content=content, provenance=provenance)
    put_folder(open_store(str(models)), f"bundles/{dataset}/{made.bundle_id}/bundle", folder)
    return made.bundle_id
