from typing import Any

import pytest

from marquee.adapters.kubernetes.readiness import (
    canary_standing,
    condition_troubles,
    pod_troubles,
    split_standing,
    stable_standing,
)
from marquee.adapters.kubernetes.wishes import applied, with_canary
from tests.marquee.adapters.kubernetes.manifests import arm, manifest


def served(**status: Any) -> dict[str, Any]:
    made = applied(None, arm("aa"), base=manifest())
    made["metadata"]["generation"] = 3
    ready = {"type": "Ready", "status": "True"}
    made["status"] = {"observedGeneration": 3, "conditions": [ready], **status}
    return made


def deployment(bundle: str = "aa", *, generation: int = 2, **status: int) -> dict[str, Any]:
    notes = {"marquee.dev/bundle-id": bundle}
    counts = {"replicas": 4, "updatedReplicas": 4, "availableReplicas": 4, "observedGeneration": 2}
    return {
        "metadata": {"generation": generation},
        "spec": {"replicas": 4, "template": {"metadata": {"annotations": notes}}},
        "status": {**counts, **status},
    }


def test_stable_arm_whose_pods_all_have_the_bundle_is_ready():
    assert stable_standing(served(), deployment()) == (True, "ready")


@pytest.mark.parametrize(
    ("live", "pods", "words"),
    [
        (served(observedGeneration=2), deployment(), "KServe has not seen it yet"),
        (served(), None, "its Deployment is not there yet"),
        (served(), deployment("old"), "its Deployment does not have the bundle yet"),
        (served(), deployment(generation=3), "its Deployment does not have the bundle yet"),
        (served(), deployment(updatedReplicas=3), "3 of 4 pods have the bundle, 4 of 4 are available"),
        (served(), deployment(replicas=5), "4 of 4 pods have the bundle, 4 of 5 are available"),
        (served(), deployment(availableReplicas=3), "4 of 4 pods have the bundle, 3 of 4 are available"),
        (served(conditions=[]), deployment(), "no condition Ready yet"),
        (
            served(
                conditions=[{"type": "Ready", "status": "False", "reason": "Route", "message": "no host"}]
            ),
            deployment(),
            "Route: no host",
        ),
    ],
)
def test_stable_arm_that_lacks_something_says_what(live, pods, words: str):
    assert stable_standing(live, pods) == (False, words)


def test_ready_condition_of_old_pods_does_not_make_a_new_bundle_ready():
    """What KServe says while the old pods serve and the new ones crash."""
    assert not stable_standing(
        served(), deployment(updatedReplicas=1, availableReplicas=4, replicas=5)
    ).is_ready


def with_status(*statuses: dict[str, Any], percent: int = 10) -> dict[str, Any]:
    return with_canary(served(canaryStatuses=list(statuses)), arm("bb"), percent)


def test_canary_counts_as_ready_by_its_own_name_only():
    name = with_status()["spec"]["canary"][0]["predictor"]["name"]

    assert canary_standing(with_status({"name": name, "ready": True})) == (True, "ready")
    assert canary_standing(with_status({"name": name, "ready": False})).words == "no pod is available yet"
    assert canary_standing(with_status({"name": "old", "ready": True})).words == "KServe has not seen it yet"
    assert canary_standing(served()) == (False, "no canary")


def test_share_counts_when_kserve_says_it():
    name = with_status()["spec"]["canary"][0]["predictor"]["name"]
    its = {"name": name, "ready": True, "trafficPercent": 10}

    assert split_standing(with_status(its)) == (True, "10 %")
    assert split_standing(with_status(its, percent=25)) == (False, "10 % of 25 %")


def test_pods_words_are_those_of_what_hinders_them():
    unscheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no cpu"}
    states = [
        {"name": "kserve-container", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "who?"}}},
        {"name": "done", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}},
        {"name": "later", "state": {"waiting": {"reason": "PodInitializing"}}},
        {"name": "dead", "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}},
        {"name": "fine", "state": {"running": {}}},
    ]
    pods = [
        {"metadata": {"name": "a"}, "status": {"containerStatuses": states}},
        {"metadata": {"name": "b"}, "status": {"conditions": [unscheduled]}},
        {"metadata": {"name": "c"}},
    ]

    assert pod_troubles(pods) == [
        "a/dead: OOMKilled",
        "a/kserve-container: ImagePullBackOff: who?",
        "b: Unschedulable: no cpu",
    ]


def test_conditions_words_are_those_that_are_not_met():
    conditions = [
        {"type": "Ready", "status": "False", "reason": "IngressNotReady"},
        {"type": "PredictorReady", "status": "True", "reason": "ignored"},
        {"type": "Silent", "status": "Unknown"},
    ]

    assert condition_troubles({"status": {"conditions": conditions}}) == ["Ready: IngressNotReady"]
