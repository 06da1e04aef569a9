"""Programs of Debian's that the proof needs beside Python's packages: found, or installed where that may be.

Run as `debian.py redis-server promtool`: exit code 1 where one is missing and can't be installed from here.
"""

import os
import shutil
import subprocess
import sys

PACKAGES = {"redis-server": "redis-server", "promtool": "prometheus"}
"""The package that each program comes in."""


def program(name: str) -> str | None:
    """The path of a program; None where it can't be had.

    apt-get installs it where this is root, or a CI machine on which sudo asks for no password.
    """
    if found := shutil.which(name):
        return found
    may_install = os.geteuid() == 0 or bool(os.environ.get("CI") and shutil.which("sudo"))
    if may_install and shutil.which("apt-get"):
        install(PACKAGES[name])
    return shutil.which(name)


def install(package: str) -> None:
    """Install a package, and start no service of it."""
    print(f"installing {package} with apt-get", flush=True)
    before = [] if os.geteuid() == 0 else ["sudo", "--non-interactive", "--preserve-env"]
    # At runlevel 1 Debian's scripts start nothing.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", package]):
        words = [*before, "apt-get", *command]
        subprocess.run(words, check=True, env=environment, stdout=subprocess.DEVNULL)


def missing(name: str) -> str:
    """What to do about a program that can't be had."""
    return f"{name} is not installed: apt-get install {PACKAGES[name]}"


def main() -> int:
    """Say what is missing; 1 where something is."""
    absent = [name for name in sys.argv[1:] if program(name) is None]
    for name in absent:
        print(missing(name), file=sys.stderr)
    return 1 if absent else 0


if __name__ == "__main__":
    sys.exit(main())
