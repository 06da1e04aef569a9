"""What GitHub runs: pinned, with the least rights, and made of words that exist."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from marquee.cli.app import app as marquee_app
from pipelines.cli import app as pipelines_app

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").iterdir())
FILES = [*WORKFLOWS, *sorted(GITHUB.glob("actions/*/action.yaml"))]
SCRIPTS = sorted((ROOT / ".ci").glob("*.sh"))
GUIDE = ROOT / "docs" / "deploy.md"
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in WORKFLOWS:
        for name, job in read(path)["jobs"].items():
            yield f"{path.stem}/{name}", job


def steps() -> Iterator[dict[str, Any]]:
    for _, job in jobs():
        yield from job.get("steps", [])
    for path in GITHUB.glob("actions/*/action.yaml"):
        yield from read(path)["runs"]["steps"]


def shell_text() -> str:
    """What workflows and scripts run, and what the guide tells people to."""
    code = re.findall(r"^```sh\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    scripts = [path.read_text(encoding="utf-8") for path in SCRIPTS]
    return "\n".join([*(step["run"] for step in steps() if "run" in step), *scripts, *code])


BEFORE = r"(?:^\s*|\$\(|&& |\bdo |\bthen |; |\.sh )(?:\w+=\S+ )*(?:\.venv/bin/)?"
"""What may stand before a program: nothing, or what starts a command."""


def commands(program: str) -> list[list[str]]:
    """The arguments of each call of a program, as the shell would part them."""
    text = re.sub(r"\\\n\s*", " ", shell_text())
    found = []
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            continue
        for match in re.finditer(rf"{BEFORE}{program} ([^;|&>)#]*)", line):
            try:
                found.append(shlex.split(match[1]))
            except ValueError:  # a quote that a | or ; inside cut in two: prose, or jq
                continue
    return found


def targets() -> set[str]:
    return set(
        re.findall(r"^\.PHONY: ([a-z-]+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )


def command_of(words: Sequence[str]) -> Any:
    """Marquee's command of these words; `marquee pipeline` hands over to the pipelines' own.

    Raises:
        LookupError: there is none.
    """
    found: Any = typer.main.get_command(marquee_app)
    for word in words:
        commands = getattr(found, "commands", None)
        if commands is None:
            return found
        if word not in commands:
            raise LookupError(f"{' '.join(words)}: there is no {word!r}")
        found = typer.main.get_command(pipelines_app) if word == "pipeline" else commands[word]
    return found


def unknown_options(words: Sequence[str]) -> list[str]:
    command = command_of(words)
    known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
    return [word for word in words if word.startswith("--") and word.split("=")[0] not in {*known, "--help"}]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_grants_nothing_by_default_and_does_not_run_beside_itself(path: Path):
    content = read(path)

    assert path.suffix == ".yaml"
    assert content["permissions"] == {}
    assert content["concurrency"]["group"]


@pytest.mark.parametrize(
    ("name", "job"), list(jobs()), ids=lambda each: each if isinstance(each, str) else ""
)
def test_job_has_an_end_and_the_rights_that_it_names(name: str, job: dict[str, Any]):
    rights = job["permissions"]

    assert "uses" in job or 1 <= job["timeout-minutes"] <= 90
    assert set(rights) <= {"contents", "id-token", "pull-requests"}, name
    assert rights["contents"] == "read" or name == "release/overlays"


def test_pull_requests_get_neither_rights_to_write_nor_tokens():
    open_to_all = [
        path for path in WORKFLOWS if "pull_request" in read(path)[True]
    ]  # YAML reads `on` as true

    assert {path.stem for path in open_to_all} == {"ci", "e2e"}
    for path in open_to_all:
        for job in read(path)["jobs"].values():
            assert job["permissions"] == {"contents": "read"}
        assert "secrets." not in path.read_text(encoding="utf-8")


def test_no_workflow_holds_a_key_or_reads_a_secret():
    text = "".join(path.read_text(encoding="utf-8") for path in FILES)

    assert "secrets." not in text
    assert "pull_request_target" not in text
    assert not re.search(r"AKIA[0-9A-Z]{16}", text)


def test_actions_are_pinned_to_a_commit_that_has_one_version():
    text = "".join(path.read_text(encoding="utf-8") for path in FILES)
    pins: dict[str, set[str]] = {}
    for action, comment in re.findall(r"uses: (\S+)(.*)", text):
        if action.startswith("./"):
            assert (ROOT / action).is_file() or (ROOT / action / "action.yaml").is_file(), action
            continue
        assert re.fullmatch(r"[\w-]+/[\w./-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r"  # v\d+\.\d+\.\d+", comment), action
        pins.setdefault(action.split("@")[0], set()).add(action + comment)

    assert pins
    assert all(len(of_action) == 1 for of_action in pins.values()), pins


def test_checkouts_leave_no_credentials_behind():
    checkouts = [step for step in steps() if step.get("uses", "").startswith("actions/checkout@")]

    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_expressions_reach_scripts_by_variables_alone():
    assert [step["run"] for step in steps() if "${{" in step.get("run", "")] == []


def test_make_targets_that_are_called_exist():
    called = [words[0] for words in commands("make") if words and not words[0].startswith("-")]

    assert {"test", "check", "run", "image", "image-smoke", "render"} <= set(called)
    assert set(called) <= targets()


def test_commands_of_marquee_that_are_called_exist_with_their_options():
    called = [words for words in commands("marquee") if words and re.fullmatch(r"[a-z-]+", words[0])]
    names = {" ".join(words[:2]) for words in called}

    assert {"pipeline submit", "pipeline trigger", "deploy apply", "deploy rollback"} <= names
    assert {" ".join(words): found for words in called if (found := unknown_options(words))} == {}


@pytest.mark.parametrize("words", [["deploy", "fly"], ["pipeline", "submitt", "training"], ["monitr"]])
def test_commands_that_marquee_does_not_have_are_found_out(words: list[str]):
    with pytest.raises(LookupError):
        command_of(words)


def test_options_that_a_command_does_not_have_are_found_out():
    assert unknown_options(["pipeline", "submit", "training", "--upload-onlyy"]) == ["--upload-onlyy"]


def test_scripts_that_are_called_exist():
    called = re.findall(r"(?:bash|python3?) (\.ci/[\w./-]+)", shell_text())

    assert {".ci/push_images.sh", ".ci/with_kubeflow.sh", ".ci/kind.sh", ".ci/e2e.sh"} <= set(called)
    assert [path for path in called if not (ROOT / path).is_file()] == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_shell_scripts_can_be_read_by_bash_and_stop_at_errors(path: Path):
    subprocess.run(["bash", "-n", str(path)], check=True)  # noqa: S607 - wherever it is

    assert "\nset -euo pipefail\n" in path.read_text(encoding="utf-8")


def test_variables_of_the_repository_are_explained_where_they_are_set():
    text = "".join(path.read_text(encoding="utf-8") for path in FILES)
    used = set(re.findall(r"\bvars\.([A-Z_]+)", text))
    set_by_guide = set(re.findall(r"gh variable set ([A-Z_]+)", GUIDE.read_text(encoding="utf-8")))

    assert used
    assert used == set_by_guide


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("timeout-minutes:", "timeout-minuts:"),
        ("runs-on: ubuntu-24.04", "runs-on: 24"),
        ("        with: {persist-credentials: false}\n", ""),
        ("permissions: {contents: read}", "permissions: {contents: reed}"),
        ("@08c6903cd8c0fde910a37f88322edcfb5dd907a8  # v5.0.0", "@v5"),
        ('docker login --username AWS --password-stdin "${ECR%%/*}"', "docker login ${{ github.head_ref }}"),
    ],
)
def test_workflow_with_a_fault_does_not_pass_the_check(tmp_path: Path, before: str, after: str):
    shutil.copytree(GITHUB, tmp_path / ".github")
    for path in (tmp_path / ".github" / "workflows").iterdir():
        path.write_text(path.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")
    tools = Path(sys.executable).parent
    workflows = sorted(map(str, (tmp_path / ".github" / "workflows").iterdir()))

    schema = [str(tools / "check-jsonschema"), "--builtin-schema", "vendor.github-workflows", *workflows]
    audit = [
        str(tools / "zizmor"),
        "--quiet",
        "--offline",
        "--no-progress",
        "--persona",
        "regular",
        ".github",
    ]
    codes = [
        subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode
        for command in (schema, audit)
    ]

    assert any(codes)


@pytest.mark.services
def test_workflows_are_what_actionlint_expects(tmp_path: Path):
    program = shutil.which("actionlint")
    if program is None:
        if shutil.which("go") is None:
            pytest.skip("neither actionlint nor go is here")
        environment = {**os.environ, "GOBIN": str(tmp_path), "GOFLAGS": "-mod=mod"}
        subprocess.run(["go", "install", ACTIONLINT], env=environment, check=True, capture_output=True)  # noqa: S607 - wherever it is
        program = str(tmp_path / "actionlint")

    done = subprocess.run([program, *map(str, WORKFLOWS)], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


OVERLAY = """# By digest.
images:
  - {name: marquee-serving, newName: 1.dkr.ecr.eu-central-1.amazonaws.com/serving, newTag: 0.1.0}
  - {name: marquee-pipeline, newName: old, digest: "sha256:%s"}
