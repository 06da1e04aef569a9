"""The champion as the gate meets it: the model that was measured when it won, or its recipe."""

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


def _measured(champion: Champion, models: Models, snapshot: str, cut_us: int) -> Recommender | None:
    """The model that was measured, None where it learned from other events or can't be had any more."""
    with tempfile.TemporaryDirectory(prefix="marquee-champion-") as place:
        try:
            get_folder(models.store, models.key(champion.bundle_id, EVALUATED), Path(place) / EVALUATED)
            model = Model.read(Path(place) / EVALUATED)
        except (ObjectMissingError, BundleError):  # of an earlier release, say: its recipe stands in
            return None
    learned = (model.manifest.content["snapshot"], model.manifest.content["learned_until_us"])
    return model.recommender if learned == (snapshot, cut_us) else None
