"""The ranker's training rows in a folder, a file per window."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final
from zipfile import BadZipFile

import numpy as np

from marquee.data.storage import storage_errors
from marquee.errors import StepError
from marquee.ranking.ranker import TrainingSet
from marquee.steps.folders import Rows

_ARRAYS: Final = ("features", "labels", "group_sizes")


def write_windows(out: Path, windows: Sequence[TrainingSet]) -> tuple[str, ...]:
    """Write each window, and return the files' names in the same order.

    Raises:
        StepError: the disk refuses.
    """
    names = tuple(f"window-{number:02d}.npz" for number in range(len(windows)))
    with storage_errors(out, what="the step's folder", error=StepError):
        out.mkdir(parents=True, exist_ok=True)
        for name, window in zip(names, windows, strict=True):
            np.savez(out / name, **{key: getattr(window, key) for key in _ARRAYS})
    return names


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
