"""The ranker's training rows from past windows, point in time."""

from pathlib import Path

from marquee.data.splits import consumed, temporal_split
from marquee.errors import NotEnoughDataError
from marquee.features.reader import StateReader
from marquee.steps.folders import Rows
from marquee.steps.knobs import read_config
from marquee.steps.reading import read_data
from marquee.steps.task import Task
from marquee.steps.windows import write_windows
from marquee.training import FirstStage, collect_windows


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
        names = write_windows(out, windows)
    rows = Rows(
        feature_names=windows[0].feature_names,
        windows=names,
        seconds=clock.seconds,
        memory_mb=watch.memory_mb,
    )
    rows.write(out)
    return rows
