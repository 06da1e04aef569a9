import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project's own pyproject.toml and locks, to be spoilt."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    return tmp_path


def check(project: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / ".ci" / "locks.py"), "check"]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_locks_as_committed_are_in_step(project: Path):
    result = check(project)

    assert (result.returncode, result.stderr) == (0, "")


def test_locks_after_comment_in_pyproject_are_in_step(project: Path):
    edit(project / "pyproject.toml", "[build-system]", "# a comment\n[build-system]")

    assert check(project).returncode == 0


@pytest.mark.parametrize(
    "old", ['"numpy>=2.1"', '"kfp[kubernetes]>=2.17,<2.18"', '"setuptools>=77"', '">=3.11"']
)
def test_locks_after_changed_requirement_are_out_of_step(project: Path, old: str):
    edit(project / "pyproject.toml", old, f'{old[:-1]},!=99.0"')

    result = check(project)

    assert result.returncode == 1
    assert "requirements/core.txt was not compiled from" in result.stderr
    assert "make lock" in result.stderr


@pytest.mark.parametrize("name", ["core", "dev", "pipeline", "serving", "monitoring", "build", "constraints"])
def test_locks_with_one_missing_name_it(project: Path, name: str):
    (project / "requirements" / f"{name}.txt").unlink()

    result = check(project)

    assert result.returncode == 1
    assert f"requirements/{name}.txt is missing" in result.stderr


def test_locks_with_version_changed_by_hand_name_the_package(project: Path):
    edit(project / "requirements" / "core.txt", "pyyaml==", "pyyaml==0.")

    result = check(project)

    assert "requirements/core.txt: pyyaml 0." in result.stderr
    assert result.stderr.count("\n") == 1


def test_locks_with_unhashed_package_name_it(project: Path):
    lock = project / "requirements" / "core.txt"
    lock.write_text(lock.read_text(encoding="utf-8") + "narwhals==2.29.0\n", encoding="utf-8")

    assert "narwhals has no hash" in check(project).stderr


def test_locks_with_index_address_are_refused(project: Path):
    lock = project / "requirements" / "core.txt"
    lock.write_text(lock.read_text(encoding="utf-8") + "--index-url mirror\n", encoding="utf-8")

    assert "requirements/core.txt holds an address" in check(project).stderr


def test_locks_after_changed_requirement_of_an_environment_apart_name_its_lock_alone(project: Path):
    edit(project / "pyproject.toml", '"mlflow>=3.4"', '"mlflow>=3.5"')

    result = check(project)

    assert result.returncode == 1
    assert "requirements/ui.txt was not compiled from" in result.stderr
    assert result.stderr.count("\n") == 1


def test_locks_with_environment_apart_missing_name_it(project: Path):
    (project / "requirements" / "ui.txt").unlink()

    assert "requirements/ui.txt is missing" in check(project).stderr


def test_locks_with_shared_version_changed_in_an_environment_apart_name_the_package(project: Path):
    edit(project / "requirements" / "ui.txt", "\nmlflow-skinny==", "\nmlflow-skinny==0.")

    result = check(project)

    assert "requirements/ui.txt: mlflow-skinny 0." in result.stderr
    assert result.stderr.count("\n") == 1


def test_locks_with_other_version_in_an_environment_apart_are_in_step(project: Path):
    edit(project / "requirements" / "ui.txt", "\ngunicorn==", "\ngunicorn==0.")

    assert check(project).returncode == 0
