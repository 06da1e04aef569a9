import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from marquee.adapters.kubernetes import ClusterApi
from marquee.adapters.mlflow import Registry, Tracking
from marquee.adapters.object_store import open_store
from tests.marquee.adapters.kubernetes.fake_cluster import ADDRESS, FakeCluster
from tests.marquee.adapters.kubernetes.manifests import manifest, stored_bundle
from tests.marquee.adapters.kubernetes.reached import cluster, kubeconfig
from tests.small_run import Outcome, Place, run_here

__all__ = ["cluster", "kubeconfig"]

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROOT = Path(__file__).parents[3]
WHERE = ("--deployment", ADDRESS)
QUICKLY = ("--every", "0.01", "--timeout", "20")


@pytest.fixture
def here(tmp_path: Path, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(ClusterApi, "pause_before", lambda *_: None)
    return Place(tmp_path)


@pytest.fixture
def bundles(here: Place) -> tuple[str, str]:
    """Two registered bundles: the store of models is in the runs folder."""
    here.runs.mkdir()
    one, two = (stored_bundle(here.runs / "models", word) for word in ("one", "two"))
    return one, two


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """What kubectl kustomize writes: several objects, one of them the InferenceService."""
    made = tmp_path / "rendered.yaml"
    other = {"kind": "ServiceAccount", "metadata": {"name": "marquee"}}
    made.write_text(yaml.safe_dump_all([other, manifest(name="v1")]), encoding="utf-8")
    return made


def deploy(here: Place, *words: str | Path, waits: bool = True) -> Outcome:
    return run_here("deploy", *words, *WHERE, *(QUICKLY if waits else ()), at=here)


def test_apply_canary_promote_rollback_twice_through_faults_ends_as_it_should(
    here: Place, bundles: tuple[str, str], file: Path, cluster: FakeCluster
):
    one, two = bundles
    steps = [
        (("apply", one, "--manifest", file), (one, None, 0), ["500", "409", "reset after"]),
        (("canary", two, "--percent", "10"), (one, two, 10), ["409", "500 after", "", "503"]),
        (("promote",), (two, None, 0), ["reset", "409"]),
        (("rollback",), (one, None, 0), ["500", "500 after"]),
    ]
    for words, expected, faults in steps * 2:
        cluster.faults, cluster.read_faults = list(faults), ["", "500", "reset"]
        shown = deploy(here, *words, "--json")

        assert (shown.code, cluster.arms()) == (0, expected), shown.err
        assert (shown.json["stable"], shown.json["canary"], shown.json["percent"]) == expected
        assert shown.json["is_stable_ready"]
        assert shown.json["troubles"] == []
    assert len(cluster.commits) == 9  # five a round, and the second apply finds its bundle served
    again = deploy(here, "rollback")
    assert (again.code, len(cluster.commits)) == (0, 9)
    assert "nothing to do" in again.out


def test_each_command_says_what_it_waits_for_and_what_holds(
    here: Place, bundles: tuple[str, str], file: Path
):
    one, two = bundles
    applied = deploy(here, "apply", one, "--manifest", file)
    shared = deploy(here, "canary", two, "--percent", "25")
    shown = deploy(here, "status", waits=False)
    gone = deploy(here, "rollback")

    assert "1 of 4 pods have the bundle, 3 of 4 are available" in applied.err
    assert f"bundle {one} is served" in applied.out
    assert "no pod is available yet" in shared.err
    assert f"canary {two} has 25 % of the requests" in shared.out
    assert f"{two} at 25 %, ready" in shown.out
    assert f"canary {two} is gone" in gone.out


def test_bundle_id_and_run_id_are_annotations_of_the_object_and_of_its_pods(
    here: Place, bundles: tuple[str, str], file: Path, cluster: FakeCluster
):
    deploy(here, "apply", bundles[0], "--manifest", file, "--image", "serving@sha256:aa")
    live = cluster.live

    for annotations in (live["metadata"]["annotations"], live["spec"]["predictor"]["annotations"]):
        assert annotations["marquee.dev/bundle-id"] == bundles[0]
        assert annotations["marquee.dev/run-id"] == "run-one"
    assert live["spec"]["predictor"]["containers"][0]["image"] == "serving@sha256:aa"


def test_tampered_bundle_is_refused_and_the_cluster_hears_nothing(
    here: Place, bundles: tuple[str, str], file: Path, cluster: FakeCluster
):
    deploy(here, "apply", bundles[0], "--manifest", file)
    for folder in here.runs.glob(f"models/bundles/*/{bundles[1]}/bundle/*/"):
        (folder / "ranker.txt").write_text("owt", encoding="utf-8")

    for command in (["apply"], ["canary"]):
        shown = deploy(here, *command, bundles[1])
        assert shown.code == 2
        assert "not what the manifest says" in shown.err
    assert len(cluster.commits) == 1


def test_bundle_that_does_not_come_up_is_an_error_with_the_pods_words_and_no_share(
    here: Place, bundles: tuple[str, str], file: Path, cluster: FakeCluster
):
    deploy(here, "apply", bundles[0], "--manifest", file)
    cluster.broken[bundles[1]] = "AccessDenied"
    shown = run_here("deploy", "canary", bundles[1], *WHERE, "--every", "0.01", "--timeout", "0.3", at=here)

    assert (shown.code, cluster.arms()) == (1, (*bundles, 0))
    assert "CrashLoopBackOff: AccessDenied" in shown.err
    assert "stays without a share; `marquee deploy rollback` removes it" in shown.err


@pytest.fixture
def registry(here: Place, bundles: tuple[str, str]) -> Registry:
    """Both bundles are versions, the gate refused the second; the first reigns."""
    made = Registry("ml-100k", Tracking.of(here.runs, {}), open_store(str(here.runs / "models")))
    for word, passed in (("one", True), ("two", False)):
        made.register(here.runs / f"bundle-of-{word}", gate_passed=passed)
    made.promote(bundles[0], now=NOW)
    return made


def test_promoted_canary_is_the_champion_of_the_registry_too(
    here: Place, bundles: tuple[str, str], file: Path, registry: Registry
):
    one, two = bundles
    registry.promote(two, now=NOW, despite_gate=True)
    deploy(here, "apply", two, "--manifest", file)
    deploy(here, "canary", one, "--percent", "10")
    shown = deploy(here, "promote", "--registry", "ml-100k")
    again = deploy(here, "promote", "--registry", "ml-100k")

    for each in (shown, again):
        assert each.code == 0, each.err
        assert f"bundle {one} is the stable one, and champion, version 1 of" in " ".join(each.out.split())
    assert registry.champion().bundle_id == one  # type: ignore[union-attr]


def test_promotion_that_the_registry_refuses_stands_on_the_cluster_and_is_said(
    here: Place, bundles: tuple[str, str], file: Path, registry: Registry, cluster: FakeCluster
):
    one, two = bundles
    deploy(here, "apply", one, "--manifest", file)
    deploy(here, "canary", two, "--percent", "10")
    shown = deploy(here, "promote", "--registry", "ml-100k")

    assert (shown.code, cluster.arms()) == (0, (two, None, 0))
    assert "champion of the cluster, but not of the registry" in " ".join(shown.out.split())
    assert registry.champion().bundle_id == one  # type: ignore[union-attr]


def test_share_of_a_canary_is_changed_without_starting_it_anew(
    here: Place, bundles: tuple[str, str], file: Path, cluster: FakeCluster
):
    deploy(here, "apply", bundles[0], "--manifest", file)
    deploy(here, "canary", bundles[1], "--percent", "50")
    deploy(here, "canary", bundles[1], "--percent", "5")
    deploy(here, "canary", bundles[1], "--percent", "5")

    shares = [each["spec"]["canary"][0]["trafficPercent"] for each in cluster.commits[1:]]
    assert shares == [0, 50, 5]


@pytest.mark.parametrize("killed_at", [1, 2])
def test_killed_in_the_midst_of_a_canary_the_same_command_goes_on(
    here: Place, bundles: tuple[str, str], file: Path, cluster: FakeCluster, killed_at: int
):
    """The write is done, its answer hangs, and the process gets SIGKILL."""
    deploy(here, "apply", bundles[0], "--manifest", file)
    cluster.faults = [*[""] * (killed_at - 1), "hang after"]
    command = [sys.executable, "-m", "marquee", "deploy", "canary", bundles[1], *WHERE, *QUICKLY]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MARQUEE_RUNS": str(here.runs)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        end = time.monotonic() + 60
        while len(cluster.commits) < 1 + killed_at and time.monotonic() < end and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert (process.returncode, cluster.arms()) == (-9, (*bundles, 0 if killed_at == 1 else 10))

    shown = deploy(here, "canary", bundles[1])
    assert (shown.code, cluster.arms()) == (0, (*bundles, 10)), shown.err
    assert len(cluster.commits) == 3


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("apply", "nobody"), "no bundle nobody"),
        (("canary", "nobody", "--percent", "101"), "--percent 101"),
        (("promote",), "no InferenceService k8s://films/marquee"),
        (("rollback", "--timeout", "0"), "--timeout 0"),
        (("apply", "nobody", "--manifest", "absent.yaml"), "absent.yaml can't be read"),
    ],
)
def test_deploy_says_what_is_wrong(here: Place, words: tuple[str, ...], problem: str):
    shown = deploy(here, *words, waits=False)

    assert shown.code == 2
    assert problem in shown.err
    assert "remedy:" in shown.err


