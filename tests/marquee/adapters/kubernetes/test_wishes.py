from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.adapters.deployment import CanaryNotReadyError, DeploymentError
from marquee.adapters.kubernetes.arms import JOURNAL, canary_of, stable_of
from marquee.adapters.kubernetes.rollback import Way, gone, way_back
from marquee.adapters.kubernetes.wishes import (
    applied,
    dropped,
    left_of,
    previous_of,
    promoted,
    returned,
    with_canary,
)
from tests.marquee.adapters.kubernetes.fake_cluster import admit, arms_of, uri_of
from tests.marquee.adapters.kubernetes.manifests import arm, manifest

Manifest = dict[str, Any]


@pytest.fixture(params=[None, "v1"])
def served(request: pytest.FixtureRequest) -> Manifest:
    """An InferenceService that serves bundle aa; its predictor without a name, and with one."""
    return applied(None, arm("aa"), base=manifest(name=request.param))


def pod_annotations(live: Manifest, predictor: Manifest) -> dict[str, str]:
    """As KServe makes them: the object's, under the predictor's."""
    return {**live["metadata"]["annotations"], **predictor.get("annotations", {})}


def test_apply_sets_uri_image_and_annotations_and_nothing_else(served: Manifest):
    base = manifest(name=served["spec"]["predictor"].get("name"))
    made = applied(None, arm("aa", "serving:2"), base=base)
    container = made["spec"]["predictor"]["containers"][0]

    assert container["env"] == [
        {"name": "STORAGE_URI", "value": "s3://models/bundles/ml/aa/bundle/0/"},
        {"name": "PROTOCOL", "value": "v1"},
    ]
    assert container["image"] == "serving:2"
    assert made["metadata"]["annotations"]["marquee.dev/bundle-id"] == "aa"
    assert made["metadata"]["annotations"]["marquee.dev/run-id"] == "run-of-aa"
    rest = deepcopy(made)
    rest["spec"]["predictor"]["containers"] = base["spec"]["predictor"]["containers"]
    del rest["spec"]["predictor"]["annotations"]
    rest["metadata"]["annotations"] = base["metadata"]["annotations"]
    assert rest == base


def test_apply_of_another_bundle_keeps_name_version_and_what_was_served_before():
    live = applied(None, arm("aa"), base=manifest(name="v1"))
    live["metadata"] |= {"resourceVersion": "7", "uid": "u", "generation": 1}
    made = applied(live, arm("bb"), base=manifest(name="v9"))

    assert (stable_of(made).bundle_id, previous_of(made)) == ("bb", arm("aa", "serving:1"))
    assert made["spec"]["predictor"]["name"] == "v1"
    assert made["metadata"]["resourceVersion"] == "7"


def test_apply_again_is_no_write_even_where_the_server_filled_in_defaults(served: Manifest):
    base = manifest(name=served["spec"]["predictor"].get("name"))
    live = deepcopy(served)
    live["spec"]["predictor"]["containers"][0]["terminationMessagePath"] = "/dev/termination-log"
    live["metadata"]["annotations"]["added.by/somebody"] = "else"

    assert applied(live, arm("aa"), base=base) is live
    assert applied(live, arm("aa"), base=None) is live


@pytest.mark.parametrize("change", ["more replicas", "an argument less", "somebody edited it"])
def test_apply_of_what_differs_is_a_write(served: Manifest, change: str):
    base, live = manifest(name=served["spec"]["predictor"].get("name")), deepcopy(served)
    if change == "more replicas":
        base["spec"]["predictor"]["minReplicas"] = 5
    elif change == "an argument less":
        del base["spec"]["predictor"]["containers"][0]["args"]
    else:
        live["spec"]["predictor"]["maxReplicas"] = 1

    made = applied(live, arm("aa"), base=base)
    assert made is not live
    assert made["spec"]["predictor"]["minReplicas"] == base["spec"]["predictor"]["minReplicas"]
    assert ("args" in made["spec"]["predictor"]["containers"][0]) == (change != "an argument less")
    assert previous_of(made) is None


