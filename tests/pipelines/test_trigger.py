import hashlib
import json
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from marquee.errors import ConfigError, MarqueeError, PipelineApiError, TrainingBusyError
from marquee.run_folder import finished_path, new_run
from marquee.run_values import RunValues
from pipelines.api import Api
from pipelines.submit import Version, start, upload
from pipelines.trigger import ACTIVE, Decision, Order, trigger_here, trigger_on_cluster
from tests.pipelines.kfp_stub import KfpStub, later, settings_of, small_pipeline

pytestmark = pytest.mark.usefixtures("impatient")

NOW = datetime(2024, 6, 1, 3, tzinfo=UTC)
VALUES = RunValues.from_values({"training": {"seed": 11}}, where="the test")
DRIFT = Order("drift", Decision("s3://bucket/decision.json"))


@pytest.fixture
def version(stub: KfpStub, api: Api, tmp_path: Path) -> Version:
    upload(api, small_pipeline(tmp_path), "0.1.0-zzz")
    later(stub)
    return upload(api, small_pipeline(tmp_path), "0.1.0-aaa")


def trigger(stub: KfpStub, folder: Path, order: Order = DRIFT):
    return trigger_on_cluster(order, VALUES, settings_of(stub, folder), now=NOW, settle=0)


def states(stub: KfpStub) -> dict[str, str]:
    return {one["display_name"]: one["state"] for one in stub.state.runs.values()}


# --- decisions


def test_decision_in_a_file_is_known_by_its_content(tmp_path: Path):
    path = tmp_path / "decision.json"
    path.write_text('{"retrain": true}', encoding="utf-8")
    sha256 = hashlib.sha256(b'{"retrain": true}').hexdigest()

    for given in (str(path), f"file://{path}"):
        order = Order("drift", Decision.of(given))
        assert order.values == {"reason": "drift", "decision": path.as_uri(), "decision_sha256": sha256}


def test_decision_at_an_address_is_taken_as_it_is():
    assert Decision.of("s3://bucket/decision.json") == Decision("s3://bucket/decision.json")
    assert Order("manual").values == {"reason": "manual"}


@pytest.mark.parametrize("content", [None, b"", b"{", b"[1]", b"\xff\xfe"])
def test_decision_that_is_none_is_refused(content: bytes | None, tmp_path: Path):
    path = tmp_path / "decision.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="--decision = "):
        Decision.of(str(path))


# --- on the cluster


def test_trigger_starts_the_newest_version_and_links_back(stub: KfpStub, version: Version, tmp_path: Path):
    started = trigger(stub, tmp_path)

    (run,) = stub.state.runs.values()
    assert run["run_id"] == started.run_id
    assert run["pipeline_version_reference"]["pipeline_version_id"] == version.version_id
    assert run["description"] == "reason: drift\ndecision: s3://bucket/decision.json"
    assert run["runtime_config"]["parameters"]["reason"] == "drift"
    assert run["runtime_config"]["parameters"]["run_id"] == started.name == run["display_name"]
    assert started.name.startswith("20240601-030000-")


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "PAUSED"])
def test_trigger_is_refused_while_a_training_is_at_work(
    state: str, stub: KfpStub, api: Api, version: Version, tmp_path: Path
):
    first = start(api, version, {}, name="by-hand")
    stub.state.runs[first.run_id]["state"] = state

    with pytest.raises(TrainingBusyError, match=f"by-hand \\({first.run_id}\\), {state}") as caught:
        trigger(stub, tmp_path)

    assert caught.value.exit_code == 3
    assert states(stub) == {"by-hand": state}


@pytest.mark.parametrize("state", ["SUCCEEDED", "FAILED", "SKIPPED", "CANCELED", "CANCELING"])
def test_trigger_after_the_end_of_the_last_one_starts(
    state: str, stub: KfpStub, api: Api, version: Version, tmp_path: Path
):
    first = start(api, version, {}, name="last")
    stub.state.runs[first.run_id]["state"] = state

    assert trigger(stub, tmp_path).name in states(stub)


def test_trigger_minds_no_other_pipeline(stub: KfpStub, api: Api, version: Version, tmp_path: Path):
    other = upload(api, small_pipeline(tmp_path, "marquee-batch"), "0.1.0-aaa")
    start(api, other, {}, name="batch")

    assert trigger(stub, tmp_path).version == version.version


def test_of_two_triggers_at_once_the_later_one_ends_its_run(
    stub: KfpStub, api: Api, version: Version, tmp_path: Path
):
    def another() -> None:
        stub.before_run = lambda: None
        stub.keep("runs", "run_id", dict(stub.asked("POST", "/runs")[-1].body) | theirs)
        later(stub)

    theirs = {"display_name": "theirs", "state": "PENDING"}
    stub.before_run = another

    with pytest.raises(TrainingBusyError, match="theirs"):
        trigger(stub, tmp_path)

    assert sorted(states(stub).values()) == ["CANCELING", "PENDING"]
    assert states(stub)["theirs"] == "PENDING"


def test_of_two_triggers_at_once_the_earlier_one_keeps_its_run(
    stub: KfpStub, version: Version, tmp_path: Path
):
    # The other one comes between this one's run and its second look, and would see this one's run.
    def another() -> None:
        stub.before_run = lambda: None
        stub.now = stub.now.replace(hour=5)
        theirs = {"display_name": "theirs", "state": "PENDING"}
        stub.keep("runs", "run_id", dict(stub.asked("POST", "/runs")[-1].body) | theirs)
        stub.now = stub.now.replace(hour=4)

    stub.before_run = another

    started = trigger(stub, tmp_path)

    assert states(stub) == {"theirs": "PENDING", started.name: "PENDING"}


