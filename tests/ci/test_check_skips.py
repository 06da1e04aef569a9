import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "check_skips.py"
TESTS = """
import pytest

def test_passes():
    pass

def test_skips():
    pytest.skip("../shared/data is absent")

@pytest.mark.xfail(reason="known", strict=True)
def test_known_fault():
    assert False
"""


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """A report that pytest itself wrote: one test passed, one was skipped, one failed as expected."""
    (tmp_path / "test_sample.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=report.xml"]
    subprocess.run([*command, "test_sample.py"], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path / "report.xml"


def check(report: Path, listing: str) -> subprocess.CompletedProcess[str]:
    allowed = report.with_name("allowed.txt")
    allowed.write_text(listing)
    command = [sys.executable, str(SCRIPT), str(report), str(allowed)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_skip_not_listed_is_refused_by_name(report: Path):
    result = check(report, "# nothing is allowed\n")

    assert result.returncode == 1
    assert "test_sample::test_skips: ../shared/data is absent" in result.stderr
    assert result.stdout == "skips: 1 in all, 1 unlisted\n"


def test_skip_listed_with_reason_passes(report: Path):
    result = check(report, r"\.\./shared.* absent  # sample files are not shipped" + "\n")

    assert (result.returncode, result.stdout) == (0, "skips: 1 in all, 0 unlisted\n")


def test_skip_listed_without_reason_is_refused(report: Path):
    result = check(report, "shared\n")

    assert result.returncode == 1
    assert "a skip needs a reason" in result.stderr


def test_skip_matching_another_pattern_is_refused(report: Path):
    assert check(report, "no GPU  # none in CI\n").returncode == 1
