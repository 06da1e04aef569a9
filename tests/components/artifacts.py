"""Artifacts of kfp on this machine's disk, as its executor hands them to a component's body."""

from pathlib import Path
from typing import TypeVar

from kfp import dsl

Kind = TypeVar("Kind", bound=dsl.Artifact)


def artifact(kind: type[Kind], path: Path) -> Kind:
    """An artifact that lies at a path."""
    return kind(name=path.name, uri=str(path), metadata={})
