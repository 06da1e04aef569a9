"""The deployment over HTTP, against a cluster that conflicts, breaks and forgets to answer."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kubernetes.client import Configuration

from marquee.adapters.canary_record import CanaryRecord
from marquee.adapters.deployment import (
    CanaryNotReadyError,
    DeploymentConflictError,
    DeploymentError,
    DeploymentUnavailableError,
    NoMetrics,
)
from marquee.adapters.kubernetes import (
    Address,
    ClusterApi,
    InferenceServiceDeployment,
    Patience,
    Shelf,
    wait_until,
)
from marquee.adapters.kubernetes.waiting import NotReadyInTimeError
from marquee.adapters.object_store import open_store
from marquee.canary_loop import CanaryLoop
from marquee.errors import BundleError, ConfigError, MarqueeError, ObjectMissingError
from marquee.monitoring.canary_counts import Arms
from tests.marquee.adapters.kubernetes.conftest import QUICK
from tests.marquee.adapters.kubernetes.fake_cluster import (
    ADDRESS,
    FAULTS,
    FakeCluster,
    arms_of,
    serving,
    uri_of,
    write_kubeconfig,
)
from tests.marquee.adapters.kubernetes.manifests import arm, manifest, stored_bundle
from tests.marquee.adapters.kubernetes.reached import lead_to
from tests.marquee.monitoring.canary_factory import GOOD, GOOD_CHAMPION, NOW

Deployed = InferenceServiceDeployment


@pytest.fixture
def stable(place: Deployed, models: Path) -> str:
    """A cluster that serves the bundle of `one`; its id."""
    bundle = stored_bundle(models, "one")
    place.apply(place.shelf.fetch(bundle), base=manifest())
    return bundle


def ready(place: Deployed) -> None:
    for _ in range(6):  # the controller goes on with each reading
        place.read()


def test_canary_is_started_made_ready_given_a_share_and_promoted(
    place: Deployed, stable: str, models: Path, cluster: FakeCluster
):
    new = stored_bundle(models, "two")
    begun = place.set_canary(new, 0, expect=place.status().version)
    ready(place)
    shared = place.set_canary(new, 10, expect=place.status().version)
    ready(place)
    ended = place.promote(new, expect=place.status().version)
    ready(place)

    assert (begun.stable, begun.canary, begun.percent, begun.is_canary_ready) == (stable, new, 0, False)
    assert (shared.stable, shared.canary, shared.percent) == (stable, new, 10)
    assert (ended.stable, ended.canary, ended.percent) == (new, None, 0)
    assert (place.status().is_stable_ready, place.served_before()) == (True, stable)
    assert len(cluster.commits) == 4


def test_each_change_asked_for_again_writes_nothing_whatever_was_expected(
    place: Deployed, stable: str, models: Path, cluster: FakeCluster
):
    new = stored_bundle(models, "two")
    place.set_canary(new, 0, expect=place.status().version)
    place.set_canary(new, 0, expect="an older one")
    ready(place)
    place.promote(new)
    place.promote(new, expect="an older one")
    place.drop_canary(expect="an older one")

    assert len(cluster.commits) == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda place, new: place.set_canary(new, 20, expect="an older one"),
        lambda place, new: place.promote(new, expect="an older one"),
        lambda place, new: place.drop_canary(expect="an older one"),
    ],
)
def test_change_of_an_older_version_is_a_conflict_and_changes_nothing(
    place: Deployed, stable: str, models: Path, cluster: FakeCluster, change
):
    new = stored_bundle(models, "two")
    place.set_canary(new, 0, expect=place.status().version)
    ready(place)

    with pytest.raises(DeploymentConflictError):
        change(place, new)
    assert cluster.arms() == (stable, new, 0)


def test_words_of_the_controller_alone_are_no_conflict(place: Deployed, stable: str, cluster: FakeCluster):
    version = place.status().version
    cluster.touch()

    assert place.status().version == version
    assert cluster.live["metadata"]["resourceVersion"] not in version


def test_share_or_promotion_of_a_canary_that_is_not_ready_is_refused(
    place: Deployed, stable: str, models: Path, cluster: FakeCluster
):
    cluster.ready_after, new = 100, stored_bundle(models, "two")
    with pytest.raises(CanaryNotReadyError):
        place.set_canary(new, 5, expect=place.status().version)
    place.set_canary(new, 0, expect=place.status().version)

    with pytest.raises(CanaryNotReadyError):
        place.set_canary(new, 1, expect=place.status().version)
    with pytest.raises(CanaryNotReadyError):
        place.promote(new)
    assert cluster.arms() == (stable, new, 0)


def test_another_image_of_a_ready_canary_is_not_ready_at_once(place: Deployed, stable: str, models: Path):
    new = place.shelf.fetch(stored_bundle(models, "two"))
    place.give(new, 0)
    ready(place)
    assert place.status().is_canary_ready

    place.give(new.with_image("serving:2"), 0)
    assert not place.status().is_canary_ready


@pytest.mark.parametrize("harm", ["changed", "gone", "strange", "another id", "no bundle"])
def test_bundle_that_does_not_verify_never_reaches_the_cluster(
    place: Deployed, stable: str, models: Path, cluster: FakeCluster, harm: str
):
    new = stored_bundle(models, "two")
    (manifest_file,) = models.glob(f"bundles/*/{new}/bundle/*/manifest.json")
    folder, asked = manifest_file.parent, new
    if harm == "changed":
        (folder / "ranker.txt").write_text("owt", encoding="utf-8")
    elif harm == "gone":
        (folder / "ranker.txt").unlink()
    elif harm == "strange":
        (folder / "more.txt").write_text("?", encoding="utf-8")
    elif harm == "another id":
        asked = "f" * 16
        (models / "bundles" / "ml-100k" / new).rename(models / "bundles" / "ml-100k" / asked)
    else:
        manifest_file.unlink()

    with pytest.raises((BundleError, ObjectMissingError)) as caught:
        place.set_canary(asked, 0, expect=place.status().version)
    assert "marquee-bundle-" not in caught.value.problem  # the temporary folder is nobody's business
    assert cluster.arms() == (stable, None, 0)


def test_rollback_to_a_bundle_that_was_tampered_with_meanwhile_is_refused(
    place: Deployed, stable: str, models: Path, cluster: FakeCluster
):
    new = stored_bundle(models, "two")
    place.apply(place.shelf.fetch(new))
    (file,) = models.glob(f"bundles/*/{stable}/bundle/*/ranker.txt")
    file.write_text("owt", encoding="utf-8")

    with pytest.raises(BundleError, match="not what the manifest says"):
        place.roll_back()
    assert cluster.arms() == (new, None, 0)


def test_bundle_is_found_by_id_in_any_data_set_and_by_address(place: Deployed, models: Path):
    one = stored_bundle(models, "one")
    other = stored_bundle(models, "two", dataset="ml-1m")
    found = place.shelf.fetch(other, near=place.shelf.fetch(one).storage_uri)

    assert found.storage_uri.startswith(f"{models.as_uri()}/bundles/ml-1m/{other}/bundle/")
    assert found.storage_uri.endswith("/")
    assert (found.run_id, place.shelf.fetch(found.storage_uri)) == ("run-two", found)
    with pytest.raises(ObjectMissingError, match="no bundle nobody"):
        place.shelf.fetch("nobody")


@pytest.fixture(scope="module")
def cluster_of_all_examples(tmp_path_factory: pytest.TempPathFactory):
    """A cluster, the way to it, and two bundles: made once, as the server and the disk take their time."""
    folder, cluster = tmp_path_factory.mktemp("cluster"), FakeCluster(ready_after=1)
    with serving(cluster) as url, pytest.MonkeyPatch.context() as patch:
        lead_to(write_kubeconfig(folder / "kubeconfig", url), patch)
        shelf = Shelf(open_store(str(folder / "models")))
        arms = [shelf.fetch(stored_bundle(folder / "models", word)) for word in ("one", "two")]
        quick = QUICK.model_copy(update={"attempts": 2})
        with Deployed(ClusterApi.at(Address.of(ADDRESS), quick), shelf) as place:
            yield cluster, place, arms


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from([each for each in FAULTS if "timeout" not in each]), min_size=1, max_size=14),
    st.lists(st.sampled_from(["", "", "500", "reset"]), max_size=6),
    st.sampled_from([None, "v1"]),
)
def test_any_faults_end_in_the_right_state_or_in_words_and_never_half_way(
    cluster_of_all_examples, faults: list[str], read_faults: list[str], name: str | None
):
    """apply, canary 10, promote, rollback, twice: each step is asked for until it says that it is done."""
    cluster, place, (old, new) = cluster_of_all_examples
    cluster.reset(faults=list(faults), read_faults=list(read_faults))
    one, two = old.bundle_id, new.bundle_id
    steps = [
        (lambda: place.apply(old, base=manifest(name=name)), (one, None, 0)),
        (lambda: place.give(new, 0), (one, two, 0)),
        (lambda: place.give(new, 10), (one, two, 10)),
        (lambda: place.promote(two), (two, None, 0)),
        (lambda: place.roll_back(one), (one, None, 0)),
    ]
    for act, expected in steps * 2:
        until_done(cluster, act)
        assert cluster.arms() == expected
    for commit in cluster.commits:
        assert_whole(commit, [expected for _, expected in steps])


def until_done(cluster: FakeCluster, act: Callable[[], object]) -> None:
    """As an operator does it: ask again while it says that it was not done."""
    for _ in range(30):
        cluster.settle()
        with suppress(DeploymentUnavailableError, DeploymentConflictError):
            act()
            return
    raise AssertionError("it never came to an end")


def assert_whole(commit: dict[str, Any], allowed: list[tuple[str, str | None, int]]) -> None:
    """What was ever written is one of the states that have a name, each arm with its own bundle's files."""
    assert arms_of(commit) in allowed
    canaries = [entry["predictor"] for entry in commit["spec"].get("canary", [])]
    for predictor in (commit["spec"]["predictor"], *canaries):
        assert predictor["annotations"]["marquee.dev/bundle-id"] in uri_of(predictor)
        assert predictor["containers"][0]["image"] == "serving:1"
    assert commit["metadata"]["annotations"]["marquee.dev/bundle-id"] == arms_of(commit)[0]


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_once_is_overcome_within_the_command(
    place: Deployed, stable: str, models: Path, cluster: FakeCluster, fault: str
):
    cluster.faults, new = [fault], place.shelf.fetch(stored_bundle(models, "two"))
    place.give(new, 0)

    assert cluster.arms() == (stable, new.bundle_id, 0)
    assert len(cluster.commits) == 2  # the apply before, and this once


