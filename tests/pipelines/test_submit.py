import json
import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import kfp.client
import pytest

from marquee import __version__
from marquee.errors import ConfigError, PipelineApiError
from marquee.run_values import RunValues
from pipelines import batch, materialization, monitoring, rest, training
from pipelines.api import Api, connect
from pipelines.compile import PIPELINES
from pipelines.release import Compiled, cluster_name, compile_for_cluster, version_name
from pipelines.submit import arguments, newest_versions, start, upload, version_to_run
from tests.pipelines.kfp_stub import TOKEN, KfpStub, clean, later, settings_of, small_pipeline

pytestmark = pytest.mark.usefixtures("impatient")

VALUES = RunValues.from_values({"training": {"seed": 11}, "tuning": {"seconds": 5}}, where="the test")


@pytest.fixture
def compiled(tmp_path: Path) -> Compiled:
    return small_pipeline(tmp_path)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    root.mkdir()
    (root / "code.py").write_text("x = 1\n", encoding="utf-8")
    for command in ("init -q", "add .", "-c user.name=t -c user.email=t@example.org commit -q -m first"):
        subprocess.run(["git", "-C", str(root), *command.split()], check=True)  # noqa: S607
    return root


def sha_of(repository: Path) -> str:
    command = ["git", "-C", str(repository), "rev-parse", "HEAD"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_pipelines_are_called_on_the_cluster_as_they_are_compiled():
    rooms = {
        "training": training,
        "batch": batch,
        "materialization": materialization,
        "monitoring": monitoring,
    }
    names = {name: room.NAME for name, room in rooms.items()}
    assert {name: cluster_name(name) for name in PIPELINES} == names


def test_real_pipeline_is_taken_with_the_values_of_a_run(stub: KfpStub, api: Api, tmp_path: Path):
    real = compile_for_cluster("training", tmp_path)
    version = upload(api, real, "0.1.0-aaa")
    parameters = arguments(version, VALUES, run_id="r1", reason="manual")

    start(api, version, parameters, name="r1")

    assert real.spec["pipelineInfo"]["name"] == version.pipeline == "marquee-training"
    assert version.images == real.images
    (run,) = stub.state.runs.values()
    assert run["runtime_config"]["parameters"] == parameters


# --- names of versions


def test_version_of_a_clean_tree_is_release_and_commit(repository: Path, compiled: Compiled):
    name = version_name(compiled, dirty=False, root=repository)

    assert name == f"{__version__}-{sha_of(repository)[:12]}"
    assert version_name(compiled, dirty=True, root=repository) == name


@pytest.mark.parametrize("file", ["code.py", "new.py"])
def test_version_of_a_tree_with_edits_is_refused_unless_allowed(
    file: str, repository: Path, compiled: Compiled, tmp_path: Path
):
    (repository / file).write_text("x = 2\n", encoding="utf-8")

    with pytest.raises(ConfigError, match=f"1 files differ .* such as {file}"):
        version_name(compiled, dirty=False, root=repository)

    first = version_name(compiled, dirty=True, root=repository)
    other = tmp_path / "other.yaml"
    other.write_bytes(compiled.path.read_bytes() + b"# another graph\n")
    second = version_name(replace(compiled, path=other), dirty=True, root=repository)
    begin = f"{__version__}-{sha_of(repository)[:12]}-dirty-"
    assert first.startswith(begin)
    assert second.startswith(begin)
    assert first != second


def test_version_outside_of_git_is_refused(tmp_path: Path, compiled: Compiled):
    with pytest.raises(ConfigError, match="gives no commit") as caught:
        version_name(compiled, dirty=False, root=tmp_path)
    assert "--version-name" in caught.value.remedy


# --- uploads


def test_upload_makes_pipeline_and_version_once(stub: KfpStub, api: Api, compiled: Compiled):
    first = upload(api, compiled, "0.1.0-aaa")
    again = upload(api, compiled, "0.1.0-aaa")
    later(stub)
    second = upload(api, compiled, "0.1.0-bbb")

    assert [one["display_name"] for one in stub.state.pipelines.values()] == ["marquee-training"]
    names = [one["display_name"] for one in stub.state.pipeline_versions.values()]
    assert names == ["0.1.0-aaa", "0.1.0-bbb"]
    assert (first.is_new, again.is_new, second.is_new) == (True, False, True)
    assert again.version_id == first.version_id
    assert first.images == compiled.images != []
    newest = newest_versions(api, first.pipeline, first.pipeline_id, n=9)
    assert [one.version for one in newest] == ["0.1.0-bbb", "0.1.0-aaa"]


def test_upload_that_another_one_overtakes_takes_theirs(stub: KfpStub, api: Api, compiled: Compiled):
    # Done, but the answer is lost, and so is the look at what is there: both calls end in a conflict.
    upload(api, compiled, "0.1.0-aaa")
    stub.fail("empty", "GET", "/pipelines$")
    stub.fail("empty", "GET", "/versions$")

    found = upload(api, compiled, "0.1.0-aaa")

    assert len(stub.state.pipelines) == len(stub.state.pipeline_versions) == 1
    assert found.version_id in stub.state.pipeline_versions
    assert not found.is_new


def test_upload_of_the_same_version_with_another_image_is_refused(
    stub: KfpStub, api: Api, compiled: Compiled
):
    upload(api, compiled, "0.1.0-aaa")
    spec = json.loads(json.dumps(compiled.spec).replace(compiled.images[0], "example.org/python@sha256:1"))

    with pytest.raises(ConfigError, match=r"0.1.0-aaa .* with image .* example.org/python@sha256:1"):
        upload(api, replace(compiled, spec=spec), "0.1.0-aaa")


def test_names_that_differ_in_case_only_are_not_taken_for_one_another(
    stub: KfpStub, api: Api, compiled: Compiled
):
    stub.keep("pipelines", "pipeline_id", {"display_name": "Marquee-Training"})

    found = upload(api, compiled, "0.1.0-aaa")

    assert stub.state.pipelines[found.pipeline_id]["display_name"] == "marquee-training"


def test_version_to_run_is_the_newest_or_the_named(stub: KfpStub, api: Api, compiled: Compiled):
    with pytest.raises(PipelineApiError, match="has no pipeline marquee-training"):
        version_to_run(api, "training")
    upload(api, compiled, "0.1.0-zzz")
    later(stub)
    upload(api, compiled, "0.1.0-aaa")

    assert version_to_run(api, "training").version == "0.1.0-aaa"
    assert version_to_run(api, "training", version="0.1.0-zzz").version == "0.1.0-zzz"
    with pytest.raises(PipelineApiError, match=r"has no version 0.1.0-bbb"):
        version_to_run(api, "training", version="0.1.0-bbb")
    with pytest.raises(ConfigError, match="'trains' is none of training, batch"):
        version_to_run(api, "trains")


# --- parameters


def test_arguments_are_the_values_of_the_run(compiled: Compiled):
    found = arguments(compiled, VALUES, run_id="r1", reason="drift")

    assert json.loads(found["config"]) == {"seed": 11}
    assert (found["tuning_seconds"], found["run_id"], found["reason"]) == (5, "r1", "drift")


def test_arguments_of_a_source_that_may_change_miss_the_cache_and_of_a_published_one_do_not(
    compiled: Compiled,
):
    changing = VALUES.model_copy(update={"source": "https://example.org/events.zip"})

    assert arguments(compiled, changing, run_id="r1", reason="drift")["fingerprint"] == "r1"
    assert arguments(compiled, VALUES, run_id="r1", reason="drift")["fingerprint"] == ""


def test_arguments_of_a_pipeline_that_trains_nothing_have_no_search(compiled: Compiled):
    takes = compiled.spec["root"]["inputDefinitions"]["parameters"]
    for name in [name for name in takes if name.startswith("tuning_")]:
        del takes[name]
    found = arguments(compiled, VALUES, run_id="r1", reason="schedule")

    assert sorted(found) == ["config", "dataset", "fingerprint", "reason", "run_id", "source"]


def test_arguments_that_the_version_does_not_know_are_refused(compiled: Compiled):
    spec = json.loads(json.dumps(compiled.spec))
    del spec["root"]["inputDefinitions"]["parameters"]["reason"]
    with pytest.raises(ConfigError, match="does not take the parameter reason"):
        arguments(replace(compiled, spec=spec), VALUES, run_id="r1", reason="drift")
    spec = json.loads(json.dumps(compiled.spec))
    spec["root"]["inputDefinitions"]["parameters"]["canary"] = {"parameterType": "NUMBER_INTEGER"}
    with pytest.raises(ConfigError, match="needs the parameter canary"):
        arguments(replace(compiled, spec=spec), VALUES, run_id="r1", reason="drift")


def test_source_on_this_machine_is_refused(compiled: Compiled, tmp_path: Path):
    values = RunValues.from_values({"source": str(tmp_path)}, where="the test")
    with pytest.raises(ConfigError, match="is on this machine"):
        arguments(compiled, values, run_id="r1", reason="manual")


# --- runs


def test_run_has_version_parameters_root_and_account(stub: KfpStub, compiled: Compiled, tmp_path: Path):
    settings = settings_of(
        stub, tmp_path, pipeline_root="s3://bucket/runs", service_account="runner", experiment="nightly"
    )
    api = connect(settings)
    version = upload(api, compiled, "0.1.0-aaa")
    parameters = arguments(version, VALUES, run_id="r1", reason="manual")

    made = start(api, version, parameters, name="r1", description="reason: manual")
    start(api, version, parameters, name="r2")

    run, second = stub.state.runs.values()
    (experiment,) = stub.state.experiments.values()
    assert experiment["display_name"] == "nightly"
    assert run["experiment_id"] == second["experiment_id"] == experiment["experiment_id"]
    assert run["pipeline_version_reference"] == {
        "pipeline_id": version.pipeline_id,
        "pipeline_version_id": version.version_id,
    }
    assert run["runtime_config"] == {"parameters": parameters, "pipeline_root": "s3://bucket/runs"}
    assert (run["service_account"], run["description"]) == ("runner", "reason: manual")
    assert made.url == f"{stub.host}/#/runs/details/{made.run_id}"


def test_run_leaves_to_the_cluster_what_is_not_set(stub: KfpStub, api: Api, compiled: Compiled):
    version = upload(api, compiled, "0.1.0-aaa")
    start(api, version, {}, name="r1")

    (request,) = stub.asked("POST", "/runs")
    assert request.body.keys() & {"service_account", "description", "namespace"} == set()
    assert "pipeline_root" not in request.body["runtime_config"]


def test_namespace_goes_into_all_that_has_one(tmp_path: Path, compiled: Compiled):
    with clean(KfpStub(namespace="movies")) as stub:
        api = connect(settings_of(stub, tmp_path))
        start(api, upload(api, compiled, "0.1.0-aaa"), {}, name="r1")

        assert [one["namespace"] for one in stub.state.pipelines.values()] == ["movies"]
        assert [one["namespace"] for one in stub.state.experiments.values()] == ["movies"]
        outside = connect(settings_of(stub, tmp_path).model_copy(update={"kfp_namespace": ""}))
        with pytest.raises(PipelineApiError, match="403") as caught:
            outside.experiment_id()
        assert "kubeflow-edit" in caught.value.remedy


def test_experiment_that_another_one_makes_meanwhile_is_taken(stub: KfpStub, api: Api):
    first = api.experiment_id()
    stub.fail("empty", "GET", "/experiments$")
    assert api.experiment_id() == first
    assert len(stub.asked("POST", "/experiments")) == 2


def test_lists_are_read_to_their_last_page(stub: KfpStub, api: Api):
    for number in range(201):
        stub.keep("experiments", "experiment_id", {"display_name": f"e{number}"})
    ask = api.client.experiments.experiment_service_list_experiments

    names = [one.display_name for one in api.all(ask, "experiments")]

    assert names == [f"e{number}" for number in range(201)]
    assert len(stub.requests) == 3  # 100 + 100 + 1


# --- what goes wrong


def test_token_is_sent_and_read_again_when_it_changes(stub: KfpStub, api: Api, tmp_path: Path):
    api.experiment_id()
    assert {one.authorization for one in stub.requests} == {f"Bearer {TOKEN}"}

    stub.token = "the-next"  # noqa: S105
    (tmp_path / "token").write_text("the-next", encoding="utf-8")
    api.experiment_id()


def test_refused_token_is_named_with_its_file_and_never_shown(stub: KfpStub, api: Api, tmp_path: Path):
    stub.token = "another"  # noqa: S105
    with pytest.raises(PipelineApiError, match=r"401 .* no user identity header") as caught:
        api.experiment_id()
    error = caught.value
    assert error.status == 401
    assert stub.host in error.problem
    assert "GET /apis/v2beta1/experiments" in error.problem
    assert str(tmp_path / "token") in error.remedy
    assert "--audience=pipelines.kubeflow.org" in error.remedy
    assert TOKEN not in str(error)


def test_missing_token_is_no_matter_until_the_server_wants_one(stub: KfpStub, tmp_path: Path):
    settings = settings_of(stub, tmp_path).model_copy(update={"kfp_token_file": ""})
    stub.token = None
    connect(settings).experiment_id()
    stub.token = TOKEN

    with pytest.raises(PipelineApiError, match="401") as caught:
        connect(settings).experiment_id()
    assert "No token was sent" in caught.value.remedy


def test_token_may_lie_where_kubernetes_says(stub: KfpStub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    settings = settings_of(stub, tmp_path).model_copy(update={"kfp_token_file": ""})
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(tmp_path / "token"))

    connect(settings).experiment_id()


@pytest.mark.parametrize("content", [None, "", "two words", "line\nline"])
def test_token_file_without_a_token_is_refused(content: str | None, stub: KfpStub, tmp_path: Path):
    settings = settings_of(stub, tmp_path)
    (tmp_path / "token").unlink()
    if content is not None:
        (tmp_path / "token").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match="The token file") as caught:
        connect(settings)
    assert not content or content not in str(caught.value)


