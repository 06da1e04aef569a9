"""DVC's command line: content beside git, named by small files that git tracks.

A process of its own for each command: DVC documents its commands, not its classes, and what it loads
and configures stays out of ours.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Self

from marquee.errors import DataVersionError

_DVC: Final = (sys.executable, "-m", "dvc")
REMOTE: Final = "marquee"
"""The name that `use_remote` gives to its remote."""
_SETTINGS: Final = "[core]\n    analytics = false\n    check_update = false\n"
"""Of a repository that we make: it tells nobody that it is used."""
_MINUTES: Final = 60
"""How long one command may take."""


@dataclass(frozen=True)
class DvcRepository:
    """A git repository with DVC in it. Made by `around`."""

    root: Path
    """Where DVC was begun."""
    git_root: Path
    """The same, or above it."""

    @classmethod
    def around(cls, folder: Path) -> Self:
        """The repository that a folder lies in, or will; git must be there, DVC is begun where it is not.

        Raises:
            DataVersionError: DVC or git is not installed, or the folder lies in no git repository.
        """
        if not find_spec("dvc"):
            raise DataVersionError(
                "data versions need DVC, which is not installed.",
                remedy="pip install 'marquee[versioning]'",
            )
        existing = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.is_dir())
        top = _run(["git", "rev-parse", "--show-toplevel"], existing)
        if top.returncode:
            raise DataVersionError(
                f"{folder} lies in no git repository: {_last_line(top.stderr)}.",
                remedy="Run `git init` at the root of your project, or set MARQUEE_TRACKED.",
            )
        git_root = Path(top.stdout.rstrip("\n"))
        inside = [place for place in (existing, *existing.parents) if place.is_relative_to(git_root)]
        begun = next((place for place in inside if (place / ".dvc").is_dir()), None)
        if begun is None:
            cls(git_root, git_root)._begin()
        return cls(begun or git_root, git_root)

    def add(self, folder: Path) -> Path:
        """Take a folder's content in; returns the small file that names it, for git.

        Raises:
            DataVersionError: DVC refuses.
        """
        self._dvc("add", str(folder))
        return folder.with_name(f"{folder.name}.dvc")

    def use_remote(self, url: str) -> None:
        """Push to and pull from a place from now on: a folder or `s3://bucket/prefix`.

        Raises:
            DataVersionError: DVC refuses.
        """
        place = url if "://" in url else str(Path(url).absolute())
        self._dvc("remote", "add", "--force", "--default", REMOTE, place)

    def push(self, pointer: Path) -> None:
        """Copy the content that a small file names now to the remote.

        Not that of earlier commits: `--all-commits` takes but one version of each path, though it says
        otherwise (https://github.com/treeverse/dvc/issues/10617; seen with 3.67).

        Raises:
            DataVersionError: there is no remote, or it can't be reached.
        """
        self._dvc("push", str(pointer))

    def pull(self, pointer: Path) -> None:
        """Lay out what a small file names, from the remote where it is not here.

        Raises:
            DataVersionError: neither has it, or the remote can't be reached.
        """
        self._dvc("pull", "--force", str(pointer))

    def commit_of(self, rev: str) -> str:
        """The full hash of a git revision: a hash, tag, branch or `HEAD~1`.

        Raises:
            DataVersionError: there is none.
        """
        found = _run(
            ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}"], self.root
        )
        if found.returncode:
            raise DataVersionError(
                f"{self.root} has no revision {rev!r}.", remedy="Give a commit, tag or branch of `git log`."
            )
        return found.stdout.strip()

    def get(self, folder: Path, *, commit: str, target: Path) -> None:
        """Fetch a folder as it was at a commit to a place that does not exist yet.

        Raises:
            DataVersionError: it was not tracked then, or neither cache nor remote has its content.
        """
        name = folder.absolute().relative_to(self.git_root).as_posix()  # what DVC reads it as, with --rev
        if _run(["git", "cat-file", "-e", f"{commit}:{name}.dvc"], self.root).returncode:
            raise DataVersionError(
                f"commit {commit[:12]} holds no {name}.dvc.",
                remedy="Give a revision from after `marquee data track`, and commit what that wrote.",
            )
        # DVC takes the remote that the commit names; it may be older than the first push.
        found = _run([*_DVC, "config", "core.remote"], self.root)
        remote = () if found.returncode else ("--remote", found.stdout.strip())
        self._dvc("get", str(self.root), name, "--rev", commit, "--out", str(target), *remote)

    def _begin(self) -> None:
        """One process for all: setting by setting, each would load DVC again."""
        self._dvc("init", "--quiet")
        with (self.root / ".dvc" / "config").open("a", encoding="utf-8") as file:
            file.write(_SETTINGS)

    def _dvc(self, *arguments: str) -> None:
        done = _run([*_DVC, *arguments], self.root)
        if done.returncode:
            raise DataVersionError(
                f"dvc {arguments[0]}: {_last_line(done.stderr) or _last_line(done.stdout)}.",
                remedy=_remedy(done.stderr),
            )


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1", "GIT_TERMINAL_PROMPT": "0", "NO_COLOR": "1"}
    try:
        return subprocess.run(  # noqa: S603 - our own arguments, no shell
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=_MINUTES * 60,
        )
    except FileNotFoundError as err:
        raise DataVersionError(f"{command[0]} is not installed.", remedy="Install git.") from err
    except subprocess.TimeoutExpired as err:
        raise DataVersionError(
            f"{command[0]} took more than {_MINUTES} minutes.", remedy="Check the remote, then run again."
        ) from err


def _last_line(text: str) -> str:
    """The error of DVC's or git's output, on one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("ERROR", "fatal"))]
    chosen = (errors or [line for line in lines if "Having any troubles" not in line] or [""])[-1]
    return chosen.removeprefix("ERROR: ").rstrip(".")[:300]


def _remedy(text: str) -> str:
    if "no remote" in text.lower():
        return "Name one: `marquee data push --remote s3://bucket/prefix`, or a folder."
    if any(words in text for words in ("does not exist", "missing", "No such file", "failed to load")):
        return "Run `marquee data push` where the content is, then try again."
    return "Check the remote, its credentials (AWS_*) and the free space."
