"""Search for the ranker's knobs."""

from kfp.dsl import HTML, Dataset, Input, Output

from components._image import component


@component
def tune_ranker(
    data: Input[Dataset],
    features: Input[Dataset],
    config: str,
    space: str,
    seconds: float,
    trials: int,
    study: Output[HTML],
) -> str:
    """Search with Optuna within a budget, on past windows; without a budget hand the configuration on.

    Args:
        data: The snapshot of ingest-interactions.
        features: The state of build-features.
        config: The run's configuration as JSON: where the search starts.
        space: Name of a search space, such as default or brief.
        seconds: Budget of time; 0 for no search.
        trials: Budget of trials.
        study: The search's pictures.

    Returns:
        The configuration with the best ranker, as JSON.
    """
    from pathlib import Path

    if seconds <= 0:
        Path(study.path).write_text("<p>No search was asked for.</p>", encoding="utf-8")
        return config

    from marquee.steps.reading import reading
    from marquee.steps.task import Task
    from marquee.steps.tune_ranker import tune_ranker

    task, place = Task.here(), Path(study.path).with_suffix(".db")
    with reading(Path(features.path), task) as state:
        tuned, page = tune_ranker(
            Path(data.path), place, state=state, config=config, space=space,
            seconds=seconds, trials=int(trials), task=task,
        )  # fmt: skip
    Path(study.path).write_text(page, encoding="utf-8")
    return tuned
