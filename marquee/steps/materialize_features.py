"""Bring the state that a run learned from online."""

from datetime import UTC, datetime
from pathlib import Path

from marquee.data.splits import consumed
from marquee.feature_state import FeatureState
from marquee.features.context import DAY_US
from marquee.features.state.folder import StateFolder
from marquee.steps.build_features import restored
from marquee.steps.folders import Data
from marquee.steps.reading import read_config, read_data
from marquee.steps.task import Task


def materialize_features(data: Path, features: Path, *, config: str, task: Task) -> str:
    """Write users' rows to the online store of the place's profile, and export the item matrix.

    Args:
        data: the folder of `ingest_interactions`.
        features: the folder of `build_features`.
        config: as `read_config`.
        task: the place and the present.

    Returns:
        The version of the item matrix.

    Raises:
        MarqueeError: as `FeatureState.declare` and `FeatureState.bring_online`.
    """
    facts = Data.read(data)
    state = FeatureState.of(facts.storage, task.settings, environment=task.environment)
    restored(features, StateFolder(state.root))
    events = consumed(read_data(data, read_config(config)).interactions)
    # The state of the night after, as the served model has it: all events are in it.
    midnight_us = (int(events.timestamp_us[-1]) // DAY_US + 1) * DAY_US
    as_of = datetime.fromtimestamp(midnight_us / 1e6, tz=UTC)
    matrix = state.bring_online(state.declare().door, as_of=as_of, now=task.now)
    return matrix.version
