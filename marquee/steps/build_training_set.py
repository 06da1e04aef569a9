"""The ranker's training rows from past windows, point in time."""

from pathlib import Path
from typing import Final
from zipfile import BadZipFile

import numpy as np

from marquee.data.splits import consumed, temporal_split
from marquee.data.storage import storage_errors
from marquee.errors import NotEnoughDataError, StepError
from marquee.features.reader import StateReader
from marquee.ranking.ranker import TrainingSet
from marquee.steps.folders import Rows
from marquee.steps.reading import read_config, read_data
from marquee.steps.task import Task
from marquee.training import FirstStage, collect_windows

_ARRAYS: Final = ("features", "labels", "group_sizes")


def build_training_set(data: Path, out: Path, *, state: StateReader, config: str, task: Task) -> Rows:
    """Ask a first stage about past windows, and write down what was proposed and what was then consumed.

    Args:
        data: the folder of `ingest_interactions`.
        out: the folder to write.
        state: what was known of users and movies when.
        config: as `read_config`.
        task: hears the stages.

    Raises:
        NotEnoughDataError: too few events to split, or no window teaches anything.
    """
    clock, watch = task.watched()
    knobs = read_config(config)
    with clock.stage("split"):
        dataset = read_data(data, knobs)
        split = temporal_split(consumed(dataset.interactions), knobs.temporal, seed=knobs.seed)
    with clock.stage("training set") as report:
        windows = collect_windows(split.train, FirstStage.of(dataset, knobs, state), on_progress=report)
        if not windows:
            raise NotEnoughDataError(
                f"no past window of {dataset.name} has a query whose answer the first stage proposed.",
                remedy="Bring more events, or raise union.depth or lower training_set.min_events.",
            )
        names = [_write(out, number, window) for number, window in enumerate(windows)]
    rows = Rows(
        feature_names=windows[0].feature_names,
        windows=tuple(names),
        seconds=clock.seconds,
        memory_mb=watch.memory_mb,
    )
    rows.write(out)
    return rows


def read_windows(folder: Path) -> list[TrainingSet]:
    """The training rows, a set per window, the newest first.

    Raises:
        StepError: the folder is unfinished or damaged.
    """
    facts = Rows.read(folder)
    windows = []
    for name in facts.windows:
        try:
            with (folder / name).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                features, labels, sizes = (arrays[key] for key in _ARRAYS)
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise StepError(
                f"{folder / name} can't be read: {error}.", remedy="Run the step that makes it again."
            ) from error
        windows.append(TrainingSet(features, labels, sizes, facts.feature_names))
    return windows


def _write(out: Path, number: int, window: TrainingSet) -> str:
    name = f"window-{number:02d}.npz"
    with storage_errors(out, what="the step's folder", error=StepError):
        out.mkdir(parents=True, exist_ok=True)
        np.savez(out / name, **{key: getattr(window, key) for key in _ARRAYS})
    return name
