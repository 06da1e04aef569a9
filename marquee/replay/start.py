"""From the name of a data set to a finished replay folder."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from marquee.config import TrainingConfig
from marquee.data.datasets.load import load_dataset
from marquee.data.datasets.prepare import prepare_dataset, storage_name
from marquee.data.warehouse import Warehouse
from marquee.features.calendar import with_calendar
from marquee.observing import Observer, StageClock
from marquee.replay.config import ReplayConfig, quick_recipe
from marquee.replay.policies import USUAL, policies_of
from marquee.replay.run import Question, Replay, replay
from marquee.replay.still import dealt_anew
from marquee.replay.world import COLUMNS
from marquee.run_folder import finished_path, new_run
from marquee.settings import Settings

FOLDER: Final = "replays"
"""In the runs folder."""


@dataclass(frozen=True)
class Wanted:
    """A replay as it was asked for."""

    dataset: str
    policies: tuple[str, ...] = USUAL
    shocks: tuple[str, ...] = ()
    seed: int = 7
    source: str | None = None
    """Folder, zip or URL instead of the publisher's."""
    training: TrainingConfig | None = None
    """Instead of `quick_recipe`."""
    replay: ReplayConfig = field(default_factory=ReplayConfig)
    still: bool = False
    """Whether `dealt_anew` takes the drift out first."""


def replay_dataset(
    wanted: Wanted, settings: Settings, *, now: datetime, observer: Observer
) -> tuple[Path, Replay]:
    """Fetch, ingest, walk, and leave a folder that is there whole or not at all.

    Args:
        wanted: what to replay.
        settings: where data and runs lie.
        now: the present, with a zone; it names the folder.
        observer: hears the stages.

    Raises:
        MarqueeError: whatever a user can cause on the way; no folder is left then.
    """
    policies_of(wanted.policies)  # a word that is wrong is said before anything is fetched
    training = wanted.training or quick_recipe(wanted.dataset, seed=wanted.seed)
    config = training.dataset
    storage = storage_name(wanted.dataset, source=wanted.source, config=config)
    warehouse = Warehouse(settings.warehouse(storage))
    with StageClock(observer).stage("fetch and ingest") as report:
        prepared = prepare_dataset(
            wanted.dataset, warehouse=warehouse, cache=settings.cache, now=now, source=wanted.source,
            config=config, on_progress=lambda _what, done, total: report(done, total),
        )  # fmt: skip
        dataset = load_dataset(wanted.dataset, warehouse, prepared.snapshot, notes=prepared.notes)
        dataset = with_calendar(dataset, config.calendar_country)
        events = warehouse.read_interactions(prepared.snapshot, columns=list(COLUMNS))
    if wanted.still:
        events = dealt_anew(events, seed=wanted.seed)
    question = Question(
        wanted.dataset, storage, wanted.policies, wanted.shocks, wanted.seed, training, wanted.replay,
        still=wanted.still,
    )  # fmt: skip
    with new_run(settings.runs / FOLDER, now=now) as partial:
        found = replay(question, dataset, events, partial, observer=observer)
    return finished_path(partial), found
