"""Searches for a ranker: what each was about, where it is kept, and the one that belongs to a run.

    data/studies/ml-100k/
      default-seed7-5d0fc52b-9a3e77c1/    space, seed, snapshot, and the rest of what trials depend on
        study.db      every trial
        best.yaml     the recipe with the best ranker
        study.html    pictures

A search belongs to a run of the same snapshot and the same recipe, but for the ranker: that is what the
search is there to find. Optuna is imported only where a search of the snapshot lies.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from marquee.config import TrainingConfig
from marquee.data.storage import install
from marquee.errors import ConfigError

if TYPE_CHECKING:
    from marquee.ranking.search import SearchResult

STUDY: Final = "study.db"
BEST: Final = "best.yaml"
PICTURES: Final = "study.html"
_SHOWN_KEYS: Final = 3


@dataclass(frozen=True)
class StudyOfRun:
    """The search that belongs to a run."""

    path: Path | None = None
    """Its `study.db`; None where none belongs to the run."""
    note: str = ""
    """One line for people: what it found, or why what lies there is none of the run's; empty where there
    is no search at all."""


def subject(snapshot: str, config: TrainingConfig) -> dict[str, Any]:
    """What the values of trials depend on beside the search itself, as plain values."""
    recipe = {key: value for key, value in config.recipe.items() if key != "ranker"}
    return {"snapshot": snapshot, **recipe, "temporal": config.temporal.model_dump(mode="json")}


def study_folder(studies: Path, space: str, *, snapshot: str, config: TrainingConfig) -> Path:
    """Where the search of one space, given by name or file, is kept for one snapshot and recipe."""
    recipe = json.dumps(subject(snapshot, config), sort_keys=True)
    digest = hashlib.sha256(recipe.encode()).hexdigest()
    return studies / f"{Path(space).stem}-seed{config.seed}-{snapshot[:8]}-{digest[:8]}"


def find_study(studies: Path, *, snapshot: str, config: TrainingConfig) -> StudyOfRun:
    """The search of a run's snapshot and recipe; of several the one that found its ranker, else the newest.

    Never an error: a run is worth as much without pictures of a search.
    """
    files = sorted(studies.glob(f"*/{STUDY}"), key=lambda path: path.stat().st_mtime, reverse=True)
    own = [path for path in files if snapshot[:8] in path.parent.name.split("-")]
    if not own:
        return StudyOfRun(note=f"none of this snapshot, {len(files)} of others in {studies}" if files else "")
    found, reasons = [], []
    for path in own:
        try:
            if change := _change(path, snapshot, config):
                reasons.append(f"{path.parent.name} is of another recipe: {change}")
            else:
                found.append(_described(path, config))
        except ConfigError as error:
            reasons.append(error.problem.rstrip("."))
    if found:
        _, path, note = max(found, key=lambda each: each[0])  # of equals the first, which is the newest
        return StudyOfRun(path, note)
    return StudyOfRun(note=reasons[0])


def _change(path: Path, snapshot: str, config: TrainingConfig) -> str:
    """The keys in which a search is about something else, empty where it is not."""
    from marquee.ranking.search import read_identity  # noqa: PLC0415 - brings Optuna

    identity, wanted = read_identity(path), json.loads(json.dumps(subject(snapshot, config)))
    keys = [name for key in wanted for name in _different(identity.get(key), wanted[key], key)]
    more = f" and {len(keys) - _SHOWN_KEYS} more" if len(keys) > _SHOWN_KEYS else ""
    return ", ".join(keys[:_SHOWN_KEYS]) + more


def _different(before: object, now: object, key: str) -> Iterator[str]:
    """Dotted keys under which two plain values differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in sorted(before.keys() | now.keys()):
            yield from _different(before.get(name), now.get(name), f"{key}.{name}")
    elif before != now:
        yield key


def _described(path: Path, config: TrainingConfig) -> tuple[bool, Path, str]:
    """Whether the search found the run's ranker, its file, and a line about it."""
    from marquee.ranking.search import read_study  # noqa: PLC0415 - brings Optuna

    result, _ = read_study(path)
    is_its_best = found_ranker(result, config)
    line = f"{len(result.trials)} trials of {path.parent.name}; this run's ranker is"
    if is_its_best:
        return is_its_best, path, f"{line} the best of them"
    best = path.with_name(BEST)
    return is_its_best, path, f"{line} not the best of them{f': see {best}' if best.is_file() else ''}"


def found_ranker(result: "SearchResult", config: TrainingConfig) -> bool:
    """Whether the best trial of a search is the ranker of a recipe."""
    return result.best == config.ranker


def copy_study(path: Path, to: Path) -> None:
    """Copy a study whole, whoever writes to it meanwhile.

    Raises:
        ConfigError: it can't be read, or the copy can't be written.
    """
    temporary = to.with_name(f"{to.name}.tmp")
    try:
        with (
            closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(temporary)) as target,
        ):
            source.backup(target)
        install(temporary, to)
    except (sqlite3.Error, OSError) as error:
        raise ConfigError(
            f"{path} can't be copied to {to}: {error}.", remedy="Make room there, or run it again."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
