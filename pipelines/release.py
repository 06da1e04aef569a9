"""What is uploaded: a compiled pipeline, and the name of its version."""

import hashlib
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from marquee import __version__
from marquee.errors import ConfigError
from pipelines.compile import compile_pipeline, require_pipeline
from pipelines.run_local import ROOT, code_version

_SHA_DIGITS: Final = 12


@dataclass(frozen=True)
class Compiled:
    """A pipeline as the file that is uploaded."""

    path: Path
    name: str
    """On the cluster."""
    spec: Mapping[str, Any]

    @property
    def images(self) -> list[str]:
        """What its steps run in."""
        return images_of(self.spec)


def cluster_name(name: str) -> str:
    """What one of our pipelines is called on a cluster.

    Raises:
        ConfigError: there is none of that name.
    """
    require_pipeline(name)
    return f"marquee-{name}"


def compile_for_cluster(name: str, folder: Path) -> Compiled:
    """Compile one of our pipelines.

    Raises:
        ConfigError: there is none of that name.
    """
    called = cluster_name(name)
    path = compile_pipeline(name, folder / f"{name}.yaml")
    return Compiled(path, called, next(yaml.safe_load_all(path.read_text(encoding="utf-8"))))


def version_name(compiled: Compiled, *, dirty: bool, root: Path = ROOT) -> str:
    """What the version is called: release, commit, and for a tree with edits a hash of code and graph.

    Args:
        compiled: the pipeline.
        dirty: whether edits that no commit has are allowed.
        root: of the git repository.

    Raises:
        ConfigError: there is no commit, or there are edits that were not allowed.
    """
    sha = _git(root, "rev-parse", "HEAD")
    name = f"{__version__}-{sha[:_SHA_DIGITS]}"
    edits = _git(root, "status", "--porcelain").splitlines()
    if not edits:
        return name
    if not dirty:
        raise ConfigError(
            f"{len(edits)} files differ from commit {sha[:_SHA_DIGITS]}, such as {edits[0][3:]}: "
            f"nobody could tell what version {name} was.",
            remedy="Commit first, or add --dirty for a version of its own.",
        )
    content = f"{code_version()}\0".encode() + compiled.path.read_bytes()
    return f"{name}-dirty-{hashlib.sha256(content).hexdigest()[:8]}"


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            ["git", "-C", str(root), *arguments],  # noqa: S607 - git is where the user has it
            capture_output=True, text=True, check=True, timeout=30,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        said = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else ""
        why = (said or str(error)).splitlines()[-1]
        raise ConfigError(
            f"{root} gives no commit to name the version by: {why}.",
            remedy="Work in a git repository with a commit, or say --version-name.",
        ) from error
    return done.stdout.rstrip("\n")


def images_of(spec: Mapping[str, Any]) -> list[str]:
    """The images that a compiled pipeline names, each once."""
    executors = spec.get("deploymentSpec", {}).get("executors", {})
    named = (one.get("container", {}).get("image") for one in executors.values())
    return sorted({str(image) for image in named if image})
