"""What a step knows of the place and the moment in which it runs."""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

from marquee.observing import MemoryWatch, Observer, StageClock
from marquee.settings import Settings


class LoggedObserver:
    """Says in the log when a stage begins and ends: what a pod's log should hold."""

    def __init__(self) -> None:
        self._log = logging.getLogger("marquee.steps")

    def begin(self, stage: str) -> None:
        """Say so."""
        self._log.info("%s …", stage)

    def advance(self, done: float, total: float) -> None:
        """Say nothing: a log is no progress bar."""

    def finish(self, stage: str, seconds: float) -> None:
        """Say so."""
        self._log.info("%s: %.1f s", stage, seconds)


@dataclass(frozen=True)
class Task:
    """One execution of a step."""

    settings: Settings
    environment: Mapping[str, str]
    now: datetime
    """With a zone."""
    observer: Observer = field(default_factory=LoggedObserver)

    @classmethod
    def here(cls) -> Self:
        """In this process and now."""
        logging.getLogger("feast").setLevel(logging.WARNING)  # it says each time that it opens its registry
        return cls(Settings.from_environment(), dict(os.environ), datetime.now(UTC))

    def watched(self) -> tuple[StageClock, MemoryWatch]:
        """A clock for the step's stages, and the memory that they take."""
        watch = MemoryWatch(self.observer)
        return StageClock(watch), watch
