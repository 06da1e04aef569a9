import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "check_tree.py"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)  # noqa: S607  # git, wherever it is
    (tmp_path / ".gitignore").write_text("ignored/\n")
    return tmp_path


def check(repository: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT)]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)


# The forbidden words are put together here, so that this file passes the check that it tests.
@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("pip install --index-url" + " https://mirror.example/simple", "an index address"),
        ("url = 'https://" + "py" + "pi.org/simple'", "a package registry's host"),
        ("https://files.python" + "hosted.org/packages/x.whl", "a package registry's host"),
        ("PATH = '" + "/wo" + "rk/main'", "a path of one machine"),
        ("cd " + "/mn" + "t/disk/project", "a path of one machine"),
        ("open('" + "/ho" + "me/ada/data.csv')", "a path of one machine"),
        ("np.load(path, allow" + "_pickle=True)", "a pickle"),
        ("model = pickle" + ".load(file)", "a pickle"),
        ("value = ev" + "al(text)", "an eval"),
    ],
)
def test_tree_with_forbidden_line_is_refused_by_file_and_line(repository: Path, line: str, complaint: str):
    (repository / "notes.md").write_text(f"fine\n{line}\n")

    result = check(repository)

    assert result.returncode == 1
    assert result.stderr.startswith(f"notes.md:2: {complaint}: ")


@pytest.mark.parametrize(
    "line",
    [
        "Install it from PyPI.",
        "cp ../shared/data/ratings.csv build/work/ratings.csv",
        "https://example.org/tmp/file.zip",
        "np.load(path, allow_pickle=False)",
        "model.eval()",
        "recipe = literal_eval(text)",
        "SHELL := /bin/sh",
    ],
)
def test_tree_with_similar_but_harmless_line_passes(repository: Path, line: str):
    (repository / "notes.md").write_text(f"{line}\n")

    result = check(repository)

    assert (result.returncode, result.stderr) == (0, "")


def test_tree_with_allowed_line_passes(repository: Path):
    line = "mountPath: /t" + "mp  # check-tree: allow the container's own folder"
    (repository / "pod.yaml").write_text(f"{line}\n")

    assert check(repository).returncode == 0


def test_tree_skips_ignored_and_binary_files(repository: Path):
    line = "PATH = '" + "/wo" + "rk/main'"
    (repository / "ignored").mkdir()
    (repository / "ignored" / "notes.md").write_text(line)
    (repository / "array.npy").write_bytes(b"\x93NUMPY\0" + line.encode())

    assert check(repository).returncode == 0
