"""Nothing runs alone, unguarded or in the open: budgets, spreading, policies."""

from collections.abc import Iterator

from k8s.checks.finding import Finding, Path, at, list_at, mapping_at
from k8s.checks.pods import OWNER_LABEL, Pod
from k8s.checks.scene import Scene, matches


def cover_findings(scene: Scene) -> Iterator[Finding]:
    """What lacks its budget, its spread or its policy."""
    for pod in scene.pods:
        for path, problem in _cover(pod, scene):
            yield Finding(pod.where, path, problem)
    yield from _doors(scene)


def _cover(pod: Pod, scene: Scene) -> Iterator[tuple[Path, str]]:
    """What runs several times may lose one at a time only, and not all with a node."""
    replicas = pod.spec.get("minReplicas") if pod.is_predictor else at(pod.owner, "spec", "replicas")
    if pod.ends or pod.is_canary or not isinstance(replicas, int) or replicas < 2:
        return
    budgets = [mapping_at(one, "spec", "selector") for one in scene.named("PodDisruptionBudget").values()]
    if not any(matches(pod.labels, selector) for selector in budgets):
        yield pod.path, f"{replicas} pods and no PodDisruptionBudget"
    knative = at(pod.owner, "metadata", "annotations", "serving.kserve.io/deploymentMode") == "Knative"
    spread = list_at(pod.spec, "topologySpreadConstraints")
    keys = {at(one, "topologyKey") for one in spread}
    if not knative and not {"topology.kubernetes.io/zone", "kubernetes.io/hostname"} <= keys:
        yield (*pod.path, "topologySpreadConstraints"), "not spread over zones and nodes"
    for index, one in enumerate(spread):
        if not matches(pod.labels, mapping_at(one, "labelSelector")) or not mapping_at(
            one, "labelSelector", "matchLabels"
        ):
            yield (*pod.path, "topologySpreadConstraints", index), "does not count this workload's own pods"


def _doors(scene: Scene) -> Iterator[Finding]:
    """Every pod is behind a policy that denies what no other allows."""
    if not scene.pods:
        return
    policies = scene.named("NetworkPolicy").values()
    closed = [
        one
        for one in policies
        if at(one, "spec", "podSelector") == {}
        and set(list_at(one, "spec", "policyTypes")) == {"Ingress", "Egress"}
        and not list_at(one, "spec", "ingress")
        and not list_at(one, "spec", "egress")
    ]
    if not closed:
        yield Finding("NetworkPolicy/default-deny", (), "no policy denies what none allows")
    kserve = {OWNER_LABEL}
    for pod in scene.pods:
        if not set(pod.labels) - kserve:
            yield Finding(pod.where, pod.path, "its pods have no label of ours, so no policy can mean them")
