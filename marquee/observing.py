"""How a long piece of work gets on: who hears of its stages, what they took, and the most memory so far."""

import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Protocol


class Observer(Protocol):
    """Hears how a run gets on."""

    def begin(self, stage: str) -> None:
        """A stage begins."""
        ...

    def advance(self, done: float, total: float) -> None:
        """So much of the stage is done."""
        ...

    def finish(self, stage: str, seconds: float) -> None:
        """The stage took this long."""
        ...


class SilentObserver:
    """Hears and says nothing."""

    def begin(self, stage: str) -> None:
        """Ignore it."""

    def advance(self, done: float, total: float) -> None:
        """Ignore it."""

    def finish(self, stage: str, seconds: float) -> None:
        """Ignore it."""


@dataclass
class StageClock:
    """Times the stages of a run and tells the observer."""

    observer: Observer
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[float, float], None]]:
        """Time the body as one stage; yields what reports its progress."""
        self.observer.begin(name)
        start = perf_counter()
        yield self.observer.advance
        self.seconds[name] = perf_counter() - start
        self.observer.finish(name, self.seconds[name])


class MemoryWatch:
    """An observer that also notes, after each stage, the most memory that the process has held."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self.memory_mb: dict[str, float] = {}
        """By stage, MiB, in the order of the stages."""

    def begin(self, stage: str) -> None:
        """Pass it on."""
        self._observer.begin(stage)

    def advance(self, done: float, total: float) -> None:
        """Pass it on."""
        self._observer.advance(done, total)

    def finish(self, stage: str, seconds: float) -> None:
        """Look at the memory and pass it on."""
        self.memory_mb[stage] = round(peak_rss_mb(), 1)
        self._observer.finish(stage, seconds)


def peak_rss_mb() -> float:
    """The most memory that this process has held, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
