"""What `pipelines.docker_runner` puts in the place of kfp's own way to run a container."""

import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import pytest
from kfp.local import config, docker_task_handler

from marquee.errors import StepError
from pipelines.docker_runner import HOME, docker_runner, run_container, settings_of

IMAGE = "marquee-python:test"
COMMAND = ["sh", "-c", "run it"]


@dataclass
class Container:
    """A container that says two lines and ends."""

    code: int = 0
    breaks: bool = False
    removed: int = 0

    def logs(self, *, stream: bool, follow: bool) -> Any:
        assert stream
        assert follow
        yield b"one\n"
        if self.breaks:
            raise docker.errors.APIError("the engine went away")
        yield "zwei: \u00fc\n".encode()

    def wait(self) -> dict[str, int]:
        return {"StatusCode": self.code}

    def remove(self, *, force: bool) -> None:
        assert force
        self.removed += 1


@dataclass
class Engine:
    """What a docker client has of images and containers."""

    container: Container = field(default_factory=Container)
    present: set[str] = field(default_factory=lambda: {IMAGE})
    pulled: list[str] = field(default_factory=list)
    asked: dict[str, Any] = field(default_factory=dict)

    @property
    def images(self) -> "Engine":
        return self

    @property
    def containers(self) -> "Engine":
        return self

    def get(self, image: str) -> str:
        if image not in self.present:
            raise docker.errors.ImageNotFound("no such image")
        return image

    def pull(self, image: str) -> None:
        self.pulled.append(image)

    def run(self, **asked: Any) -> Container:
        self.asked = asked
        return self.container


@pytest.mark.parametrize("code", [0, 1, 137])
def test_container_s_exit_code_is_returned_and_it_is_removed(code: int, capsys: pytest.CaptureFixture[str]):
    engine = Engine(Container(code))

    found = run_container(engine, IMAGE, COMMAND, {})

    assert found == code
    assert engine.container.removed == 1
    assert capsys.readouterr().out == "one\nzwei: ü\n"


def test_container_is_removed_though_its_log_breaks_off():
    engine = Engine(Container(breaks=True))

    with pytest.raises(docker.errors.APIError):
        run_container(engine, IMAGE, COMMAND, {})

    assert engine.container.removed == 1


def test_container_is_started_detached_and_not_removed_by_docker():
    engine = Engine()

    run_container(engine, IMAGE, COMMAND, {"/here": {"bind": "/here"}}, user="7:7", network_mode="host")

    assert engine.asked["detach"]
    assert "auto_remove" not in engine.asked
    assert engine.asked["image"] == IMAGE
    assert engine.asked["command"] == COMMAND
    assert engine.asked["volumes"] == {"/here": {"bind": "/here"}}
    assert (engine.asked["user"], engine.asked["network_mode"]) == ("7:7", "host")


@pytest.mark.parametrize(("present", "pulled"), [({IMAGE}, []), (set(), [IMAGE])])
def test_image_is_pulled_where_it_is_missing(present: set[str], pulled: list[str]):
    engine = Engine(present=present)

    run_container(engine, IMAGE, COMMAND, {})

    assert engine.pulled == pulled


def test_container_gets_settings_and_the_step_s_own_variables_and_where_data_and_runs_lie(tmp_path: Path):
    engine = Engine()
    settings = settings_of(
        {
            "MARQUEE_DATA": str(tmp_path / "data"),
            "MARQUEE_RUNS": str(tmp_path / "runs"),
            "AWS_REGION": "eu-west-1",
            "HOME": "/of/the/user",
        }
    )

    run_container(
        engine, IMAGE, COMMAND, {"/steps/of": {"bind": "/x"}}, settings=settings, environment={"OMP": "1"}
    )

    assert engine.asked["environment"] == {
        "MARQUEE_DATA": str(tmp_path / "data"),
        "MARQUEE_RUNS": str(tmp_path / "runs"),
        "AWS_REGION": "eu-west-1",
        "HOME": HOME,
        "OMP": "1",
    }
    for name in ("data", "runs"):
        assert engine.asked["volumes"][str(tmp_path / name)]["bind"] == str(tmp_path / name)
        assert (tmp_path / name).is_dir()
    assert engine.asked["volumes"]["/steps/of"] == {"bind": "/x"}


def test_kfp_s_own_handler_runs_ours_with_settings_beside_the_step_s_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    engine = Engine(Container(1))
    engine.info = dict  # type: ignore[attr-defined]
    engine.close = lambda: None  # type: ignore[attr-defined]
    monkeypatch.setattr(docker, "from_env", lambda: engine)
    monkeypatch.setattr(docker_task_handler, "run_docker_container", None)
    monkeypatch.setattr(config.LocalExecutionConfig, "instance", None)
    monkeypatch.setenv("MARQUEE_MODELS", "s3://models")
    monkeypatch.setenv("MARQUEE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("MARQUEE_DATA", str(tmp_path / "data"))

    handler = docker_task_handler.DockerTaskHandler(
        image=IMAGE,
        full_command=COMMAND,
        pipeline_root=str(tmp_path / "root"),
        runner=docker_runner(IMAGE),
        env_vars={"OMP_WAIT_POLICY": "PASSIVE"},
    )
    status = handler.run()

    assert status.name == "FAILURE"
    assert engine.asked["environment"]["MARQUEE_MODELS"] == "s3://models"
    assert engine.asked["environment"]["OMP_WAIT_POLICY"] == "PASSIVE"
    assert str(tmp_path / "root") in engine.asked["volumes"]


def test_machine_without_an_engine_is_told_before_anything_runs(monkeypatch: pytest.MonkeyPatch):
    def refuse() -> None:
        raise docker.errors.DockerException("Connection refused")

    monkeypatch.setattr(docker, "from_env", refuse)

    with pytest.raises(StepError, match="no Docker engine answers: Connection refused"):
        docker_runner(IMAGE)


def test_image_that_was_never_built_is_told_with_the_word_that_builds_it(monkeypatch: pytest.MonkeyPatch):
    engine = Engine(present=set())
    engine.close = lambda: None  # type: ignore[attr-defined]
    monkeypatch.setattr(docker, "from_env", lambda: engine)

    with pytest.raises(StepError, match=f"no image {IMAGE}") as refused:
        docker_runner(IMAGE)

    assert "make image" in refused.value.remedy


def test_source_of_this_machine_is_mounted_for_reading(tmp_path: Path):
    engine = Engine()

    run_container(engine, IMAGE, COMMAND, {}, source=str(tmp_path))
    run_container(other := Engine(), IMAGE, COMMAND, {}, source="https://example.org/data.zip")

    assert engine.asked["volumes"] == {str(tmp_path): {"bind": str(tmp_path), "mode": "ro"}}
    assert other.asked["volumes"] == {}


@pytest.mark.services
@pytest.mark.parametrize(("command", "code"), [("/bin/true", 0), ("/bin/false", 1)])
def test_real_container_that_ends_at_once_has_its_own_exit_code(command: str, code: int):
    client = _engine()
    before = {each.id for each in client.containers.list(all=True)}

    found = [run_container(client, "busybox:1.37", [command], {}, network_mode="none") for _ in range(20)]

    assert found == [code] * 20
    assert {each.id for each in client.containers.list(all=True)} <= before
    client.close()


def _engine() -> docker.DockerClient:
    program = shutil.which("docker")
    if program is None or subprocess.run([program, "version"], capture_output=True, check=False).returncode:
        pytest.skip("no Docker engine answers")
    return docker.from_env()
