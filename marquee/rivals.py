"""Kept bundles as models again; the champion as the gate meets it: what was measured, or its recipe."""

import tempfile
from pathlib import Path

from marquee.adapters.object_store import get_folder
from marquee.errors import BundleError, ObjectMissingError
from marquee.packing import Model
from marquee.recommend import Recommender
from marquee.registering import Champion, Models
from marquee.run_folder import EVALUATED
from marquee.training import Rival


def rival_of(champion: Champion | None, models: Models) -> Rival | None:
    """What a challenger is compared with; None where there is no champion.

    Raises:
        ObjectStoreError: when it is asked for its model, and the store does not answer.
    """
    if champion is None:
        return None
    return Rival(champion.config, lambda snapshot, cut_us: _measured(champion, models, snapshot, cut_us))


def read_kept(models: Models, bundle_id: str, kind: str) -> Model:
    """A bundle of the object store as a model: the one to serve, or the one that was measured.

    Raises:
        ObjectMissingError: it is not there.
        ObjectStoreError: the store does not answer, or what came was torn.
        BundleError: it is of another release.
    """
    with tempfile.TemporaryDirectory(prefix="marquee-bundle-") as place:
        get_folder(models.store, models.key(bundle_id, kind), Path(place) / kind)
        return Model.read(Path(place) / kind)


def _measured(champion: Champion, models: Models, snapshot: str, cut_us: int) -> Recommender | None:
    """The model that was measured, None where it learned from other events or can't be had any more."""
    try:
        model = read_kept(models, champion.bundle_id, EVALUATED)
    except (ObjectMissingError, BundleError):  # of an earlier release, say: its recipe stands in
        return None
    learned = (model.manifest.content["snapshot"], model.manifest.content["learned_until_us"])
    return model.recommender if learned == (snapshot, cut_us) else None