def test_canary_is_a_full_container_of_its_own_name_that_the_webhook_takes(served: Manifest):
    made = with_canary(served, arm("bb"), 25)
    (entry,) = made["spec"]["canary"]
    stable = served["spec"]["predictor"]

    admit(made, served)
    assert entry["trafficPercent"] == 25
    assert entry["predictor"]["name"] not in {None, stable.get("name")}
    assert set(entry["predictor"]["containers"][0]) == set(stable["containers"][0])
    assert uri_of(entry["predictor"]) == "s3://models/bundles/ml/bb/bundle/0/"
    assert made["spec"]["predictor"] == stable


@pytest.mark.parametrize(("percent", "pods"), [(0, 1), (1, 1), (25, 1), (26, 2), (50, 2), (100, 4)])
def test_canary_has_pods_by_its_share_of_four_and_one_at_least(percent: int, pods: int):
    made = with_canary(applied(None, arm("aa"), base=manifest(replicas=4)), arm("bb"), percent)

    assert made["spec"]["canary"][0]["predictor"]["minReplicas"] == pods


def test_canary_in_another_image_has_another_name_so_that_old_pods_do_not_pass_for_it(served: Manifest):
    one, other = (with_canary(served, arm("bb", image), 10) for image in ("serving:1", "serving:2"))
    names = {each["spec"]["canary"][0]["predictor"]["name"] for each in (one, other)}

    assert len(names) == 2


def test_promotion_of_a_named_predictor_leaves_the_canarys_pods_as_they_are():
    live = with_canary(applied(None, arm("aa"), base=manifest(name="v1")), arm("bb"), 100)
    canary = live["spec"]["canary"][0]["predictor"]
    made = promoted(live, "bb")
    stable = made["spec"]["predictor"]

    assert (stable["name"], stable["containers"]) == (canary["name"], canary["containers"])
    assert pod_annotations(made, stable) == pod_annotations(live, canary)
    assert (stable["minReplicas"], stable["maxReplicas"]) == (4, 12)
    assert "canary" not in made["spec"]
    assert previous_of(made) == arm("aa", "serving:1")


def test_canary_that_was_rolled_back_once_can_be_tried_again_under_a_name_that_is_free():
    served = applied(None, arm("aa"), base=manifest(name="v1"))
    back = returned(promoted(with_canary(served, arm("bb"), 10), "bb"), "aa")
    again = with_canary(back, arm("bb"), 10)

    admit(again, back)
    assert arms_of(promoted(again, "bb")) == ("bb", None, 0)


def test_promotion_of_a_predictor_without_a_name_keeps_its_service():
    live = with_canary(applied(None, arm("aa"), base=manifest()), arm("bb"), 100)

    assert "name" not in promoted(live, "bb")["spec"]["predictor"]


def test_dropping_a_canary_leaves_the_stable_pods_as_they_are(served: Manifest):
    live = with_canary(served, arm("bb"), 10)
    made = dropped(live)

    assert made["spec"] == served["spec"]
    before, after = (pod_annotations(each, each["spec"]["predictor"]) for each in (live, made))
    assert before == after
    assert left_of(made) == "bb"


def test_dropping_a_canary_beside_pods_that_we_did_not_make_writes_no_annotation():
    live = with_canary(applied(None, arm("aa"), base=manifest()), arm("bb"), 10)
    for key in JOURNAL:
        del live["spec"]["predictor"]["annotations"][key]

    assert dropped(live)["metadata"] == live["metadata"]


def test_rollback_drops_the_canary_first_then_nothing_then_by_name_returns(served: Manifest):
    live = with_canary(promoted(with_canary(served, arm("bb"), 10), "bb"), arm("cc"), 10)
    way = way_back(live)
    without = gone(live, way)

    assert (way, arms_of(without)) == (Way("drop", "cc"), ("bb", None, 0))
    assert way_back(without) == Way("done", "cc")  # asked for again, it does not go back once more
    further = way_back(without, "aa")
    back = gone(without, further)
    assert (further, arms_of(back)) == (Way("return", "aa"), ("aa", None, 0))
    assert (way_back(back), way_back(back, "aa")) == (Way("done", "bb"), Way("done", "aa"))
    assert returned(back, "aa") is back


