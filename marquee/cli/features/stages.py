"""Progress of work whose steps name themselves, shown stage by stage as `marquee train` does."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from marquee.cli.progress import RichObserver


class Stages:
    """Hears (stage, done, total) and shows a bar for the stage that lasts, a line for each that ended."""

    def __init__(self, observer: RichObserver) -> None:
        self._observer = observer
        self._stage: str | None = None
        self._started = 0.0

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """So much of the stage is done; a new name begins a new one."""
        if stage != self._stage:
            self.finish()
            self._observer.begin(stage)
            self._stage, self._started = stage, time.perf_counter()
        self._observer.advance(done, total or 0)

    def finish(self) -> None:
        """The stage that lasts is over."""
        if self._stage is not None:
            self._observer.finish(self._stage, time.perf_counter() - self._started)
        self._stage = None


@contextmanager
def stages() -> Iterator[Stages]:
    """Show them while the block lasts; a stage that fails leaves no line."""
    with RichObserver() as observer:
        shown = Stages(observer)
        yield shown
        shown.finish()
