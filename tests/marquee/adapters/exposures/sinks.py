"""Sinks that fail to order, and what the tests of all sinks share."""

import threading
import time
from collections.abc import Callable, Sequence

from marquee.adapters.exposures.sink import ExposureLine
from marquee.errors import ExposureSinkError
from tests.marquee.monitoring.exposure_factory import exposure


def lines(first: int, last: int) -> list[ExposureLine]:
    return [ExposureLine.of(exposure(number)) for number in range(first, last + 1)]


def wait_for(condition: Callable[[], bool]) -> None:
    """Return when it holds; fail instead of waiting for ever."""
    for _ in range(20_000):
        if condition():
            return
        time.sleep(0.001)
    raise AssertionError("what was waited for did not happen")


class ScriptedSink:
    """Fails as told, then takes all.

    Args:
        failures: one for each of the first calls; None is a call that goes well.
    """

    name = "a scripted sink"

    def __init__(self, failures: Sequence[Exception | None] = ()) -> None:
        self._failures = list(failures)
        self.batches: list[list[str]] = []
        self.is_closed = False

    @property
    def taken(self) -> list[str]:
        return [each for batch in self.batches for each in batch]

    def write(self, batch: Sequence[ExposureLine]) -> None:
        ids = [line.request_id for line in batch]
        failure = self._failures.pop(0) if self._failures else None
        if isinstance(failure, ExposureSinkError):
            self.batches.append(ids[: failure.taken])
        else:
            self.batches.append([] if failure else ids)
        if failure:
            raise failure

    def close(self) -> None:
        self.is_closed = True


class StuckSink(ScriptedSink):
    """Holds the writer until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.is_reached = threading.Event()
        self.let_go = threading.Event()

    def write(self, batch: Sequence[ExposureLine]) -> None:
        self.is_reached.set()
        self.let_go.wait()
        super().write(batch)
