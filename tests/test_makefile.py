"""The Makefile is the one vocabulary: it explains itself, and hooks use its words only (CI: tests/ci)."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]


def targets() -> set[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^\.PHONY: ([a-z-]+)$", text, re.MULTILINE))


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    # A make that runs the tests would hand its own flags down to this one.
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL")}
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],  # noqa: S607  # make, wherever it is
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def hook_commands() -> list[str]:
    content = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    return [hook["entry"] for repo in content["repos"] for hook in repo["hooks"]]


def test_make_without_target_explains_each_target():
    result = make()

    assert result.returncode == 0
    assert set(re.findall(r"^  make ([a-z-]+) +\S", result.stdout, re.MULTILINE)) == targets()


@pytest.mark.parametrize(
    "word",
    [
        "setup",
        "run",
        "test",
        "test-services",
        "test-cluster",
        "check",
        "format",
        "lock",
        "bench",
        "feast-apply",
        "ui",
        "serve",
        "loadtest",
        "clean",
        "image",
        "image-smoke",
        "dockerfile",
        "workflows",
    ],
)
def test_make_knows_the_promised_word(word: str):
    assert word in targets()


@pytest.mark.parametrize("command", hook_commands())
def test_hook_commands_call_a_make_target(command: str):
    words = command.split()

    assert words[0] == "make"
    assert words[1] in targets()


def test_hooks_fetch_nothing_from_elsewhere():
    content = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))

    assert {repo["repo"] for repo in content["repos"]} == {"local"}
    assert {hook["language"] for repo in content["repos"] for hook in repo["hooks"]} == {"system"}


def test_ui_listens_on_this_machine_alone_and_sends_nothing_home():
    result = make("-n", "ui", "RUNS=elsewhere", "UI_PORT=5055")

    assert result.returncode == 0
    assert "--host 127.0.0.1 --port 5055" in result.stdout
    assert "MLFLOW_DISABLE_TELEMETRY=true" in result.stdout
    assert f"sqlite:///{ROOT}/elsewhere/mlflow.db" in result.stdout


def test_serve_listens_on_this_machine_alone_whatever_is_asked():
    result = make("-n", "serve", "RUNS=elsewhere", "SERVEARGS=--http_port 8123 --host 0.0.0.0")

    assert result.returncode == 0
    assert "--model_dir elsewhere/latest" in result.stdout
    assert result.stdout.rstrip().endswith("--http_port 8123 --host 0.0.0.0 --host 127.0.0.1")


@pytest.mark.parametrize("word", ["serve", "loadtest"])
def test_server_without_a_finished_run_says_what_makes_one(word: str, tmp_path: Path):
    result = make("-n", word, f"RUNS={tmp_path}")
    check = result.stdout[result.stdout.index("test -f") :].split("\n.venv")[0].split("\nMARQUEE")[0]
    done = subprocess.run(["sh", "-c", check], capture_output=True, text=True, check=False)  # noqa: S607  # sh, wherever it is

    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path} holds no finished run: make run makes one\n"