@pytest.mark.parametrize("fault", ["500", "500 after", "reset after"])
def test_fault_at_every_attempt_ends_in_words_unless_it_was_done(
    place: Deployed, stable: str, models: Path, cluster: FakeCluster, fault: str
):
    cluster.faults, new = [fault] * 9, place.shelf.fetch(stored_bundle(models, "two"))
    if fault == "500":
        with pytest.raises(DeploymentUnavailableError, match="500: etcdserver: no leader"):
            place.give(new, 0)
        assert cluster.arms() == (stable, None, 0)
        assert len(cluster.faults) == 4
    else:
        place.give(new, 0)
        assert cluster.arms() == (stable, new.bundle_id, 0)


def test_conflict_is_decided_anew_and_not_written_over(
    place: Deployed, stable: str, models: Path, cluster: FakeCluster
):
    """Somebody promotes while we want to raise the share: there is no canary to raise any more."""
    new = place.shelf.fetch(stored_bundle(models, "two"))
    place.give(new, 0)
    ready(place)
    replace = cluster.replace

    def raced(key, body):
        cluster.replace = replace
        promoted = {**body, "metadata": dict(cluster.live["metadata"])}
        promoted["spec"] = {"predictor": {**body["spec"]["canary"][0]["predictor"], "name": "x"}}
        replace(key, promoted)
        return replace(key, body)

    cluster.replace = raced
    with pytest.raises(DeploymentError, match="is the stable one"):
        place.give(new, 10)
    assert cluster.arms() == (new.bundle_id, None, 0)


