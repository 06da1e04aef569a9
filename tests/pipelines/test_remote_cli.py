import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from marquee.run_folder import finished_path, new_run
from pipelines import cli, release, rest, train_here
from pipelines.api import connect
from pipelines.submit import upload
from pipelines.train_here import TrainedHere
from tests.pipelines.kfp_stub import (
    TOKEN,
    KfpStub,
    environment_of,
    later,
    settings_of,
    small_pipeline,
)

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def pipeline(
    stub: KfpStub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """`marquee pipeline …` against the stub, with a pipeline of one step in the place of the real ones."""
    monkeypatch.setattr(rest, "PAUSE_S", 0.0)
    monkeypatch.setattr("pipelines.trigger.SETTLE_S", 0.0)
    monkeypatch.setattr(
        release, "compile_for_cluster", lambda name, folder: small_pipeline(folder, f"marquee-{name}")
    )
    for name, value in environment_of(stub, tmp_path, MARQUEE_RUNS=str(tmp_path / "runs")).items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["pipelines", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        said = capsys.readouterr()
        return Outcome(int(caught.value.code or 0), said.out, said.err)

    return run


def test_submit_uploads_and_starts(stub: KfpStub, pipeline: Callable[..., Outcome]):
    first = pipeline("submit", "--version-name", "v1", "--seed", "5", "--json").json
    again = pipeline("submit", "--version-name", "v1", "--upload-only", "--json").json

    (run,) = stub.state.runs.values()
    parameters = run["runtime_config"]["parameters"]
    assert json.loads(parameters["config"]) == {"seed": 5}
    assert (parameters["tuning_seconds"], parameters["reason"]) == (600, "manual")  # of production.yaml
    assert (first["run_id"], first["version"], first["uploaded"]) == (run["run_id"], "v1", "now")
    assert (again["uploaded"], again.get("run_id")) == ("earlier", None)


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("trains: {}", "trains"),
        ("training: {seed: -1}", "training.seed = -1"),
        ("dataset: ml-101k", "ml-101k"),
    ],
)
@pytest.mark.parametrize("command", ["submit", "schedule", "trigger"])
def test_values_that_do_not_fit_stop_before_anything_is_sent(
    command: str, content: str, names: str, stub: KfpStub, pipeline: Callable[..., Outcome], tmp_path: Path
):
    (tmp_path / "values.yaml").write_text(content, encoding="utf-8")
    more = {
        "submit": ["--version-name", "v1"],
        "schedule": ["--cron", "0 0 3 * * *"],
        "trigger": ["--cluster"],
    }

    outcome = pipeline(command, *more[command], "--values", str(tmp_path / "values.yaml"))

    assert outcome.code == 2
    assert names in outcome.err
    assert "Traceback" not in outcome.err
    assert stub.requests == []


def test_schedule_is_made_replaced_and_removed(stub: KfpStub, pipeline: Callable[..., Outcome]):
    pipeline("submit", "--version-name", "v1", "--upload-only")

    made = [pipeline("schedule", "--cron", f"0 0 {hour} * * *", "--json").json["done"] for hour in (3, 3, 4)]

    assert made == ["created", "unchanged", "replaced"]
    (kept,) = stub.state.recurring_runs.values()
    assert kept["display_name"] == "marquee-training"
    assert kept["runtime_config"]["parameters"]["run_id"] == "scheduled-[[ScheduledTime]]"
    assert kept["runtime_config"]["parameters"]["reason"] == "schedule"
    assert pipeline("schedule", "--remove", "--json").json["removed"] == [kept["recurring_run_id"]]
    assert stub.state.recurring_runs == {}


def test_schedule_without_or_with_a_wrong_cron_is_refused(stub: KfpStub, pipeline: Callable[..., Outcome]):
    assert "--cron is missing" in pipeline("schedule").err
    outcome = pipeline("schedule", "--cron", "0 3 * * *")
    assert (outcome.code, stub.requests) == (2, [])
    assert "seconds come first" in outcome.err


def test_list_shows_versions_runs_and_schedules(stub: KfpStub, pipeline: Callable[..., Outcome]):
    assert pipeline("list").out.split() == ["No", "versions.", "No", "runs.", "No", "schedules."]
    pipeline("submit", "--version-name", "v1")
    later(stub)
    pipeline("submit", "batch", "--version-name", "v1")
    pipeline("schedule", "--cron", "0 0 3 * * *")
    stub.keep("runs", "run_id", {"display_name": "somebody else's", "state": "RUNNING"})

    found = pipeline("list", "--json").json

    assert [(one["pipeline"], one["version"]) for one in found["versions"]] == [
        ("marquee-training", "v1"),
        ("marquee-batch", "v1"),
    ]
    assert [(one["pipeline"], one["state"], one["finished"]) for one in found["runs"]] == [
        ("marquee-batch", "PENDING", None),
        ("marquee-training", "PENDING", None),
    ]
    assert [(one["cron"], one["version"]) for one in found["schedules"]] == [("0 0 3 * * *", "v1")]
    shown = pipeline("list").out
    for text in ("Versions", "Runs", "Schedules", "PENDING", "0 0 3 * * *", found["runs"][0]["run"]):
        assert text in shown


