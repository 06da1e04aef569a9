"""The training pipeline on this machine, from values to a finished run folder."""

import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from marquee.errors import StepError
from marquee.observing import Observer
from marquee.run_folder import crown, finished_path, new_run, point_at_bundle, read_metrics
from marquee.run_values import RunValues
from marquee.settings import Settings
from pipelines.run_local import LOG, LocalRun, Runner, run_local


@dataclass(frozen=True)
class TrainedHere:
    """A finished run."""

    folder: Path
    metrics: dict[str, Any]
    seconds: dict[str, float]
    """By step, as the runner saw them."""
    is_registered: bool
    reused: tuple[str, ...] = ()
    """Steps that an earlier try, which failed, had finished."""


def train_here(
    values: RunValues,
    settings: Settings,
    *,
    reason: str,
    now: datetime,
    observer: Observer,
    runner: Runner = "subprocess",
) -> TrainedHere:
    """Run the training pipeline, and leave the run folder that `marquee train` leaves.

    Args:
        values: what to do.
        settings: where data and runs lie.
        reason: why, as `pipelines.trigger.Reason`.
        now: the present, with a zone.
        observer: hears the steps.
        runner: processes or containers.

    Raises:
        PipelineFailedError: a step failed; no run folder is left then.
    """
    with new_run(settings.runs, now=now) as partial:
        folder = finished_path(partial)
        parameters = values.parameters(run_id=folder.name, reason=reason)
        with run_local("training", parameters, runs=settings.runs, observer=observer, runner=runner) as done:
            _take_over(done, partial)
            seconds = {step.name: round(step.seconds, 3) for step in done.steps}
            # Not by what lies there: an earlier try may have registered what is refused by now.
            is_registered = "roll-out-model" in seconds
            reused = done.reused
    metrics = read_metrics(folder)
    if settings.studies(metrics["storage"]).is_dir():
        from marquee.run_page import include_study  # what draws pages takes half a second to import

        include_study(folder, settings)
    if is_registered:
        crown(settings.runs, folder, metrics["storage"])
    return TrainedHere(folder, metrics, seconds, is_registered, reused)


def _take_over(done: LocalRun, partial: Path) -> None:
    """Move what the evaluation wrote into the run folder, and copy the log."""
    left = done.folder("evaluate-model", "model")
    if left is None:
        raise StepError("the pipeline ended without an evaluation.", remedy="Look at its log.")
    for part in sorted(left.iterdir()):
        part.rename(partial / part.name)
    shutil.copyfile(done.root.parent / LOG, partial / LOG)
    point_at_bundle(partial)