@pytest.mark.parametrize(
    ("code", "message", "words", "remedy"),
    [
        (401, "Unauthorized", "401: Unauthorized", "credentials"),
        (403, "deployer cannot update", "403: deployer cannot", "role"),
        (422, "spec.predictor.minReplicas: Invalid", "422: spec.predictor", "Correct"),
    ],
)
def test_refusal_says_what_the_server_said_and_what_to_do(
    place: Deployed, cluster: FakeCluster, code: int, message: str, words: str, remedy: str
):
    cluster.refuses = (code, message)

    with pytest.raises(DeploymentError, match=words) as caught:
        place.status()
    assert remedy in caught.value.remedy
    assert len(cluster.requests) == 1  # asking again would not help


def test_what_is_missing_is_told_apart(place: Deployed, cluster: FakeCluster):
    with pytest.raises(DeploymentError, match="no InferenceService k8s://films/marquee"):
        place.status()
    cluster.namespaces.clear()
    with pytest.raises(DeploymentError, match="films") as caught:
        place.apply(arm("aa"), base=manifest())
    assert "kubectl create namespace films" in caught.value.remedy
    cluster.knows_kserve = False
    with pytest.raises(DeploymentError) as caught:
        place.status()
    assert "Install KServe" in caught.value.remedy


def test_webhooks_refusal_is_shown_and_changes_nothing(place: Deployed, stable: str, cluster: FakeCluster):
    base = manifest()
    base["metadata"]["annotations"]["number"] = 7

    with pytest.raises(DeploymentError, match="denied the request: annotations must be strings"):
        place.apply(arm("bb"), base=base)
    assert cluster.arms() == (stable, None, 0)


