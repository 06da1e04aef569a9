"""A data set and its feature store, brought up as `marquee train` has them, for commands that measure."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime

from marquee.config import TrainingConfig
from marquee.data.dataset import Dataset
from marquee.data.datasets.load import load_dataset
from marquee.data.datasets.prepare import prepare_dataset, storage_name
from marquee.data.snapshot import Snapshot
from marquee.data.warehouse import Warehouse
from marquee.feature_state import FeatureState
from marquee.features.calendar import with_calendar
from marquee.features.reader import StateReader
from marquee.observing import StageClock
from marquee.settings import Settings


@dataclass(frozen=True, eq=False)
class PreparedData:
    """A data set in its warehouse and in memory."""

    dataset: Dataset
    storage: str
    """The name that its folders have."""
    warehouse: Warehouse
    snapshot: Snapshot
    settings: Settings

    def state(self, clock: StageClock) -> StateReader:
        """Bring its feature store up to the snapshot, and give the way to read.

        Raises:
            MarqueeError: whatever a user can cause on the way.
        """
        with clock.stage("feature state") as report:
            state = FeatureState.of(self.storage, self.settings, environment=os.environ)
            state.build(self.warehouse, self.snapshot, self.dataset, on_progress=report)
            return state.declare()


def prepared_data(
    name: str, config: TrainingConfig, *, source: str | None, clock: StageClock
) -> PreparedData:
    """Fetch, ingest and load a data set.

    Raises:
        MarqueeError: whatever a user can cause on the way.
    """
    settings = Settings.from_environment()
    with clock.stage("fetch and ingest") as report:
        storage = storage_name(name, source=source, config=config.dataset)
        warehouse = Warehouse(settings.warehouse(storage))
        prepared = prepare_dataset(
            name,
            warehouse=warehouse,
            cache=settings.cache,
            now=datetime.now(UTC),
            source=source,
            config=config.dataset,
            on_progress=lambda _what, done, total: report(done, total),
        )
        dataset = load_dataset(name, warehouse, prepared.snapshot, notes=prepared.notes)
    return PreparedData(
        with_calendar(dataset, config.dataset.calendar_country),
        storage,
        warehouse,
        prepared.snapshot,
        settings,
    )
