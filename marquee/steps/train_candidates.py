"""The first stage twice: as of the cut, to be measured, and of all events, to be served."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from marquee.bundle import Bundle, write_bundle
from marquee.data.splits import consumed, temporal_split
from marquee.features.reader import StateReader
from marquee.packing import describe, pack_first_stage, unpack_first_stage
from marquee.recommend import Recommender
from marquee.run_folder import BUNDLE, EVALUATED
from marquee.steps.knobs import read_config
from marquee.steps.reading import read_data
from marquee.steps.task import Task
from marquee.training import FirstStage, refit

WHICH: Final = (EVALUATED, BUNDLE)
"""The first knows nothing after the cut; the second is to be served."""


def train_candidates(data: Path, out: Path, *, state: StateReader, config: str, task: Task) -> dict[str, str]:
    """Fit the routes, and write each first stage as a bundle without a ranker.

    Args:
        data: the folder of `ingest_interactions`.
        out: the folder to make, with a bundle for each of `WHICH`.
        state: what was known of movies when.
        config: as `read_config`.
        task: hears the stages.

    Returns:
        The bundles' ids.

    Raises:
        NotEnoughDataError: too few events to split or to learn from.
        BundleError: a bundle exists already, or the disk refuses.
    """
    clock, watch = task.watched()
    knobs = read_config(config)
    dataset = read_data(data, knobs)
    events = consumed(dataset.interactions)
    split = temporal_split(events, knobs.temporal, seed=knobs.seed)
    first_stage = FirstStage.of(dataset, knobs, state)
    with clock.stage("candidates"):
        evaluated = first_stage.fit(split.train, until_us=split.cut_us)
    with clock.stage("refit on all events"):
        final = refit(events, first_stage)
    out.mkdir(parents=True, exist_ok=True)
    facts = {"seconds": clock.seconds, "memory_mb": watch.memory_mb}
    ids = {}
    for which, recommender in zip(WHICH, (evaluated, final), strict=True):
        content = {"kind": f"candidates {which}", **describe(recommender, knobs.as_trained)}
        parts = pack_first_stage(recommender, dataset.movies)
        provenance: Mapping[str, Any] = facts if which == EVALUATED else {}
        ids[which] = write_bundle(out / which, parts, content=content, provenance=provenance).bundle_id
    return ids


def read_candidates(folder: Path) -> tuple[dict[str, Recommender], dict[str, Any]]:
    """Both first stages as `train_candidates` wrote them, by name, and the step's seconds and memory.

    Raises:
        BundleError: one is missing, torn, tampered with, or of another release.
    """
    bundles = {which: Bundle.read(folder / which) for which in WHICH}
    facts = bundles[EVALUATED].manifest.provenance
    return {which: unpack_first_stage(bundle) for which, bundle in bundles.items()}, dict(facts)
