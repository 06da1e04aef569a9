"""DVC's command line; how `marquee` uses it is in tests/marquee/cli/test_data_versions.py."""

import subprocess
import sys
from pathlib import Path

import pytest

from marquee.adapters import dvc
from marquee.adapters.dvc import DvcRepository
from marquee.errors import DataVersionError


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository in which DVC was not begun, apart from the settings of this machine's user."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    for variable in ("DVC_SITE_CACHE_DIR", "DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    run(tmp_path, "git", "init", "--quiet", "project")
    return tmp_path / "project"


def run(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def test_repository_begun_in_a_subfolder_is_used(project: Path, tmp_path: Path):
    data = project / "data"
    (data / "tracked" / "x").mkdir(parents=True)
    (data / "tracked" / "x" / "a").write_text("one", encoding="utf-8")
    run(data, sys.executable, "-m", "dvc", "init", "--quiet", "--subdir")

    repository = DvcRepository.around(data / "tracked")
    repository.add(data / "tracked" / "x")
    run(project, "git", "add", "--all")
    run(project, "git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--message", "a")
    repository.get(data / "tracked" / "x", commit=repository.commit_of("HEAD"), target=tmp_path / "got")

    assert repository.root == data
    assert not (project / ".dvc").exists()
    assert (tmp_path / "got" / "a").read_text(encoding="utf-8") == "one"


def test_folder_that_dvc_refuses_is_named_by_its_own_words(project: Path):
    repository = DvcRepository.around(project)

    with pytest.raises(DataVersionError, match=r"dvc add: .*no-such-folder"):
        repository.add(project / "no-such-folder")


def test_dvc_that_is_not_installed_is_said(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dvc, "find_spec", lambda _name: None)

    with pytest.raises(DataVersionError, match="not installed") as caught:
        DvcRepository.around(project)

    assert "marquee[versioning]" in caught.value.remedy


def test_git_that_is_not_installed_is_said(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(DataVersionError, match="git is not installed"):
        DvcRepository.around(project)