def test_trigger_on_the_cluster_is_refused_with_3_while_one_is_at_work(
    stub: KfpStub, pipeline: Callable[..., Outcome], tmp_path: Path
):
    upload(connect(settings_of(stub, tmp_path)), small_pipeline(tmp_path), "v1")

    first = pipeline("trigger", "--cluster", "--reason", "drift", "--decision", "s3://b/d.json", "--json")
    second = pipeline("trigger", "--cluster")

    assert (first.code, first.json["decision"]) == (0, "s3://b/d.json")
    assert second.code == 3
    assert first.json["run_id"] in second.err
    assert len(stub.state.runs) == 1


@pytest.mark.parametrize(("passed", "code"), [(True, 0), (False, 1)])
def test_trigger_here_trains_and_says_why(
    passed: bool,
    code: int,
    pipeline: Callable[..., Outcome],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stub: KfpStub,
):
    def trained(values, settings, *, reason, now, observer):
        with new_run(settings.runs, now=now) as partial:
            (partial / "reason").write_text(f"{reason} {values.training.seed}", encoding="utf-8")
        return TrainedHere(finished_path(partial), {"gate": {"passed": passed}}, {}, passed)

    monkeypatch.setattr(train_here, "train_here", trained)

    outcome = pipeline("trigger", "--reason", "drift", "--seed", "5", "--json")

    (folder,) = (tmp_path / "runs").glob("20*")
    assert outcome.code == code
    assert (folder / "reason").read_text(encoding="utf-8") == "drift 5"
    assert json.loads((folder / "trigger.json").read_text(encoding="utf-8"))["reason"] == "drift"
    assert outcome.json["run"] == str(folder)
    assert stub.requests == []


def test_all_commands_stay_in_their_namespace(
    stub: KfpStub, pipeline: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MARQUEE_KFP_NAMESPACE", "movies")
    stub.namespace = "movies"  # whoever asks for another one, or for none, is answered with 403
    theirs = {"display_name": "marquee-training", "namespace": "theirs"}
    stub.keep("recurring_runs", "recurring_run_id", theirs)

    for command in (
        ["submit", "--version-name", "v1", "--upload-only"],
        ["trigger", "--cluster"],
        ["schedule", "--cron", "0 0 3 * * *"],
        ["list"],
        ["schedule", "--remove"],
    ):
        assert pipeline(*command).code == 0

    assert next(iter(stub.state.recurring_runs.values())).items() >= theirs.items()


def test_trigger_takes_no_other_reason(pipeline: Callable[..., Outcome], stub: KfpStub):
    assert pipeline("trigger", "--cluster", "--reason", "boredom").code == 2
    assert stub.requests == []


@pytest.mark.parametrize("fault", ["401", "403", "404", "500", "reset", "page", "redirect"])
@pytest.mark.parametrize(
    "command",
    [["list"], ["submit", "--version-name", "v"], ["schedule", "--remove"], ["trigger", "--cluster"]],
)
def test_errors_of_the_api_are_two_lines(
    fault: str, command: list[str], stub: KfpStub, pipeline: Callable[..., Outcome]
):
    stub.fail(fault, times=9)

    outcome = pipeline(*command)

    assert outcome.code == 2
    error, remedy = outcome.err.strip().splitlines()
    assert error.startswith(f"error: {stub.host} ")
    assert remedy.startswith("remedy: ")
    assert TOKEN not in outcome.err.replace(os.environ["MARQUEE_KFP_TOKEN_FILE"], "")


def test_commands_reach_a_server_from_another_process(stub: KfpStub, tmp_path: Path):
    environment = {
        **os.environ,
        **environment_of(stub, tmp_path),
        "MARQUEE_IMAGE": "example.org/python@sha256:1",
    }

    def run(*arguments: str) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-m", "pipelines", *arguments],
            cwd=ROOT, env=environment, capture_output=True, text=True, encoding="utf-8", check=False,
        )  # fmt: skip
        return Outcome(done.returncode, done.stdout, done.stderr)

    submitted = run("submit", "--version-name", "v1", "--values", "smoke", "--json")
    refused = run("trigger", "--cluster", "--values", "smoke")

    assert (submitted.code, submitted.err) == (0, "")
    assert submitted.json["images"] == ["example.org/python@sha256:1"]
    assert refused.code == 3
    assert submitted.json["run_id"] in refused.err
    assert "Traceback" not in refused.err
    assert len(stub.state.runs) == 1
