"""What a place has done with a feature state: which snapshot it was built from, and what is online of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from marquee.data.storage import write_atomically

BUILT_FROM: Final = "built_from.json"
_MATRIX: Final = "matrix"
_ONLINE: Final = "online"


def read_record(root: Path) -> dict[str, Any] | None:
    """The record of a place, None where there is none that can be read."""
    try:
        found = json.loads((root / BUILT_FROM).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # torn or never written: building anew is always right
        return None
    return found if isinstance(found, dict) and {"parts", "state"} <= set(found) else None


def write_record(root: Path, record: Mapping[str, Any]) -> None:
    """Replace the record."""
    write_atomically(root / BUILT_FROM, json.dumps(record, sort_keys=True).encode())


def with_online(record: Mapping[str, Any], profile: str, state: str | None) -> dict[str, Any]:
    """The record after a state's rows were brought online under a profile."""
    return {**record, _ONLINE: [profile, state]}


def with_matrix(
    record: Mapping[str, Any], state: str | None, *, as_of_us: int, version: str
) -> dict[str, Any]:
    """The record after the item matrix was exported of a state, as of a moment."""
    return {**record, _MATRIX: [state, as_of_us, version]}


def is_online(record: Mapping[str, Any], profile: str, state: str | None) -> bool:
    """Whether a state's rows are online under a profile."""
    return state is not None and record.get(_ONLINE) == [profile, state]


def exported_version(record: Mapping[str, Any], state: str, *, as_of_us: int) -> str | None:
    """The version of the item matrix that was exported of a state as of a moment, if the last one was."""
    found = record.get(_MATRIX)
    return str(found[2]) if isinstance(found, list) and found[:2] == [state, as_of_us] else None