def test_many_triggers_at_once_leave_one_run(stub: KfpStub, version: Version, tmp_path: Path):
    ends: list[str] = []
    together = threading.Barrier(4)

    def one() -> None:
        settings = settings_of(stub, tmp_path)
        together.wait()
        try:
            trigger_on_cluster(DRIFT, VALUES, settings, now=NOW, settle=1.0)
            ends.append("started")
        except TrainingBusyError:
            ends.append("busy")

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(ends) == ["busy", "busy", "busy", "started"]
    assert [state for state in states(stub).values() if state in ACTIVE] == ["PENDING"]


def test_trigger_without_an_upload_says_what_to_do(stub: KfpStub, tmp_path: Path):
    with pytest.raises(PipelineApiError, match="has no pipeline marquee-training") as caught:
        trigger(stub, tmp_path)
    assert "marquee pipeline submit" in caught.value.remedy


def test_trigger_that_can_not_look_starts_nothing(stub: KfpStub, version: Version, tmp_path: Path):
    stub.fail(500, "GET", "/runs$", times=3)
    with pytest.raises(PipelineApiError, match="500"):
        trigger(stub, tmp_path)
    assert stub.state.runs == {}


def test_trigger_that_can_not_look_again_says_that_a_run_was_started(
    stub: KfpStub, version: Version, tmp_path: Path
):
    stub.before_run = lambda: stub.fail(500, "GET", "/runs$", times=3)
    with pytest.raises(PipelineApiError, match="was started; whether") as caught:
        trigger(stub, tmp_path)
    (run,) = stub.state.runs.values()
    assert run["run_id"] in caught.value.problem


# --- on this machine


def finished(runs: Path) -> Path:
    with new_run(runs, now=NOW) as partial:
        (partial / "metrics.json").write_text("{}", encoding="utf-8")
    return finished_path(partial)


def test_trigger_here_leaves_reason_and_decision_in_the_run(tmp_path: Path):
    path = tmp_path / "decision.json"
    path.write_text('{"retrain": true}', encoding="utf-8")
    order = Order("drift", Decision.of(str(path)))
    runs = tmp_path / "runs"

    path.unlink()  # a training takes a while

    folder = trigger_here(order, runs, lambda: finished(runs), now=NOW)

    assert json.loads((folder / "trigger.json").read_text(encoding="utf-8")) == {
        "reason": "drift",
        "decision": path.as_uri(),
        "decision_sha256": hashlib.sha256(b'{"retrain": true}').hexdigest(),
        "triggered_at": "2024-06-01T03:00:00+00:00",
    }
    assert (folder / "decision.json").read_bytes() == b'{"retrain": true}'


def test_of_many_triggers_here_exactly_one_trains(tmp_path: Path):
    runs = tmp_path / "runs"
    others_done, together = threading.Semaphore(0), threading.Barrier(8)
    trained, refused = [], []

    def train() -> Path:
        for _ in range(7):  # the others ask while this one is at work
            assert others_done.acquire(timeout=20)
        return finished(runs)

    def one(order: Order) -> None:
        together.wait()
        try:
            trained.append(trigger_here(order, runs, train, now=NOW))
        except TrainingBusyError as error:
            refused.append(error)
            others_done.release()

    threads = [threading.Thread(target=one, args=(DRIFT,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(trained), len(refused)) == (1, 7)
    assert {error.exit_code for error in refused} == {3}


def test_trigger_here_names_the_run_that_is_at_work(tmp_path: Path):
    runs = tmp_path / "runs"
    said = []

    def train() -> Path:
        with new_run(runs, now=NOW) as partial:
            with pytest.raises(TrainingBusyError) as caught:
                trigger_here(Order("manual"), runs, lambda: finished(runs), now=NOW)
            said.append(caught.value.problem)
        return finished_path(partial)

    folder = trigger_here(DRIFT, runs, train, now=NOW)

    assert folder.name in said[0]
    assert "started for drift by process" in said[0]
    assert "at 2024-06-01T03:00:00+00:00" in said[0]


def test_trigger_here_is_refused_while_a_training_without_a_trigger_is_at_work(tmp_path: Path):
    runs = tmp_path / "runs"
    with new_run(runs, now=NOW) as partial, pytest.raises(TrainingBusyError) as caught:
        trigger_here(DRIFT, runs, lambda: finished(runs), now=NOW)
    assert finished_path(partial).name in caught.value.problem

    assert trigger_here(DRIFT, runs, lambda: finished(runs), now=NOW).is_dir()


def test_trigger_here_after_one_that_failed_or_died_trains(tmp_path: Path):
    runs = tmp_path / "runs"

    def fail() -> Path:
        raise MarqueeError("no data.", remedy="Get some.")

    with pytest.raises(MarqueeError, match="no data"):
        trigger_here(DRIFT, runs, fail, now=NOW)
    (runs / "20240101-000000-dead00.partial").mkdir()  # its owner was killed
    (runs / ".trigger.lock").write_text('{"reason": "dri', encoding="utf-8")  # while it wrote

    assert trigger_here(DRIFT, runs, lambda: finished(runs), now=NOW).is_dir()


def test_runs_folder_that_can_not_be_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match="can't be written"):
        trigger_here(DRIFT, tmp_path / "file" / "runs", lambda: tmp_path, now=NOW)
