"""What a check has to say of an object."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Manifest = Mapping[str, Any]
"""An object as it is read from YAML."""
Path = tuple[str | int, ...]
"""Keys and positions from an object's top to a value."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong."""

    where: str
    """The object: kind/name."""
    path: Path
    problem: str

    def __str__(self) -> str:
        return f"{self.where}: {dotted(self.path)}{': ' if self.path else ''}{self.problem}"


def name_of(manifest: Manifest) -> str:
    """Kind and name, for people."""
    metadata = manifest.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return f"{manifest.get('kind', '(no kind)')}/{name or '(no name)'}"


def dotted(path: Path) -> str:
    """A path as `spec.containers[0].image`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def leaves(value: object, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value below, mappings and lists among them, with its path; outer ones first."""
    yield path, value
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from leaves(below, (*path, str(key)))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from leaves(below, (*path, index))


def at(value: object, *path: str | int) -> Any:  # noqa: ANN401 - whatever the manifest has there
    """The value at a path; None where there is none."""
    for part in path:
        if isinstance(value, Mapping) and isinstance(part, str):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value


def mapping_at(value: object, *path: str | int) -> Mapping[str, Any]:
    """The mapping at a path; empty where there is none, or something else."""
    found = at(value, *path)
    return found if isinstance(found, Mapping) else {}


def list_at(value: object, *path: str | int) -> list[Any]:
    """The list at a path; empty where there is none, or something else."""
    found = at(value, *path)
    return found if isinstance(found, list) else []
