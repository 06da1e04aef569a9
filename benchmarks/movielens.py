"""MovieLens-100k and its feature store, as `make run` has them."""

import os
from datetime import UTC, datetime
from typing import Final

from marquee.adapters.feast.reader import FeastReader
from marquee.config import TrainingConfig
from marquee.data.dataset import Dataset
from marquee.data.datasets.load import load_dataset
from marquee.data.datasets.prepare import prepare_dataset
from marquee.data.warehouse import Warehouse
from marquee.feature_state import FeatureState
from marquee.features.calendar import with_calendar
from marquee.settings import Settings

DATASET: Final = "ml-100k"


def prepared(config: TrainingConfig) -> tuple[Dataset, FeastReader]:
    """The data set, fetched where it is not there yet, and the way to its state, built likewise."""
    settings = Settings.from_environment()
    warehouse = Warehouse(settings.warehouse(DATASET))
    found = prepare_dataset(
        DATASET, warehouse=warehouse, cache=settings.cache, now=datetime.now(UTC), config=config.dataset
    )
    dataset = with_calendar(
        load_dataset(DATASET, warehouse, found.snapshot, notes=found.notes), config.dataset.calendar_country
    )
    state = FeatureState.of(DATASET, settings, environment=os.environ)
    state.build(warehouse, found.snapshot, dataset)
    return dataset, state.declare()