def test_token_file_that_goes_away_is_an_error_of_ours(stub: KfpStub, api: Api, tmp_path: Path):
    (tmp_path / "token").unlink()
    with pytest.raises(ConfigError, match="token can't be read: No such file"):
        api.experiment_id()


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_reading_is_tried_again_after_a_failure_of_the_server(status: int, stub: KfpStub, api: Api):
    stub.fail(status, "GET", times=2)
    api.experiment_id()
    assert len(stub.asked("GET")) == 3


def test_reading_gives_up_after_three_tries(stub: KfpStub, api: Api):
    stub.fail(500, "GET", times=9)
    with pytest.raises(PipelineApiError, match=r"500 .*: as the test asked") as caught:
        api.experiment_id()
    assert len(stub.requests) == 3
    assert "ml-pipeline" in caught.value.remedy


@pytest.mark.parametrize("kind", ["reset", "hang"])
def test_reading_is_tried_again_after_a_lost_connection(
    kind: str, stub: KfpStub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(rest, "READ_S", 0.3)
    stub.fail(kind, "GET")
    connect(settings_of(stub, tmp_path)).experiment_id()
    assert len(stub.asked("GET")) == 2


@pytest.mark.parametrize("kind", ["500", "reset", "hang", "lost"])
def test_starting_a_run_is_never_tried_again(
    kind: str, stub: KfpStub, tmp_path: Path, compiled: Compiled, monkeypatch: pytest.MonkeyPatch
):
    api = connect(settings_of(stub, tmp_path))
    version = upload(api, compiled, "0.1.0-aaa")
    monkeypatch.setattr(rest, "READ_S", 0.3)
    stub.fail(kind, "POST", "/runs$", times=5)

    with pytest.raises(PipelineApiError) as caught:
        start(api, version, {}, name="r1")

    assert len(stub.asked("POST", "/runs")) == 1
    assert len(stub.state.runs) == (kind == "lost")
    assert ("It may have arrived" in caught.value.remedy) == (kind != "500")
    assert "POST /apis/v2beta1/runs" in caught.value.problem


@pytest.mark.parametrize(
    ("kind", "says"), [("page", "without JSON"), ("redirect", "302"), ("404", "404"), ("400", "400")]
)
def test_answers_of_something_else_are_named(kind: str, says: str, stub: KfpStub, api: Api):
    stub.fail(kind, times=3)
    with pytest.raises(PipelineApiError, match=says):
        api.experiment_id()
    assert len(stub.requests) == 1


@pytest.mark.parametrize(
    "answer", [b'{"experiments": 5}', b'{"experiments": [{"created_at": "soon", "display_name": "marquee"}]}']
)
def test_answers_that_do_not_fit_are_named(answer: bytes, stub: KfpStub, api: Api):
    stub.fail(answer.decode())
    with pytest.raises(PipelineApiError, match="answered what is no V2beta1ListExperimentsResponse"):
        api.experiment_id()


def test_settings_of_kfp_in_the_home_do_not_matter(
    stub: KfpStub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "context.json").write_text('{"namespace": "elsewhere", "x"', encoding="utf-8")
    monkeypatch.setattr(kfp.client.Client, "_LOCAL_KFP_CONTEXT", str(tmp_path / "context.json"))

    connect(settings_of(stub, tmp_path)).experiment_id()

    assert all("namespace" not in one.query for one in stub.requests)


def test_answer_without_an_id_is_an_error(stub: KfpStub, api: Api, compiled: Compiled):
    stub.fail("empty", "POST", "/pipelines$")
    with pytest.raises(PipelineApiError, match="without the id of the pipeline"):
        upload(api, compiled, "0.1.0-aaa")


def test_nobody_at_the_address_is_named(stub: KfpStub, tmp_path: Path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"http://127.0.0.1:{free.getsockname()[1]}"
    settings = settings_of(stub, tmp_path).model_copy(update={"kfp_host": host})
    with pytest.raises(PipelineApiError, match="refused") as caught:
        connect(settings).experiment_id()
    assert caught.value.problem.startswith(f"{host} gave no answer to GET /apis/v2beta1/experiments: ")
    assert "MARQUEE_KFP_HOST" in caught.value.remedy
    assert "object at" not in caught.value.problem


def test_tls_that_is_none_is_named(stub: KfpStub, tmp_path: Path):
    settings = settings_of(stub, tmp_path)
    settings = settings.model_copy(update={"kfp_host": settings.kfp_host.replace("http:", "https:")})
    with pytest.raises(PipelineApiError, match="gave no answer"):
        connect(settings).experiment_id()


@pytest.mark.parametrize("host", ["", "ml-pipeline:8888", "ftp://ml-pipeline", "http://"])
def test_host_that_is_no_address_is_refused(host: str, stub: KfpStub, tmp_path: Path):
    settings = settings_of(stub, tmp_path).model_copy(update={"kfp_host": host})
    with pytest.raises(ConfigError, match="MARQUEE_KFP_HOST"):
        connect(settings)


@pytest.mark.parametrize(
    ("field", "value"), [("pipeline_root", "bucket/runs"), ("kfp_ca_file", "nowhere.pem")]
)
def test_settings_that_do_not_fit_are_refused_before_anything_is_sent(
    field: str, value: str, stub: KfpStub, tmp_path: Path
):
    with pytest.raises(ConfigError, match=f"MARQUEE_{field.upper()}"):
        connect(settings_of(stub, tmp_path, **{field: value}))
    assert stub.requests == []


def test_stub_complains_of_what_the_models_do_not_know():
    with KfpStub(token=None) as stub:
        for body in (
            {"display_name": "x", "labels": {}},
            {"display_name": 3},
            {"pipeline_version_reference": {"version": "x"}},
            {"state": "DONE"},
        ):
            with pytest.raises(Exception, match=r"V2beta1Run\."):
                stub.read("V2beta1Run", body)
    assert len(stub.complaints) == 4
