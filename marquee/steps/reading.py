"""What a step reads of the folders that it was handed: data set and state."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from marquee.data.dataset import Dataset
from marquee.data.datasets.load import load_dataset
from marquee.data.warehouse import Warehouse
from marquee.features.calendar import with_calendar
from marquee.features.reader import StateReader
from marquee.features.recorded import RecordedReader
from marquee.steps.folders import Data, Features
from marquee.steps.task import Task

if TYPE_CHECKING:
    from marquee.config import TrainingConfig

READ: Final = "read"
"""Folder of the answers that `build_features` wrote down."""


def read_data(folder: Path, config: "TrainingConfig") -> Dataset:
    """The data set of a folder of `ingest_interactions`, with its calendar.

    Raises:
        MarqueeError: a part is missing or damaged, or there is no event.
    """
    facts = Data.read(folder)
    warehouse = Warehouse(folder)
    snapshot = warehouse.open_snapshot(facts.snapshot)
    dataset = load_dataset(facts.name, warehouse, snapshot, notes=facts.notes)
    return with_calendar(dataset, config.dataset.calendar_country)


@contextmanager
def reading(folder: Path, task: Task) -> Iterator[StateReader]:
    """The way to the state in a folder of `build_features`; ends with the block.

    What the run was known to ask for was written down there; Feast answers all else, and is not even
    imported where nothing else is asked.

    Raises:
        StepError: the folder is unfinished.
    """
    facts = Features.read(folder)
    with ExitStack() as opened:

        def open_feast() -> StateReader:
            from marquee.steps.build_features import feast_reading  # noqa: PLC0415 - Feast takes a second

            return opened.enter_context(feast_reading(folder, task))

        yield RecordedReader(folder / READ, facts.contracts, open_feast)
