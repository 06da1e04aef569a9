"""Bring the state that a run learned from online."""

from datetime import UTC, datetime
from pathlib import Path

from marquee.features.item_matrix.folder import CURRENT
from marquee.features.state.record import exported_version, is_online, read_record
from marquee.steps.folders import Data, Features
from marquee.steps.task import Task


def materialize_features(data: Path, features: Path, *, task: Task) -> str:
    """Write users' rows to the online store of the place's profile, and export the item matrix.

    Where this place has done so already with this very state, nothing is done, nor Feast imported.

    Args:
        data: the folder of `ingest_interactions`.
        features: the folder of `build_features`.
        task: the place and the present.

    Returns:
        The version of the item matrix.

    Raises:
        MarqueeError: as `FeatureState.declare` and `FeatureState.bring_online`.
    """
    storage, facts = Data.read(data).storage, Features.read(features)
    if done := _done_before(storage, facts, task):
        return done
    from marquee.feature_state import FeatureState  # noqa: PLC0415 - and with it Feast
    from marquee.features.state.folder import StateFolder  # noqa: PLC0415
    from marquee.steps.state_folder import restored  # noqa: PLC0415

    state = FeatureState.of(storage, task.settings, environment=task.environment)
    restored(features, facts, StateFolder(state.root))
    as_of = datetime.fromtimestamp(facts.as_of_us / 1e6, tz=UTC)
    return state.bring_online(state.declare().door, as_of=as_of, now=task.now).version


def _done_before(storage: str, facts: Features, task: Task) -> str | None:
    """The version of the item matrix, if rows and matrix of this state are online already."""
    record = read_record(task.settings.state(storage)) or {}
    version = exported_version(record, facts.state, as_of_us=facts.as_of_us)
    if version is None or not is_online(record, task.settings.profile, facts.state):
        return None
    current = task.settings.item_matrix(storage) / CURRENT
    is_current = current.is_file() and current.read_text(encoding="utf-8").strip() == version
    return version if is_current else None