def test_manifest_of_another_service_is_refused(place: Deployed):
    base = manifest()
    base["metadata"]["name"] = "other"

    with pytest.raises(DeploymentError, match="films/other"):
        place.apply(arm("aa"), base=base)


def test_nothing_that_answers_and_nothing_configured_are_said(
    place: Deployed, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
):
    write_kubeconfig(kubeconfig, "http://127.0.0.1:9")
    with (
        Deployed(ClusterApi.at(Address.of(ADDRESS), QUICK), place.shelf) as nobody,
        pytest.raises(DeploymentUnavailableError, match="could not read k8s://films/marquee"),
    ):
        nobody.status()
    with pytest.raises(ConfigError, match="no way to a cluster"):
        ClusterApi.at(Address.of(f"{ADDRESS}?context=elsewhere"))


def test_pod_without_a_kubeconfig_uses_its_service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "token").write_text("projected", encoding="utf-8")
    (tmp_path / "ca.crt").write_text("a certificate", encoding="utf-8")
    lead_to(tmp_path / "absent", monkeypatch)
    with pytest.raises(ConfigError, match="no way to a cluster"):
        ClusterApi.at(Address.of(ADDRESS))

    inside = "kubernetes.config.incluster_config"
    monkeypatch.setattr(f"{inside}.SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(f"{inside}.SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    made = Configuration()
    monkeypatch.setattr("marquee.adapters.kubernetes.api.client.Configuration", lambda: made)
    monkeypatch.setattr("marquee.adapters.kubernetes.api.client.ApiClient", lambda given: given)
    monkeypatch.setattr("marquee.adapters.kubernetes.api.client.CustomObjectsApi", lambda given: given)
    ClusterApi.at(Address.of(ADDRESS))

    assert made.host == "https://10.0.0.1:443"
    assert made.get_api_key_with_prefix("authorization") == "bearer projected"


@pytest.mark.parametrize(
    "text", ["k8s://films", "k8s:///marquee", "k8s://films/Marquee", "k8s://films/a/b", "s3://a/b",
             "k8s://films/marquee?region=x", f"k8s://films/{'m' * 38}"],
)  # fmt: skip
def test_address_that_is_none_is_refused(text: str):
    with pytest.raises(ConfigError):
        Address.of(text)


def test_longest_name_still_gives_a_canarys_service_a_name():
    name = "m" * 37
    assert len(f"{Address.of(f'k8s://films/{name}').name}-{arm('a' * 16).name}x-predictor") <= 63


def test_waiting_tells_each_state_once_and_ends_when_the_pods_have_the_bundle(
    place: Deployed, stable: str, models: Path, cluster: FakeCluster
):
    cluster.ready_after, told = 4, []
    place.apply(place.shelf.fetch(stored_bundle(models, "two")))
    cluster.read_faults = ["", "500"] * 2 + ["500"] * 5
    wait_until(
        place.stable_standing,
        patience=Patience(sleep=lambda _: None),
        tell=told.append,
        troubles=place.troubles,
        left="",
    )

    assert told[0] == "KServe has not seen it yet"
    assert "1 of 4 pods have the bundle, 3 of 4 are available" in told
    assert told[-1] == "ready"
    assert all(before != after for before, after in pairwise(told))


def test_waiting_in_vain_says_what_the_pods_say_and_what_is_left(
    place: Deployed, stable: str, models: Path, cluster: FakeCluster
):
    new = place.shelf.fetch(stored_bundle(models, "two"))
    cluster.broken[new.bundle_id] = "403 Forbidden on s3://models"
    place.give(new, 0)
    clock = iter(range(100))

    with pytest.raises(NotReadyInTimeError) as caught:
        wait_until(
            place.canary_standing,
            patience=Patience(timeout_s=5, sleep=lambda _: None, clock=lambda: next(clock)),
            tell=lambda _: None,
            troubles=place.troubles,
            left="Undo it.",
        )
    assert "storage-initializer: CrashLoopBackOff: 403 Forbidden on s3://models" in caught.value.problem
    assert (caught.value.remedy, cluster.arms()) == ("Undo it.", (stable, new.bundle_id, 0))


class Fair:
    """Both arms do well."""

    def read(self, champion: str, canary: str, *, since: datetime, until: datetime) -> Arms | None:
        return Arms(since=since, until=until, champion=GOOD_CHAMPION, canary=GOOD)


def test_canary_loop_drives_a_cluster_to_promotion_through_faults(
    place: Deployed, stable: str, models: Path, cluster: FakeCluster, tmp_path: Path
):
    new, now, shares = stored_bundle(models, "two"), NOW, []
    record = CanaryRecord.of(open_store(str(tmp_path / "record")), "test")
    loop = CanaryLoop(record, place, Fair(), "me", None, lambda: now, lambda _: None)
    cluster.faults = ["409", "reset after", "", "500 after", "503"]
    state = loop.begin(new)
    while not state.is_over:
        shares.append(cluster.arms()[2])
        now += timedelta(minutes=31)
        state = loop.check()

    assert (state.phase, cluster.arms()) == ("promoted", (new, None, 0))
    assert sorted(set(shares)) == [step.percent for step in state.config.steps]
    assert place.served_before() == stable


def test_canary_loop_that_is_aborted_leaves_the_stable_arm(
    place: Deployed, stable: str, models: Path, cluster: FakeCluster, tmp_path: Path
):
    record = CanaryRecord.of(open_store(str(tmp_path / "record")), "test")
    loop = CanaryLoop(record, place, NoMetrics(), "me", None, lambda: NOW, lambda _: None)
    loop.begin(stored_bundle(models, "two"))
    cluster.faults = ["500 after"]

    assert loop.abort("enough").phase == "rolled_back"
    assert cluster.arms() == (stable, None, 0)


def test_every_error_has_a_remedy(place: Deployed, cluster: FakeCluster):
    cluster.refuses = (418, "I'm a teapot")

    with pytest.raises(MarqueeError) as caught:
        place.status()
    assert caught.value.remedy
