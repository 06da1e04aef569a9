"""Run folders: everything that a run leaves behind, there whole or not at all.

    runs/
      20261121-101500-3fa9c1/
        metrics.json     every model, intervals, slices, gate, seconds
        report.html      the same as a page to read
        config.yaml      the run's complete configuration
        bundle/          the model to serve, its first stage refitted on all events
        evaluated/       the model that was measured: it knows nothing after the cut
        bundle.txt       the path of bundle/
      study.db         the search for its ranker, where there was one
      latest             → the last finished run
      champion-ml-100k   → the data set's last run that passed the gate

A run works in `<id>.partial` and is renamed when it is done. Whoever starts next removes partial
folders whose owner died.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import yaml

from marquee.bundle import read_manifest
from marquee.errors import BundleError, MarqueeError

if TYPE_CHECKING:
    from marquee.config import TrainingConfig

LATEST: Final = "latest"
CHAMPION: Final = "champion"
BUNDLE: Final = "bundle"
EVALUATED: Final = "evaluated"
METRICS: Final = "metrics.json"
REPORT: Final = "report.html"
CONFIG: Final = "config.yaml"
_PARTIAL: Final = ".partial"
_LOCK: Final = ".lock"


class RunError(MarqueeError):
    """A runs folder that can't be written or holds no finished run."""


@contextmanager
def new_run(runs: Path, *, now: datetime) -> Iterator[Path]:
    """Work in a partial folder; leaving without an error makes it the latest run.

    Yields:
        The partial folder. After the block the same content lies in `finished_path` of it.

    Raises:
        RunError: the folder can't be written.
    """
    run_id = new_run_id(now)
    partial = runs / f"{run_id}{_PARTIAL}"
    try:
        with _begin(partial):  # holds the folder's lock, which the system frees when its owner dies
            yield partial
            partial.rename(finished_path(partial))
            (finished_path(partial) / _LOCK).unlink()
        _point(runs / LATEST, run_id)
    except OSError as error:
        raise RunError(
            f"the run could not be written to {runs}: {error}.", remedy="Make room there, or set --runs."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def new_run_id(now: datetime) -> str:
    """A name for a run: sorts by time, and no two are alike."""
    return f"{now:%Y%m%d-%H%M%S}-{os.urandom(3).hex()}"


def point_at_bundle(partial: Path) -> None:
    """Say in a partial run folder where its bundle will lie."""
    bundle = (finished_path(partial) / BUNDLE).resolve()
    (partial / "bundle.txt").write_text(f"{bundle}\n", encoding="utf-8")


def finished_path(partial: Path) -> Path:
    """Where a partial run folder lies once it is finished."""
    return partial.with_name(partial.name.removesuffix(_PARTIAL))


def _begin(partial: Path) -> IO[str]:
    """Make a partial folder and take its lock; those whose owner died are cleared away first.

    One process at a time does this: a folder without a lock that is held is an orphan for certain.
    """
    runs = partial.parent
    runs.mkdir(parents=True, exist_ok=True)
    with (runs / _LOCK).open("w") as door:
        fcntl.flock(door, fcntl.LOCK_EX)
        for other in runs.glob(f"*{_PARTIAL}"):
            if not _is_alive(other):
                shutil.rmtree(other, ignore_errors=True)
        partial.mkdir()
        lock = (partial / _LOCK).open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def runs_at_work(runs: Path) -> list[str]:
    """The ids of the runs that some process works on at this moment, oldest first."""
    found = sorted(runs.glob(f"*{_PARTIAL}"))
    return [finished_path(partial).name for partial in found if _is_alive(partial)]


def _is_alive(partial: Path) -> bool:
    """Whether some process holds the lock of a partial folder."""
    try:
        with (partial / _LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False  # killed before it made one
    return False


def _point(link: Path, run_id: str) -> None:
    """Make a symbolic link name another run, in one step."""
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(run_id, target_is_directory=True)
    temporary.replace(link)


def crown(runs: Path, run: Path, storage: str) -> None:
    """Make a finished run the champion of its data set."""
    _point(runs / f"{CHAMPION}-{storage}", run.name)


def champion_config(runs: Path, storage: str) -> "TrainingConfig | None":
    """The configuration of a data set's champion, None where there is none yet.

    Raises:
        ConfigError: this release knows its keys no longer.
    """
    from marquee.config import TrainingConfig  # noqa: PLC0415 - it brings every room

    path = runs / f"{CHAMPION}-{storage}" / CONFIG
    return TrainingConfig.from_file(path) if path.is_file() else None


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write plain values as JSON that people can read; NaN is refused."""
    path.write_text(json.dumps(values, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def write_config(path: Path, config: "TrainingConfig") -> None:
    """Write a complete configuration, readable by `TrainingConfig.from_file`."""
    path.write_text(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False), encoding="utf-8")


def find_run(runs: Path, given: Path | None) -> Path:
    """The finished run that a command works on: the one given, by path or by name in `runs`, else the latest.

    Raises:
        RunError: there is none.
    """
    for path in (given, runs / given) if given is not None else (runs / LATEST,):
        if (path / METRICS).is_file():
            return path.resolve()
    if given is None:
        raise RunError(f"{runs} holds no finished run.", remedy="Run `make run`, or name a run's folder.")
    raise RunError(f"{given} is no finished run: it has no {METRICS}.", remedy="Name a folder of --runs.")


def read_metrics(run: Path) -> dict[str, Any]:
    """What a run measured.

    Raises:
        RunError: its file can't be read or holds something else.
    """
    try:
        values = json.loads((run / METRICS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(
            f"{run / METRICS} can't be read: {error}.", remedy="Run `marquee train` again."
        ) from error
    if not isinstance(values, dict):
        raise RunError(f"{run / METRICS} holds no object.", remedy="Run `marquee train` again.")
    return values


def find_bundle(runs: Path, given: Path | None, *, kind: str = BUNDLE) -> Path:
    """The bundle that a command works on: the one given, a run's, or the latest run's.

    Raises:
        BundleError: there is none.
    """
    path = given if given is not None else runs / LATEST
    if (path / kind).is_dir():
        path = path / kind
    if given is None and not path.exists():
        raise BundleError(f"{runs} holds no finished run.", remedy="Run `make run`, or give --bundle.")
    read_manifest(path)
    return path
