"""The files of a feature state, from one folder to another."""

from pathlib import Path

from marquee.data.export import link_or_copy
from marquee.data.storage import storage_errors
from marquee.errors import FeatureStoreError
from marquee.features.state.folder import CURRENT, StateFolder
from marquee.steps.folders import Features


def restored(folder: Path, facts: Features, place: StateFolder) -> None:
    """Make the state in a folder of `build_features` the current one of a place, if it is not already.

    Raises:
        FeatureStoreError: the disk refuses.
    """
    contents = place.contents()
    if contents is not None and contents.id == facts.state:
        return
    with place.writing(anew=True) as draft:
        hand_on(folder / CURRENT, draft.staging)
        place.install(draft.staging, facts.state)


def hand_on(state: Path, target: Path) -> None:
    """Links to the files of a version, which are immutable; copies where that is another disk."""
    with storage_errors(target, what="the step's folder", error=FeatureStoreError):
        for file in sorted(path for path in state.rglob("*") if path.is_file()):
            named = target / file.relative_to(state)
            named.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(file, named)
