"""Starts a training for a reason, unless one is at work.

On this machine a lock in the runs folder lets exactly one of several triggers through. The API has no
such thing, so there a trigger looks, starts its run, waits a moment and looks again: of two that started
at once the later one ends its own run. What remains: a run that the server takes longer than
`SETTLE_S` to note, and recurring runs, which look at nobody, may still be at work beside it.
"""

import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, Self

from marquee.errors import ConfigError, PipelineApiError, TrainingBusyError
from marquee.monitoring.drift_config import Cause
from marquee.run_folder import new_run_id, runs_at_work, write_json
from marquee.run_values import RunValues
from marquee.settings import Settings

Reason = Literal[Cause, "schedule", "manual"]
ACTIVE: Final = ("PENDING", "RUNNING", "PAUSED")
SETTLE_S: Final = 2.0
"""Until the second look; the server notes when a run was made in whole seconds."""
TRIGGER: Final = "trigger.json"
DECISION: Final = "decision.json"
_LOCK: Final = ".trigger.lock"
_URI: Final = re.compile(r"[a-z][a-z0-9+.-]*://.+")


@dataclass(frozen=True)
class Decision:
    """What asked for the training, such as a drift report's verdict."""

    uri: str
    content: bytes | None = None
    """Of a file of this machine, which may be gone when the training ends."""

    @classmethod
    def of(cls, given: str) -> Self:
        """An address as it is; a file is read and checked.

        Raises:
            ConfigError: the file is missing or holds no JSON object.
        """
        if _URI.fullmatch(given) and not given.startswith("file://"):
            return cls(given)
        path = Path(given.removeprefix("file://"))
        try:
            content = path.read_bytes()
            is_object = isinstance(json.loads(content), dict)
        except OSError as error:
            raise ConfigError(
                f"--decision = {given!r} can't be read: {error.strerror}.",
                remedy="Name a decision.json, or its URI.",
            ) from error
        except ValueError as error:
            raise ConfigError(
                f"--decision = {given!r} is no JSON: {error}.", remedy="Name a decision.json."
            ) from error
        if not is_object:
            raise ConfigError(f"--decision = {given!r} holds no JSON object.", remedy="Name a decision.json.")
        return cls(path.resolve().as_uri(), content)


@dataclass(frozen=True)
class Order:
    """Why a training is asked for."""

    reason: Reason
    decision: Decision | None = None

    @property
    def values(self) -> dict[str, str]:
        """The same for a file or a description."""
        found = {"reason": str(self.reason)}
        if self.decision is not None:
            found["decision"] = self.decision.uri
            if self.decision.content is not None:
                found["decision_sha256"] = hashlib.sha256(self.decision.content).hexdigest()
        return found


@contextmanager
def only_one_here(runs: Path, order: Order, *, now: datetime) -> Iterator[None]:
    """Hold the lock of the runs folder.

    Args:
        runs: the folder.
        order: written into the lock, for who comes next to read.
        now: the present, with a zone.

    Raises:
        TrainingBusyError: another trigger holds it, or a training is at work there.
        ConfigError: the folder can't be written.
    """
    try:
        runs.mkdir(parents=True, exist_ok=True)
        lock = (runs / _LOCK).open("a+", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{runs} can't be written: {error.strerror}.", remedy="Set --runs.") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise _busy_here(runs, lock.read()) from error
        if runs_at_work(runs):
            raise _busy_here(runs, "")
        lock.truncate(0)
        lock.write(json.dumps({**order.values, "process": os.getpid(), "since": now.isoformat()}))
        lock.flush()
        yield
        lock.truncate(0)


def _busy_here(runs: Path, note: str) -> TrainingBusyError:
    what = f"run {', '.join(runs_at_work(runs)) or '(about to begin)'}"
    try:
        held = json.loads(note)
        what += f", started for {held['reason']} by process {held['process']} at {held['since']}"
    except (ValueError, KeyError, TypeError):
        pass  # it began without a trigger, or has not said yet who it is
    return TrainingBusyError(
        f"A training is at work in {runs}: {what}.", remedy="Wait for its end, or end it, and ask again."
    )


def trigger_here(order: Order, runs: Path, train: Callable[[], Path], *, now: datetime) -> Path:
    """Train on this machine, and leave in the run's folder what it was for.

    Args:
        order: why.
        runs: the runs folder.
        train: makes a run folder in it.
        now: the present, with a zone.

    Raises:
        TrainingBusyError: a training is at work there.
        ConfigError: the folder can't be written.
    """
    with only_one_here(runs, order, now=now):
        folder = train()
        write_json(folder / TRIGGER, {**order.values, "triggered_at": now.isoformat()})
        if order.decision is not None and order.decision.content is not None:
            (folder / DECISION).write_bytes(order.decision.content)
        return folder


def trigger_on_cluster(
    order: Order, values: RunValues, settings: Settings, *, now: datetime, settle: float | None = None
) -> Any:  # noqa: ANN401 - the type is kfp's door's, which takes a second to import
    """Start a run of the newest training version.

    Args:
        order: why.
        values: what to do.
        settings: where the cluster is.
        now: the present, with a zone.
        settle: seconds until the second look; `SETTLE_S` by default.

    Returns:
        The `pipelines.submit.Started` run.

    Raises:
        TrainingBusyError: a training is at work there; what this call started, if anything, was ended.
        ConfigError: a value or setting does not fit.
        PipelineApiError: the API does not answer as it should.
    """
    from pipelines.api import connect
    from pipelines.submit import arguments, start, version_to_run

    api = connect(settings)
    version = version_to_run(api, "training")
    name = new_run_id(now)
    parameters = arguments(version, values, run_id=name, reason=order.reason)
    if others := _at_work(api, version.pipeline_id):
        raise _busy_there(api, others[0])
    description = "\n".join(f"{key}: {value}" for key, value in order.values.items())
    started = start(api, version, parameters, name=name, description=description)
    time.sleep(SETTLE_S if settle is None else settle)
    try:
        first = next(iter(_at_work(api, version.pipeline_id)), None)
    except PipelineApiError as error:
        raise PipelineApiError(
            f"Run {name} ({started.run_id}) was started; whether it is the only one can't be seen: "
            f"{error.problem}",
            remedy="Look at `marquee pipeline list` before you ask again.",
            status=error.status,
        ) from error
    if first is not None and first.run_id != started.run_id:
        api.client.runs.run_service_terminate_run(started.run_id)
        raise _busy_there(api, first)
    return started


def _at_work(api: Any, pipeline_id: str) -> list[Any]:  # noqa: ANN401 - kfp has no types
    """The runs of a pipeline that are not at their end, in an order that every observer sees."""
    from pipelines.api import in_states, reference_of

    ask = api.client.runs.run_service_list_runs
    found = api.all(ask, "runs", namespace=api.place.namespace, filter=in_states(ACTIVE))
    ours = [
        run for run in found if reference_of(run).get("pipeline_id") == pipeline_id and run.state in ACTIVE
    ]
    return sorted(ours, key=lambda run: (run.created_at.timestamp() if run.created_at else 0.0, run.run_id))


def _busy_there(api: Any, run: Any) -> TrainingBusyError:  # noqa: ANN401 - kfp has no types
    return TrainingBusyError(
        f"A training is at work on {api.place.host}: run {run.display_name} ({run.run_id}), {run.state}.",
        remedy=f"Wait for its end, or end it, and ask again: {api.run_url(run.run_id)}",
    )