def test_manifest_without_the_service_is_refused(here: Place, bundles: tuple[str, str], tmp_path: Path):
    (tmp_path / "other.yaml").write_text("kind: Service\n---\n- a list\n", encoding="utf-8")

    shown = deploy(here, "apply", bundles[0], "--manifest", tmp_path / "other.yaml")
    assert "holds no InferenceService marquee" in shown.err


def test_marquee_canary_drives_an_inference_service_by_its_address(
    here: Place, bundles: tuple[str, str], file: Path, cluster: FakeCluster
):
    deploy(here, "apply", bundles[0], "--manifest", file)
    begun = run_here("canary", "start", bundles[1], *WHERE, "--json", at=here)
    shown = run_here("canary", "status", *WHERE, "--json", at=here).json
    ended = run_here("canary", "abort", *WHERE, "--json", at=here)

    assert (begun.json["champion"], begun.json["canary"]) == bundles
    assert (shown["deployment"]["stable"], shown["deployment"]["canary"]) == bundles
    assert (ended.json["phase"], cluster.arms()) == ("rolled_back", (bundles[0], None, 0))
    for words in (("start", bundles[1], "--stable", "x"), ("ready", "x")):
        refused = run_here("canary", *words, *WHERE, at=here)
        assert "KServe knows" in refused.err


def test_aws_policies_are_written_for_the_names_that_were_given(here: Place, tmp_path: Path):
    names = ["--account", "123456789012", "--region", "eu-central-1", "--github", "me/marquee"]
    names += ["--oidc", "oidc.eks.eu-central-1.amazonaws.com/id/A", "--out", str(tmp_path / "aws")]
    shown = run_here("deploy", "aws-policies", *names, "--bucket", "films", "--json", at=here)
    wrong = run_here("deploy", "aws-policies", *names, "--bucket", "*", at=here)

    texts = [Path(file).read_text(encoding="utf-8") for file in shown.json]
    assert len(texts) == 10
    assert any("arn:aws:s3:::films/marquee/models/bundles/*" in text for text in texts)
    assert (wrong.code, "--bucket = '*'" in wrong.err) == (2, True)