""" % ("0" * 64)
NEW = f"444455556666.dkr.ecr.eu-west-1.amazonaws.com/marquee/serving@sha256:{'ab' * 32}"


def overlay_images(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / ".ci" / "overlay_images.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_overlay_gets_an_image_by_digest_and_keeps_all_else(tmp_path: Path):
    file = tmp_path / "kustomization.yaml"
    file.write_text(OVERLAY)

    done = overlay_images("set", str(file), f"marquee-serving={NEW}")

    assert done.returncode == 0, done.stderr
    name, digest = NEW.split("@")
    lines = OVERLAY.splitlines()
    lines[2] = f'  - {{name: marquee-serving, newName: {name}, digest: "{digest}"}}'
    assert file.read_text() == "\n".join(lines) + "\n"
    assert yaml.safe_load(file.read_text())["images"][0] == {
        "name": "marquee-serving", "newName": name, "digest": digest,
    }  # fmt: skip
    assert overlay_images("get", str(file), "marquee-serving").stdout == f"{NEW}\n"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["set", "marquee-serving=repository:tag"], "is no image by digest"),
        (["set", f"marquee-web={NEW}"], "0 lines of the form"),
        (["get", "marquee-serving"], "has no digest yet"),
        (["get", "marquee-pipeline"], "has no digest yet"),
    ],
)
def test_overlay_without_a_place_or_a_digest_is_left_as_it_is(
    tmp_path: Path, words: list[str], complaint: str
):
    file = tmp_path / "kustomization.yaml"
    file.write_text(OVERLAY)

    done = overlay_images(words[0], str(file), words[1])

    assert done.returncode == 1
    assert complaint in done.stderr
    assert file.read_text() == OVERLAY


@pytest.mark.parametrize("place", ["staging", "production"])
def test_release_finds_the_images_of_the_real_overlays(tmp_path: Path, place: str):
    file = tmp_path / "kustomization.yaml"
    shutil.copy(ROOT / "k8s" / "overlays" / place / "kustomization.yaml", file)
    names = ("marquee-pipeline", "marquee-monitoring", "marquee-serving")

    done = overlay_images("set", str(file), *(f"{name}={NEW}" for name in names))

    assert done.returncode == 0, done.stderr
    assert overlay_images("get", str(file), *names).stdout.split() == [NEW] * 3


@pytest.mark.parametrize("base", ["python:3.11-slim-bookworm", "python@sha256:abc"])
def test_images_are_not_pushed_on_a_base_without_a_digest(base: str):
    command = ["bash", str(ROOT / ".ci" / "push_images.sh"), "registry.example.org/marquee", base]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert f"the base image {base} has no digest" in done.stderr
