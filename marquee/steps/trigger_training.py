"""Start the training that a drift decision asks for, once."""

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Final, Literal

from marquee.adapters.object_store import ObjectStore, open_store
from marquee.errors import ConflictError, StepError, TrainingBusyError
from marquee.monitoring.decision import Decision
from marquee.monitoring.drift_config import Cause
from marquee.steps.task import Task

Became = Literal["started", "busy", "started earlier"]
_SHOWN: Final = 2_000
"""Characters of what a command that failed said last."""


def trigger_training(
    decision: Path, *, address: str, dataset: str, source: str, values: str, task: Task
) -> Became:
    """Call `marquee pipeline trigger` with the decision and its cause, once for each decision.

    On a machine without MARQUEE_KFP_HOST the training runs here, to its end; with it, there. A decision is
    answered once: a step that is tried again, or a second look at the same window, starts nothing. A training
    that could not be started gives the decision back.

    Args:
        decision: the file.
        address: of the decision, as the training will record it.
        dataset: name of a data set.
        source: instead of the publisher's.
        values: name or file of the run's values; empty for the command's default.
        task: where the decisions that were answered are noted.

    Raises:
        StepError: the training failed, or could not be started.
        ConfigError: the file is no decision.
    """
    made = Decision.read(decision)
    if not made.outcome.retrain:
        raise StepError(
            f"{decision} asks for no training.", remedy="Call the trigger by hand, with a reason."
        )
    store = open_store(task.settings.models_uri)
    note = f"drift/{made.outcome.key}.triggered"
    log = logging.getLogger("marquee.steps")
    try:
        store.write(note, address.encode(), expected=None)
    except ConflictError:
        log.info("a training was started for decision %s earlier", made.outcome.key)
        return "started earlier"
    return _started(
        _command(decision, made.outcome.cause, address, dataset, source, values, task), store, note
    )


def _started(command: list[str], store: ObjectStore, note: str) -> Became:
    # kfp tells its steps by this variable that they need but a part of it; the command needs all.
    environment = {name: value for name, value in os.environ.items() if name != "_KFP_RUNTIME"}
    done = subprocess.run(  # noqa: S603 - our own command
        command, capture_output=True, text=True, check=False, env=environment
    )
    log = logging.getLogger("marquee.steps")
    log.info(done.stdout[-_SHOWN:])
    if done.returncode in {0, 1}:  # 1: it trained, and the gate refused the challenger
        return "started"
    store.delete(note)
    if done.returncode == TrainingBusyError.exit_code:
        log.info(done.stderr[-_SHOWN:])
        return "busy"
    raise StepError(
        f"The training that drift asked for failed: {done.stderr[-_SHOWN:].strip()}",
        remedy="Mend what it says; the next window asks again while the alarm lasts.",
    )


def _command(
    decision: Path, cause: Cause, address: str, dataset: str, source: str, values: str, task: Task
) -> list[str]:
    is_remote = bool(task.settings.kfp_host or task.environment.get("KF_PIPELINES_ENDPOINT"))
    named = address if is_remote and "://" in address else str(decision)
    command = [sys.executable, "-m", "marquee", "pipeline", "trigger", "training", "--reason", cause]
    command += ["--decision", named, "--dataset", dataset, "--json"]
    command += ["--source", source] if source else []
    command += ["--values", values] if values else []
    return [*command, "--cluster"] if is_remote else command
