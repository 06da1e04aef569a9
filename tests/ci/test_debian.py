"""Programs of Debian's: found, installed, or missing with a word on what to do."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "debian.py"
APT_GET = """#!/bin/sh
echo "$DEBIAN_FRONTEND $RUNLEVEL $*" >> "{log}"
case "$1" in install) printf '#!/bin/sh\\n' > "{bin}/promtool"; chmod +x "{bin}/promtool" ;; esac
"""
SUDO = """#!/bin/sh
while case "$1" in --*) true ;; *) false ;; esac; do shift; done
exec "$@"
"""


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """All programs that there are."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "chmod").symlink_to("/bin/chmod")
    return folder


def put(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, encoding="utf-8")
    (folder / name).chmod(0o755)


def ask(programs: Path, *names: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, str(SCRIPT), *names]
    environment = {"PATH": str(programs), "CI": "true"}
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)


def test_program_that_is_there_is_not_installed(programs: Path):
    put(programs, "promtool", "#!/bin/sh\n")

    done = ask(programs, "promtool")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_missing_program_is_installed_by_its_package_and_starts_no_service(programs: Path, tmp_path: Path):
    log = tmp_path / "log"
    put(programs, "apt-get", APT_GET.format(log=log, bin=programs))
    put(programs, "sudo", SUDO)

    done = ask(programs, "promtool")

    assert (done.returncode, done.stdout) == (0, "installing prometheus with apt-get\n"), done.stderr
    assert log.read_text(encoding="utf-8").splitlines() == [
        "noninteractive 1 update -qq",
        "noninteractive 1 install -y -qq --no-install-recommends prometheus",
    ]


def test_program_that_cant_be_had_is_named_with_its_package(programs: Path):
    done = ask(programs, "promtool", "redis-server")

    assert done.returncode == 1
    assert done.stderr == (
        "promtool is not installed: apt-get install prometheus\n"
        "redis-server is not installed: apt-get install redis-server\n"
    )
