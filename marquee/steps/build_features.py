"""The feature store's state of a snapshot, handed on as a folder that any step can read through Feast."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from marquee.adapters.feast.reader import FeastReader
from marquee.data.splits import consumed
from marquee.data.warehouse import Warehouse
from marquee.errors import FeatureStoreError
from marquee.feature_state import FeatureState
from marquee.features.recorded import record
from marquee.features.state.folder import CURRENT
from marquee.settings import Settings
from marquee.steps.folders import Data, Features
from marquee.steps.knobs import read_config
from marquee.steps.reading import READ, read_data
from marquee.steps.state_folder import hand_on
from marquee.steps.task import Task
from marquee.training_moments import midnight_after, questions_of

_OFFLINE_PROFILE = "local"
"""Steps read state from the folder that they were handed, whatever stores the place has."""


def build_features(
    data: Path,
    out: Path,
    *,
    config: str,
    for_training: bool,
    task: Task,
) -> Features:
    """Build the state of a snapshot, or only what changed since the last, and hand it on.

    Args:
        data: the folder of `ingest_interactions`.
        out: the folder to write.
        config: as `read_config`.
        for_training: whether to write down, too, what training will ask, so that its steps need no Feast.
        task: where the state lies; where that outlives the step, it is built by increments.

    Raises:
        MarqueeError: as `FeatureState.build` and `FeatureState.declare`.
    """
    clock, watch = task.watched()
    facts = Data.read(data)
    state = FeatureState.of(facts.storage, _offline(task), environment=task.environment)
    with clock.stage("feature state") as report:
        warehouse = Warehouse(data)
        snapshot = warehouse.open_snapshot(facts.snapshot)
        knobs = read_config(config)
        dataset = read_data(data, knobs)
        state_id = state.build(warehouse, snapshot, dataset, on_progress=report)
        hand_on(state.root / CURRENT, out / CURRENT)
    with clock.stage("feature store"):
        reader = state.declare()
    if for_training:
        with clock.stage("state for training"):
            record(reader, questions_of(dataset, knobs), out / READ)
    features = Features(
        state=state_id,
        contracts=dict(reader.contracts),
        as_of_us=midnight_after(consumed(dataset.interactions)),
        seconds=clock.seconds,
        memory_mb=watch.memory_mb,
    )
    features.write(out)
    return features


@contextmanager
def feast_reading(folder: Path, task: Task) -> Iterator[FeastReader]:
    """Feast's way to the state in a folder of `build_features`; ends with the block.

    Raises:
        FeatureStoreError: this release's feature services mean something else than when it was built.
    """
    facts = Features.read(folder)
    with tempfile.TemporaryDirectory(prefix="marquee-state-") as place:
        (Path(place) / CURRENT).symlink_to((folder / CURRENT).resolve(), target_is_directory=True)
        reader = FeatureState(Path(place), Path(place), _offline(task), task.environment).declare()
        if dict(reader.contracts) != facts.contracts:
            raise FeatureStoreError(
                f"{folder} was built by a release whose feature services are {facts.contracts}.",
                remedy="Run all steps with one image.",
            )
        yield reader


def _offline(task: Task) -> Settings:
    return task.settings.model_copy(update={"profile": _OFFLINE_PROFILE})
