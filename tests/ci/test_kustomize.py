import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "kustomize.py"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A copy in a repository of its own: it builds beside itself."""
    (tmp_path / ".ci").mkdir()
    return Path(shutil.copy(SCRIPT, tmp_path / ".ci"))


def run(script: Path, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )


def program(folder: Path, name: str, content: str) -> None:
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{content}\n")
    file.chmod(0o755)


def test_kustomize_with_kubectl_there_is_that_one(script: Path, tmp_path: Path):
    program(tmp_path / "bin", "kubectl", "exit 9")

    done = run(script, tmp_path / "bin")

    assert done.returncode == 0
    assert done.stdout.strip().endswith("/bin/kubectl")


def test_kustomize_with_go_alone_is_built_at_the_pinned_version(script: Path, tmp_path: Path):
    program(tmp_path / "bin", "go", 'echo "$@" > "$GOBIN/asked"; echo > "$GOBIN/kustomize"')

    done = run(script, tmp_path / "bin")

    tools = tmp_path / "build" / "tools"
    assert done.returncode == 0, done.stderr
    assert (tools / "asked").read_text().strip() == "install sigs.k8s.io/kustomize/kustomize/v5@v5.5.0"
    assert done.stdout.strip().endswith("/build/tools/kustomize")


@pytest.mark.parametrize("has_go", [True, False])
def test_kustomize_where_it_cannot_be_had_says_what_to_install(script: Path, tmp_path: Path, has_go: bool):
    if has_go:
        program(tmp_path / "bin", "go", "exit 1")

    done = run(script, tmp_path / "bin")

    assert done.returncode == 1
    assert "install kubectl or kustomize" in done.stderr