def test_rollback_after_a_promotion_returns_to_the_arm_before(served: Manifest):
    live = promoted(with_canary(served, arm("bb", "serving:2"), 100), "bb")
    way = way_back(live)
    back = gone(live, way)

    assert way == Way("return", "aa")
    assert stable_of(back) == arm("aa", "serving:1")
    assert back["spec"]["predictor"].get("name") == live["spec"]["predictor"].get("name")


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (lambda live: with_canary(live, arm("aa"), 10), "is the stable one"),
        (lambda live: with_canary(live, arm("bb"), 101), "101 % is no share"),
        (lambda live: applied(with_canary(live, arm("bb"), 1), arm("cc"), base=None), "canary is under way"),
        (lambda live: applied(live, arm("aa"), base=manifest(mode="Knative")), "no mode change"),
        (lambda live: applied(live, arm("aa"), base=with_canary(live, arm("bb"), 1)), "has a canary"),
        (lambda live: applied(None, arm("aa"), base=None), "no such InferenceService yet"),
        (way_back, "nothing is known to be served before"),
        (lambda live: returned(live, "zz"), "nothing was served before"),
        (lambda live: way_back(with_canary(live, arm("bb"), 1), "zz"), "canary bb is under way"),
        (lambda live: canary_of({"spec": {"canary": [{}, {}]}}), "2 canaries"),
        (lambda live: stable_of(manifest()), "does not say which bundle"),
        (lambda live: stable_of({"metadata": {}, "spec": {"predictor": {"model": {}}}}), "no container"),
    ],
)
def test_wish_that_can_not_be_is_refused_in_words(served: Manifest, wish, words: str):
    before = deepcopy(served)
    with pytest.raises(DeploymentError, match=words):
        wish(served)
    assert served == before


def test_canary_on_knative_is_refused_and_says_so():
    live = applied(None, arm("aa"), base=manifest(mode="Knative"))

    with pytest.raises(DeploymentError, match="deploymentMode is Knative"):
        with_canary(live, arm("bb"), 10)


def test_promotion_of_what_is_not_the_canary_is_refused(served: Manifest):
    with pytest.raises(CanaryNotReadyError, match="there is no canary"):
        promoted(served, "bb")
    with pytest.raises(CanaryNotReadyError, match="the canary is bb"):
        promoted(with_canary(served, arm("bb"), 10), "cc")


WISHES = {
    "apply": lambda live, bundle, percent: applied(live, arm(bundle), base=None),
    "canary": lambda live, bundle, percent: with_canary(live, arm(bundle), percent),
    "promote": lambda live, bundle, percent: promoted(live, bundle),
    "drop": lambda live, bundle, percent: dropped(live),
    "return": lambda live, bundle, percent: returned(live, bundle),
}


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(WISHES)), st.sampled_from(["aa", "bb", "cc"]), st.integers(0, 100)),
        max_size=8,
    ),
    st.sampled_from([None, "v1"]),
)
def test_any_wishes_give_manifests_that_the_webhook_takes_and_twice_is_once(wishes, name):
    live = applied(None, arm("aa"), base=manifest(name=name))
    for kind, bundle, percent in wishes:
        before = deepcopy(live)
        try:
            made = WISHES[kind](live, bundle, percent)
        except DeploymentError:
            assert live == before
            continue
        assert live == before
        admit(made, live)
        assert WISHES[kind](made, bundle, percent) is made
        for predictor in (
            made["spec"]["predictor"],
            *(e["predictor"] for e in made["spec"].get("canary", [])),
        ):
            served_bundle = predictor["annotations"]["marquee.dev/bundle-id"]
            assert uri_of(predictor) == arm(served_bundle).storage_uri
        assert made["metadata"]["annotations"]["marquee.dev/bundle-id"] == arms_of(made)[0]
        live = made
