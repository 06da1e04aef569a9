"""The search for the ranker's knobs, as far as there is a budget for it."""

from pathlib import Path

from marquee.features.reader import StateReader
from marquee.observing import StageClock
from marquee.ranking.search import SearchConfig
from marquee.ranking.search_space import SearchSpace
from marquee.ranking.study_pictures import study_page
from marquee.steps.knobs import config_text, read_config
from marquee.steps.reading import read_data
from marquee.steps.task import Task
from marquee.tuning import tune


def tune_ranker(
    data: Path, study: Path, *, state: StateReader, config: str, space: str, seconds: float, trials: int,
    task: Task,
) -> tuple[str, str]:  # fmt: skip
    """Search for a ranker on past windows of the training events.

    Args:
        data: the folder of `ingest_interactions`.
        study: file that keeps the trials.
        state: what was known of users and movies when.
        config: as `read_config`: where the search starts.
        space: name or file of the search space.
        seconds: budget of time.
        trials: budget of trials.
        task: hears the stages.

    Returns:
        The configuration with the best ranker, as text, and a page with the study's pictures.

    Raises:
        MarqueeError: as `tune`.
    """
    knobs = read_config(config)
    dataset = read_data(data, knobs)
    budget = SearchConfig(seconds=seconds, trials=trials)
    searched = SearchSpace.read(space)
    clock = StageClock(task.observer)
    found = tune(dataset, knobs, state, space=searched, search=budget, study=study, clock=clock)
    page = study_page(found, searched, title=f"Search for a ranker: {dataset.name}, space {space}")
    return config_text(knobs.model_copy(update={"ranker": found.best})), page
